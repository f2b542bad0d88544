"""The page in a real browser: it runs, plays and prints, for every reader, and a hostile name does nothing."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from machines import recording, write_tree

import offkey
from offkey import datasets
from offkey.report import html as write_report

PAYLOAD = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
HOSTILE = (
    PAYLOAD,
    "'\"></summary></details><svg onload=alert(1)>",
    "line\nend\u202eevitaN",
    "not-utf8-\udcff",
)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, or a skip (a failure where it is required)."""
    missing = None
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        missing = "no Chromium: apt-get install chromium"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        missing = f"{error}: pip install playwright axe-playwright-python"
    if missing is not None:
        if os.environ.get("OFFKEY_REQUIRE_BROWSER"):
            pytest.fail(f"{missing}; OFFKEY_REQUIRE_BROWSER is set")
        pytest.skip(missing)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextmanager
def opened(browser, path: Path, *, width: int = 1200, scheme: str = "light", script: bool = True) -> Iterator:
    """Open a page; that it logs, throws or loads anything, or asks for something, is an error."""
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    heard = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: loaded.append(request.url))
    loaded: list[str] = []
    page.goto(path.as_uri())
    yield page
    context.close()
    assert heard == []
    assert [url for url in loaded if not url.startswith("data:")] == [path.as_uri()]


def until(page, condition: str) -> None:
    """Wait for a condition; the page's policy lets no text be run from within."""
    for _ in range(400):
        if page.evaluate(condition):
            return
        time.sleep(0.05)
    raise AssertionError(f"never: {condition}")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A detector, the recordings of its test, and their scores."""
    tree = write_tree(tmp_path_factory.mktemp("browser") / "dev_data", machines=("fan",), train=12, test=3)
    data = datasets.dcase2020(tree, machine="fan")
    detector = offkey.Detector(offkey.Recipe.named("spectral").replace(spectral__check=False)).fit(data)
    return detector, tree, detector.score(data.test)


@pytest.fixture(scope="module")
def shown(trained, tmp_path_factory):
    """A page with everything: labels, figures, recordings with their maps and sounds."""
    detector, tree, scores = trained
    path = tmp_path_factory.mktemp("page") / "whole.html"
    write_report([scores, offkey.evaluate(scores)], path, detector=detector, recordings=tree)
    return path


@pytest.fixture(scope="module")
def dated(tmp_path_factory):
    """A page of three machines over 40 days, without recordings."""
    rng = np.random.default_rng(0)
    days = [f"{np.datetime64('2026-05-01') + day}" for day in range(40)]
    scores = rng.normal(size=120)
    scores[50:60] += 5
    table = offkey.ScoreTable(
        path=[f"hall/m{machine}/{day}T06-00-00.wav" for machine in range(3) for day in days],
        machine_type=["press"] * 120,
        machine_id=[f"{at // 40}" for at in range(120)],
        anomaly_score=scores,
        threshold=[2.5] * 120,
        decision=(scores > 2.5).astype(int),
        warning=["clipped (1%)", *[None] * 119],
    )
    path = tmp_path_factory.mktemp("dated") / "dated.html"
    write_report(table, path)
    return path


def test_players_and_pictures_load(browser, shown):
    with opened(browser, shown) as page:
        sounds = page.locator("audio")
        assert sounds.count() == 12
        until(page, "[...document.querySelectorAll('audio')].every((one) => one.readyState > 0)")
        lengths = sounds.evaluate_all("(all) => all.map((one) => [one.duration, one.error])")
        assert all(length == pytest.approx(1.0, abs=0.05) and error is None for length, error in lengths)
        first = sounds.first
        first.evaluate("(one) => { one.muted = true; return one.play(); }")
        until(page, "document.querySelector('audio').currentTime > 0")
        sizes = page.locator("image").evaluate_all("(all) => all.map((one) => one.getBBox().width)")
        assert len(sizes) == 24
        assert min(sizes) > 100


def test_sounds_in_opus_load_too(browser, trained, tmp_path, monkeypatch):
    _, tree, scores = trained
    monkeypatch.setattr(sys.modules["offkey.report.page.html"], "MOST_BYTES", 330_000)
    write_report(scores, tmp_path / "small.html", recordings=tree)
    assert "audio/ogg" in (tmp_path / "small.html").read_text()
    with opened(browser, tmp_path / "small.html") as page:
        until(page, "[...document.querySelectorAll('audio')].every((one) => one.duration > 0.9)")


def test_columns_are_sorted(browser, dated):
    with opened(browser, dated) as page:
        table = page.locator("table.oddest").nth(1)
        score = table.locator("th", has_text="anomaly score")

        def column(at):
            return table.locator(f"tbody tr > :nth-child({at})").all_inner_texts()

        shown = sorted(map(float, column(3)))
        score.get_by_role("button").click()
        assert score.get_attribute("aria-sort") == "ascending"
        assert list(map(float, column(3))) == shown
        score.get_by_role("button").click()
        assert score.get_attribute("aria-sort") == "descending"
        assert list(map(float, column(3))) == shown[::-1]
        table.get_by_role("button", name="recording").click()
        assert column(1) == sorted(column(1))
        assert score.get_attribute("aria-sort") is None
        machines = page.locator("table").first
        for _ in range(2):
            machines.get_by_role("button", name="share").click()
        assert machines.locator("tbody th").all_inner_texts()[0] == "press 1"


def test_machines_and_rows_are_chosen(browser, dated):
    with opened(browser, dated) as page:
        count = page.locator("#count")
        assert count.inner_text() == "60 of 60 rows shown"
        page.get_by_label("only what sounds wrong").check()
        wrong = page.locator("tr.called:visible").count()
        assert wrong >= 10
        assert count.inner_text() == f"{wrong} of 60 rows shown"
        page.get_by_label("only what sounds wrong").uncheck()
        page.get_by_label("Search").fill("2026-05-11")
        rows = page.locator("table.oddest tbody tr:visible").all_inner_texts()
        assert rows
        assert all("2026-05-11" in row for row in rows)
        page.get_by_label("Search").fill("")
        page.locator("#machine").select_option("press 1")
        assert page.locator("section.machine:visible h2").all_inner_texts() == ["press 1"]
        assert count.inner_text() == "20 of 60 rows shown"


def test_rows_that_are_not_chosen_have_no_recording(browser, shown):
    with opened(browser, shown) as page:
        page.get_by_label("Search").fill("anomaly_id_02")
        names = page.locator("details.clip:visible h3").all_inner_texts()
        assert len(names) == 3
        assert all("anomaly_id_02" in name for name in names)


def test_a_part_of_the_time_is_zoomed_into(browser, dated):
    with opened(browser, dated) as page:
        figure = page.locator("figure.wide").first
        drawing, said = figure.locator("svg[data-ends]"), figure.locator("output")
        before = drawing.inner_html()
        assert said.inner_text() == ""
        box = drawing.bounding_box()
        drawing.scroll_into_view_if_needed()
        box = drawing.bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 60, steps=3)
        page.mouse.up()
        first, last = (np.datetime64(text.replace(" ", "T")) for text in said.inner_text().split(" to "))
        # The axis goes over 40 days, from 0.07 to 0.975 of the drawing's width.
        assert 7.5 <= (last - first) / np.timedelta64(1, "D") <= 9.5
        assert np.datetime64("2026-05-18") < first < np.datetime64("2026-05-22")
        dots = drawing.locator(".dots").get_attribute("d").split("M")[1:]
        inside = [62 <= float(dot.split(",")[0]) <= 878 for dot in dots]
        assert 6 <= sum(inside) <= 10
        labels = drawing.locator(".ticks text").all_text_contents()
        assert all(label.startswith("2026-05-") for label in labels)
        figure.get_by_role("button", name="Forth").click()
        assert said.inner_text() != ""
        figure.get_by_role("button", name="Show all").click()
        assert drawing.inner_html() == before
        for _ in range(12):  # more often than it can: the button is marked so, and does nothing
            figure.get_by_role("button", name="Zoom in").click(force=True)
        assert figure.get_by_role("button", name="Zoom in").get_attribute("aria-disabled") == "true"
        first, last = (np.datetime64(text.replace(" ", "T")) for text in said.inner_text().split(" to "))
        assert last - first >= np.timedelta64(4, "h")
        assert 1 <= drawing.locator(".ticks text").count() <= 8


def test_everything_is_reached_by_the_keyboard(browser, shown):
    with opened(browser, shown) as page:
        reached = []
        for _ in range(60):
            page.keyboard.press("Tab")
            one = page.evaluate(
                "() => { const it = document.activeElement; return [it.tagName, it.id || it.textContent.slice(0, 12),"
                " getComputedStyle(it).outlineStyle]; }"
            )
            reached.append(tuple(one[:2]))
            assert one[0] in ("AUDIO", "BODY") or one[2] != "none", one
            if one[1] == "called":
                page.keyboard.press("Space")
                assert page.get_by_label("only what sounds wrong").is_checked()
                page.keyboard.press("Space")
            if one[1] == "share":
                page.keyboard.press("Enter")
                assert page.locator("[aria-sort]").count() == 1
            if one[1] == "Zoom in":
                page.keyboard.press("Enter")
                assert page.locator(".zoom output").first.inner_text() != ""
                page.keyboard.press("Shift+Tab")
                page.keyboard.press("Tab")
        tags = {tag for tag, _ in reached}
        assert {"SELECT", "INPUT", "BUTTON", "A", "SUMMARY", "AUDIO"} <= tags
        page.locator("summary").nth(1).focus()
        assert not page.locator("details.clip").nth(1).evaluate("(one) => one.open")
        page.keyboard.press("Enter")
        assert page.locator("details.clip").nth(1).evaluate("(one) => one.open")


def test_a_link_opens_its_recording(browser, shown):
    with opened(browser, shown) as page:
        link = page.locator("table.oddest tbody a").nth(4)
        link.click()
        clip = page.locator(f"details{link.get_attribute('href')}")
        assert clip.evaluate("(one) => one.open")
        assert clip.locator("h3").inner_text() == link.inner_text()


@pytest.mark.parametrize(
    ("kind", "scheme", "width"),
    [("shown", "light", 1600), ("shown", "dark", 320), ("dated", "dark", 1200), ("dated", "light", 375)],
)
def test_it_suits_every_screen_and_reader(browser, request, kind, scheme, width):
    from axe_playwright_python.sync_playwright import Axe

    with opened(browser, request.getfixturevalue(kind), width=width, scheme=scheme) as page:
        widths = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert widths == [width, width]
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, background[4:-1].split(","))) > 3 * 128) == (scheme == "light")
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


def test_it_is_whole_without_javascript(browser, shown):
    with opened(browser, shown, script=False) as page:
        assert page.locator("details.clip").count() == page.locator("details.clip[open]").count() == 12
        assert page.locator("audio:visible").count() == 12
        assert page.locator("figure svg[role=img]:visible").count() == 2 * 3 + 12
        assert page.locator("table.oddest tbody tr:visible").count() == 12
        assert page.locator("#controls:visible, .zoom, th button").count() == 0


def test_print_shows_all_recordings(browser, shown):
    with opened(browser, shown) as page:
        page.locator("#machine").select_option("fan 00")
        page.evaluate("""addEventListener("beforeprint", () => {
            window.printed = document.querySelectorAll("details[open]").length;
        })""")
        content = page.pdf(format="A4")
        assert content.startswith(b"%PDF")
        assert page.evaluate("window.printed") == 12
        assert page.locator("details[open]").count() == 2
        page.emulate_media(media="print")
        assert page.locator("section.machine:visible").count() == 2
        assert page.locator("#controls:visible, audio:visible, .zoom:visible").count() == 0


def test_hostile_names_and_a_hostile_detector_do_nothing(browser, tmp_path):
    import soundfile

    rng = np.random.default_rng(0)
    root = tmp_path / "in"

    def write(clip):
        for at, name in enumerate(HOSTILE[:3]):
            path = root / name.replace("/", "\\") / f"{clip}{HOSTILE[clip % 4].replace('/', chr(92))}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                samples = recording(rng, hum_hz=90 + 20 * at, faulty=clip >= 7)
                soundfile.write(file, samples, 16_000, "PCM_16", format="WAV")

    for clip in range(7):
        write(clip)
    recipe = offkey.Recipe.named("spectral").replace(spectral__check=False)
    detector = offkey.Detector(recipe).fit(datasets.folder(root, labels={"*": "healthy"}))
    for clip in range(7, 9):
        write(clip)
    detector.save(tmp_path / "hostile.offkey")
    scores = detector.score(root)
    write_report(
        scores, tmp_path / "r.html", detector=offkey.load(tmp_path / "hostile.offkey"), recordings=root
    )
    for script in (True, False):
        with opened(browser, tmp_path / "r.html", script=script) as page:
            assert page.title().startswith("Report on 27 recordings")
            assert page.locator("img").count() == 0
            assert page.locator("script").count() == 1
            assert page.locator("details.clip").count() == 27
            text = page.locator("body").inner_text()
            assert "onerror=" in text
            assert "line\\nend\\u202eevitaN" in text
            assert "not-utf8-\\udcff" in text
            assert "most like it is" in text
            if script:
                page.get_by_label("Search").fill("<script>")
                assert page.locator("table.oddest tbody tr:visible").count() > 0
