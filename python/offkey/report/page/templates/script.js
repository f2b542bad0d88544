"use strict";
(() => {
  // Tables: a click on a heading sorts.
  const number = (text) => {
    const match = /[-+]?[\d,]*\.?\d+(?:e[-+]?\d+)?/i.exec(text);
    return match ? Number(match[0].replaceAll(",", "")) : NaN;
  };
  const value = (row, column) => {
    const cell = row.cells[column];
    const text = cell.textContent.trim();
    return { text, size: cell.dataset.value === undefined ? number(text.replace(/^.*1 in /, "")) : Number(cell.dataset.value) };
  };
  const sort = (table, column, down) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, ...value(row, column) }));
    const filled = rows.filter((one) => one.text !== "");
    const numeric = column > 0 && filled.every((one) => !Number.isNaN(one.size));
    const order = (a, b) => (numeric ? a.size - b.size : a.text.localeCompare(b.text));
    filled.sort((a, b) => (down ? order(b, a) : order(a, b)));
    body.append(...filled.map((one) => one.row), ...rows.filter((one) => one.text === "").map((one) => one.row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  }

  // What is wider than its box is reached by the keyboard, to be scrolled.
  const reachable = () => {
    for (const box of document.querySelectorAll(".scroll")) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("resize", reachable);
  reachable();

  // Drawings over time: a part of the axis fills the width. Marks keep their shape, so that their places are rewritten.
  const SVG = "http://www.w3.org/2000/svg";
  const MOST_ZOOM = 200;
  const STEPS = [1, 10, 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 172800, 432000, 864000, 2592000, 7776000, 31536000];
  const made = (name, attributes, text = "") => {
    const element = document.createElementNS(SVG, name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    element.textContent = text;
    return element;
  };
  const moment = (seconds, step) => {
    const [day, time] = new Date(seconds * 1000).toISOString().split("T");
    return step >= 86400 ? day : step >= 3600 ? `${day.slice(5)} ${time.slice(0, 5)}` : time.slice(0, step >= 60 ? 5 : 8);
  };
  const zoomable = (svg) => {
    const [left, right, first, last] = svg.dataset.ends.split(" ").map(Number);
    const time = svg.dataset.kind === "time";
    const box = svg.querySelector(".marks");
    const marks = [...box.querySelectorAll("path")].map((path) => ({ path, steps: path.getAttribute("d") }));
    const ticks = svg.querySelector(".ticks");
    const drawn = [...ticks.children];
    const bottom = /,([\d.]+)/.exec(drawn.find((part) => part.tagName === "path").getAttribute("d"))[1];
    const pixel = (value, low, high) => left + ((value - low) / (high - low)) * (right - left);
    let low = first, high = last;

    const label = (value, step) => (time ? moment(value, step) : String(value));
    const tick = (value, step) => {
      const x = pixel(value, low, high).toFixed(1);
      return [
        made("path", { class: "axis", d: `M${x},${bottom}v4` }),
        made("text", { class: "label", x, y: Number(bottom) + 17, "text-anchor": "middle" }, label(value, step)),
      ];
    };
    const stepOf = (least) => {
      if (time) return STEPS.find((step) => step >= least) ?? STEPS.at(-1);
      const ten = 10 ** Math.floor(Math.log10(least));
      return Math.max(1, [1, 2, 5, 10].map((factor) => factor * ten).find((step) => step >= least * 0.999));
    };
    const draw = () => {
      const whole = low === first && high === last;
      const scale = (last - first) / (high - low);
      const shift = pixel(first, low, high) - left * scale;
      for (const { path, steps } of marks) {
        path.setAttribute("d", whole ? steps : steps.replace(/([ML])(-?[\d.]+),/g, (_, command, x) => `${command}${(x * scale + shift).toFixed(1)},`));
      }
      const step = stepOf((high - low) / 7);
      const parts = [];
      for (let value = Math.ceil(low / step) * step; value <= high; value += step) parts.push(...tick(value, step));
      ticks.replaceChildren(...(whole ? drawn : parts));
      const ends = [low, high].map((end) => (time ? moment(end, 86400) + " " + moment(end, 60) : Math.round(end)));
      said.textContent = whole ? "" : `${ends[0]} to ${ends[1]}`;
      for (const [button, off] of [[out, whole], [reset, whole], [earlier, low <= first], [later, high >= last], [closer, scale >= MOST_ZOOM]]) {
        button.setAttribute("aria-disabled", off);
      }
    };
    const show = (from, to) => {
      const span = Math.min(last - first, Math.max(to - from, (last - first) / MOST_ZOOM));
      low = Math.min(Math.max((from + to - span) / 2, first), last - span);
      high = low + span;
      if (span > (last - first) * 0.999) [low, high] = [first, last];
      draw();
    };
    const wider = (factor) => show((low + high - (high - low) * factor) / 2, (low + high + (high - low) * factor) / 2);
    const moved = (share) => show(low + (high - low) * share, high + (high - low) * share);

    const tools = document.createElement("div");
    tools.className = "zoom";
    tools.setAttribute("role", "group");
    tools.setAttribute("aria-label", `Zoom: ${svg.getAttribute("aria-label")}`);
    const said = document.createElement("output");
    const button = (text, act) => {
      const one = document.createElement("button");
      one.type = "button";
      one.textContent = text;
      one.addEventListener("click", () => one.getAttribute("aria-disabled") === "true" || act());
      tools.append(one);
      return one;
    };
    const closer = button("Zoom in", () => wider(0.5));
    const out = button("Zoom out", () => wider(2));
    const earlier = button("\u2190 Back", () => moved(-0.5));
    const later = button("Forth \u2192", () => moved(0.5));
    const reset = button("Show all", () => show(first, last));
    tools.append(said);
    svg.closest("figure").querySelector("figcaption").before(tools);

    const at = (event) => {
      const { left: edge, width } = svg.getBoundingClientRect();
      const x = ((event.clientX - edge) / width) * svg.viewBox.baseVal.width;
      return Math.min(Math.max(x, left), right);
    };
    let start = null, chosen = null;
    const valueAt = (x) => low + ((x - left) / (right - left)) * (high - low);
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return; // a finger scrolls
      start = at(event);
      chosen = made("rect", { class: "chosen", x: start, y: 0, width: 0, height: bottom });
      svg.append(chosen);
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    svg.addEventListener("pointermove", (event) => {
      if (start === null) return;
      chosen.setAttribute("x", Math.min(start, at(event)));
      chosen.setAttribute("width", Math.abs(at(event) - start));
    });
    for (const name of ["pointerup", "pointercancel"]) {
      svg.addEventListener(name, (event) => {
        if (start === null) return;
        const [from, to] = [start, at(event)].sort((a, b) => a - b);
        chosen.remove();
        start = chosen = null;
        if (name === "pointerup" && to - from > 5) show(valueAt(from), valueAt(to));
      });
    }
    svg.addEventListener("dblclick", () => show(first, last));
    draw();
  };
  for (const svg of document.querySelectorAll("svg[data-ends]")) zoomable(svg);

  // Recordings: the first of a machine is open, the others on demand; all in print.
  const clips = [...document.querySelectorAll("details.clip")];
  for (const clip of clips) clip.open = !clip.previousElementSibling?.matches("details.clip");
  const reveal = () => {
    const clip = location.hash && document.getElementById(location.hash.slice(1));
    if (clip && clip.matches("details.clip")) clip.open = true;
  };
  addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => event.target.closest?.("a[href^='#']") && setTimeout(reveal));
  reveal();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = clips.filter((clip) => !clip.open);
    for (const clip of closed) clip.open = true;
  });
  addEventListener("afterprint", () => {
    for (const clip of closed) clip.open = false;
  });

  // What is shown: a machine, what sounds wrong, rows with some text.
  const controls = document.getElementById("controls");
  if (!controls) return;
  const [machine, filter, called, count] = ["machine", "filter", "called", "count"].map((id) => document.getElementById(id));
  const show = () => {
    const words = filter.value.trim().toLowerCase();
    let shown = 0, all = 0;
    for (const section of document.querySelectorAll("section.machine")) {
      section.hidden = machine.value !== "" && section.id !== machine.value;
      for (const row of section.querySelectorAll("table.oddest > tbody > tr")) {
        row.hidden = (called.checked && !row.classList.contains("called")) || !row.textContent.toLowerCase().includes(words);
        const link = row.querySelector("a");
        if (link) document.getElementById(link.hash.slice(1)).hidden = row.hidden;
        all += 1;
        shown += !section.hidden && !row.hidden;
      }
    }
    count.textContent = `${shown} of ${all} rows shown`;
    reachable();
  };
  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  for (const control of [machine, filter, called]) control.addEventListener("input", show);
  show();
})();
