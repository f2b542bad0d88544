"use strict";
(() => {
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
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0; // reached by the keyboard, to be scrolled
  }
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
        all += 1;
        shown += !section.hidden && !row.hidden;
      }
    }
    count.textContent = `${shown} of ${all} rows shown`;
  };
  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());
  for (const control of [machine, filter, called]) control.addEventListener("input", show);
  show();
})();
