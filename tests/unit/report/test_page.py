"""The report: what it says, what it leaves out, and that names cannot do anything."""

import base64
import hashlib
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import DatasetError, ParameterError
from offkey.report import html as write_report
from offkey.report.page.clips import ClipReader, players_of
from offkey.report.page.results import read_results
from offkey.report.page.svg import Scale

VOID = {"meta", "input", "br", "path", "rect", "image"}
HOSTILE = (
    "<script>alert(1)</script>.wav",
    "\"><img src=x onerror='alert(1)'>.wav",
    "</title></style><svg onload=alert(1)>.wav",
    "{{ 7 * 7 }}{% raw %}.wav",
    "line\nend\u202eevitaN.wav",
    "not-utf8-\udcff.wav",
    "'=1+2'.wav",
)


class Reader(html.parser.HTMLParser):
    """Reads a page, checks that every element is closed in its place, and keeps elements and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def count(self, tag, **attributes):
        return sum(name == tag and attributes.items() <= attrs.items() for name, attrs in self.elements)


def table_of(paths, *, labels=False, machines=2, **more):
    n = len(paths)
    rng = np.random.default_rng(0)
    faulty = np.arange(n) % 5 == 0
    scores = rng.normal(size=n) + 4 * faulty
    return offkey.ScoreTable(
        **{
            "path": paths,
            "machine_type": ["fan"] * n,
            "machine_id": [f"{at % machines:02}" for at in range(n)],
            "anomaly_score": scores,
            "threshold": np.full(n, 2.0),
            "decision": (scores > 2).astype(int),
            "p_value": np.clip(np.exp(-np.maximum(scores, 0)), 1e-3, 1),
            "calibration": ["own"] * n,
            "calibration_clips": [400] * n,
            "label": faulty.astype(int) if labels else None,
            "duration_s": [10.0] * n,
        }
        | more
    )


def page_of(results, tmp_path, **options):
    write_report(results, tmp_path / "r.html", **options)
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    return text, Reader(text)


def test_a_page_says_in_words_what_there_is(tmp_path):
    table = table_of(
        [f"{at:03}.wav" for at in range(60)],
        warning=["clipped (1% of the samples)"] + [None] * 59,
    )
    text, page = page_of(table, tmp_path)
    called = int((table.decision == 1).sum())
    assert "60 recordings of 2 machines (fan 00, fan 01): 60 have a score." in page.text
    assert f"{called} of 60 recordings ({called / 60:.1%}) sound wrong." in page.text
    assert "1 recording carries a warning: clipped (1)." in page.text
    oddest = table.path[int(np.lexsort((-table.anomaly_score, table.p_value))[0])]
    assert f"The oddest is {oddest}:" in page.text
    assert page.count("table", **{"class": "sortable oddest"}) == 2
    assert page.count("a", href="#machine-2") == page.count("section", id="machine-2") == 1
    wrong = [sum(table.decision[at::2] == 1) for at in (0, 1)]
    assert f"Most often wrong: fan 0{int(wrong[1] > wrong[0])} ({max(wrong)} of 30" in page.text
    assert "AUC" not in page.text
    assert re.search(r"(src|href)=\"(?!data:|#machine-)", text) is None
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_recordings_are_named_from_the_folder_on_that_all_have_in_common(tmp_path):
    text, page = page_of(table_of(["/far/away/a/1.wav", "/far/away/b/1.wav"], error=[None, None]), tmp_path)
    assert "named by where they are below /far/away" in page.text
    assert "a/1.wav" in page.text
    assert text.count("/far/away") == 1
    _, page = page_of(table_of(["s3://hall/ab/1.wav", "s3://hall/ac/2.wav"]), tmp_path)
    assert "below s3://hall" in page.text
    assert "ac/2.wav" in page.text
    for apart in (["/a/1.wav", "b/1.wav"], ["1.wav", "a/1.wav"], ["/1.wav", "/2.wav"]):
        _, page = page_of(table_of(apart), tmp_path)
        assert "named by" not in page.text
        assert apart[0] in page.text


def test_columns_without_anything_are_left_out(tmp_path):
    def columns(table):
        texts = page_of(table, tmp_path)[0]
        head = re.search('class="sortable oddest">.*?</thead>', texts, re.DOTALL)[0]
        return re.findall(r'<th scope="col">([^<]*)</th>', head)

    paths = ["a.wav", "b.wav"]
    bare = offkey.ScoreTable(path=paths, anomaly_score=[1.0, 2.0])
    assert columns(bare) == ["recording", "verdict", "anomaly score"]
    whole = table_of(paths, machines=1, label=[0, None], warning=["clipped", None], start_s=[0.0, 10.0])
    assert columns(whole)[3:] == ["threshold", "p-value", "among healthy", "at", "length", "label", "warning"]


def test_with_labels_there_are_figures_and_curves(tmp_path):
    table = table_of([f"{at:03}.wav" for at in range(200)], labels=True)
    _, page = page_of(table, tmp_path)
    result = offkey.evaluate(table).overall[0]
    assert f"The AUC is {result.auc:.3f} (95% interval {result.auc_interval[0]:.3f}" in page.text
    assert "Of 160 recordings labelled normal" in page.text
    names = [attrs["aria-label"] for tag, attrs in page.elements if "aria-label" in attrs]
    for kind in ("Scores of fan 00", "Histogram of", "ROC curve of fan 01", "False alarms of fan 00"):
        assert any(name.startswith(kind) for name in names)


def test_one_class_alone_has_no_roc_curve(tmp_path):
    _, page = page_of(table_of(["a.wav", "b.wav", "c.wav"], label=[0, 0, 0]), tmp_path)
    assert not any("ROC" in attrs.get("aria-label", "") for _, attrs in page.elements)
    assert "Of 3 recordings labelled normal" in page.text


def test_labels_of_clips_are_taken_where_scores_have_none(tmp_path):
    from offkey.datasets import Clip, Clips

    def clips(labels):
        return Clips(
            Clip(
                path=Path(f"{at}.wav"),
                machine_type="fan",
                machine_id="00",
                label=label,
                split="test",
                group="",
            )
            for at, label in enumerate(labels)
        )

    bare = offkey.ScoreTable(
        path=["0.wav", "1.wav", "2.wav"], anomaly_score=[0.0, 1.0, 2.0], decision=[0, 0, 1]
    )
    _, page = page_of(bare, tmp_path, labels=clips([0, 1]))
    assert "1 of 3 rows of scores have no label in the data" in page.text
    assert "Of 1 recording labelled anomalous 0 (0%) were found" in page.text
    assert page.count("section", id="machine-2") == 1  # that which no clip names
    table = table_of(["0.wav", "1.wav"], label=[0, 0])
    with pytest.raises(DatasetError, match=r"disagree on 1\.wav"):
        page_of(table, tmp_path, labels=clips([0, 1]))
    with pytest.raises(DatasetError, match="none of the 3 recordings is among the 0"):
        page_of(bare, tmp_path, labels=clips([None]))
    with pytest.raises(ParameterError, match="belong to scores"):
        page_of(
            offkey.evaluate(table_of(["0.wav", "1.wav"], label=[0, 1], machines=1)),
            tmp_path,
            labels=clips([0]),
        )


def test_scores_lie_over_time_where_names_say_it(tmp_path):
    days = [f"fan_2026-05-{day:02}T12-00-00.wav" for day in range(1, 29)]
    _, page = page_of(table_of(days, machines=1), tmp_path)
    assert "time, as the recordings' names say" in page.text
    assert "02 May 07 May 12 May" in page.text
    _, page = page_of(table_of(["a.wav", "b.wav"], machines=1), tmp_path)
    assert "row, in the order of the table" in page.text


@pytest.mark.parametrize("as_file", [False, True])
def test_hostile_names_are_text(tmp_path, as_file):
    hostile = [f"{at}{name}" for at in range(3) for name in HOSTILE]
    n = len(hostile)
    table = table_of(
        hostile,
        machine_id=hostile,
        machine_type=[HOSTILE[1]] * n,
        warning=[*hostile[:-2], None, None],
        error=[*[None] * (n - 2), *HOSTILE[:2]],
    )
    if as_file:
        table.write(tmp_path / "s.json")
    text, page = page_of(tmp_path / "s.json" if as_file else table, tmp_path)
    assert page.count("script") == 1
    assert page.count("img") == 0
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert "<script>alert(1)</script>.wav" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert "line\\nend\\u202eevitaN.wav" in page.text
    assert "not-utf8-\\udcff.wav" in page.text
    assert all(letter.isprintable() for letter in set(text) - {"\n"})


def test_the_policy_names_the_script_and_the_style_of_the_page(tmp_path):
    text, page = page_of(table_of(["a.wav", "b.wav"]), tmp_path)
    policy = next(attrs["content"] for tag, attrs in page.elements if "http-equiv" in attrs)
    for tag in ("script", "style"):
        content = re.search(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")


def test_many_machines_and_rows_are_summarised(tmp_path):
    n = 6000
    text, page = page_of(table_of([f"{at:05}.wav" for at in range(n)], machines=1), tmp_path)
    assert len(text) < 200_000
    assert "the middle 80%" in page.text
    text, page = page_of(table_of([f"{at:05}.wav" for at in range(n)], machines=n // 2), tmp_path)
    assert len(text) < 1_000_000
    assert page.count("section", **{"class": "machine"}) == 30
    assert "30 of 3,000 machines have a section of their own" in page.text
    assert "2,970 more machines are not listed" in page.text


def test_failures_windows_and_missing_decisions(tmp_path):
    table = offkey.ScoreTable(
        path=["a.wav", "a.wav", "b.wav", "<c>.wav"],
        start_s=[0.0, 150.0, None, None],
        anomaly_score=[1.0, 3.0, 2.0, None],
        error=[None, None, None, "<c>.wav: is silent"],
    )
    _, page = page_of(table, tmp_path)
    assert (
        "3 recordings of 1 machine (recordings of no known machine): 2 have a score; 1 could not" in page.text
    )
    assert "There are no decisions" in page.text
    assert "2:30 min" in page.text
    assert "is silent" in page.text


def test_a_table_without_any_score(tmp_path):
    _, page = page_of(offkey.ScoreTable(path=["a.wav"], error=["a.wav: empty"]), tmp_path)
    assert "0 have a score; 1 could not be scored" in page.text
    assert page.count("svg") == 0


def test_evaluations_and_what_is_none(tmp_path):
    table = table_of([f"{at}.wav" for at in range(50)], labels=True)
    result = offkey.evaluate(table)
    result.write(tmp_path / "e.json")
    ((_, read),) = read_results(tmp_path / "e.json").evaluations
    assert read == result
    _, page = page_of([tmp_path / "e.json", result], tmp_path)
    assert f"{result.overall[0].auc:.3f}" in page.text
    broken = json.loads((tmp_path / "e.json").read_text()) | {"ids": [{"auc": 3}]}
    (tmp_path / "e.json").write_text(json.dumps(broken))
    with pytest.raises(DatasetError, match=r"e\.json: not an evaluation as offkey writes it"):
        page_of(tmp_path / "e.json", tmp_path)


def test_parquet_says_what_made_it(tmp_path):
    from offkey.score_file import write

    table = table_of(["a.wav", "b.wav"])
    run = {
        "offkey": "0.1.0",
        "detector": "<b>f00d</b>",
        "options": {"false_alarm_rate": 0.1, "windows": "worst"},
    }
    write(table.columns, [list(table.rows())], tmp_path / "s.parquet", about={"offkey": {"run": run}})
    _, page = page_of(tmp_path / "s.parquet", tmp_path)
    assert "<b>f00d</b>" in page.text
    assert "10% of healthy ones" in page.text


def test_bad_input_is_refused_before_anything_is_written(tmp_path):
    table = table_of(["a.wav", "b.wav"])
    with pytest.raises(ParameterError, match=r"ending '\.pdf'"):
        write_report(table, tmp_path / "r.pdf")
    with pytest.raises(ParameterError, match="results: none"):
        write_report([], tmp_path / "r.html")
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "none.csv", tmp_path / "r.html")
    with pytest.raises(DatasetError, match="each recording in one of them"):
        table.write(tmp_path / "s.csv")
        write_report([table, tmp_path / "s.csv"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


@pytest.mark.parametrize("values", [[1.0], [0.0, 0.0], [1e300, -1e300], [0.0] * 50 + [1e6], [-5.0, 2.0, 7.0]])
def test_scales_hold_all_values_and_have_ticks(values):
    scale = Scale.of(values, start=200.0, end=10.0)
    places = scale(values)
    assert np.isfinite(places).all()
    assert (places <= 200).all()
    assert (places >= 10).all()
    assert 1 <= len(scale.ticks()) <= 12


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Recordings with a table of scores, of which the first is loud in its second half."""
    root = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    (root / "deep").mkdir()
    for at in range(3):
        soundfile.write(root / "deep" / f"{at}.wav", 0.1 * rng.standard_normal(24_000), 16_000, "PCM_16")
    return root


def test_recordings_are_shown_and_played(recordings, tmp_path):
    table = table_of([f"elsewhere/deep/{at}.wav" for at in range(3)] + ["gone.wav"], machines=1)
    seen = []
    text, page = page_of(table, tmp_path, recordings=recordings, on_progress=lambda *at: seen.append(at))
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert page.count("audio") == page.count("image") == 3
    assert "1 of 4 recordings are not shown: gone.wav: is not below" in page.text
    links = [attrs["href"] for tag, attrs in page.elements if tag == "a"]
    assert len(links) == 3
    assert all(page.count("details", **{"class": "clip", "id": link[1:]}) == 1 for link in links)
    for uri in re.findall(r'src="data:audio/flac;base64,([^"]+)"', text):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(uri)))
        assert (len(samples), rate) == (24_000, 16_000)
    picture = re.search(r'href="data:image/png;base64,([^"]+)"', text)[1]
    assert base64.b64decode(picture).startswith(b"\x89PNG")


def test_nothing_outside_the_folder_is_read(recordings, tmp_path):
    (tmp_path / "in").mkdir()
    reader = ClipReader(tmp_path / "in", None)
    secret = recordings / "deep" / "0.wav"
    for path in (secret, Path("..") / recordings.name / "deep" / "0.wav", tmp_path / "in" / ".." / "x.wav"):
        shown = reader.clip(path, anchor="a", machine_id=None, start_s=None)
        assert shown == f"{path}: is not below {tmp_path / 'in'}"
    (tmp_path / "in" / "bad.wav").write_bytes(b"a diary")
    assert "bad.wav" in reader.clip(Path("bad.wav"), anchor="a", machine_id=None, start_s=None)


def test_recordings_of_eight_channels_are_shown_by_one(tmp_path):
    tone = np.sin(np.arange(16_000) / 5)
    soundfile.write(tmp_path / "8.wav", np.stack([tone, *[0 * tone] * 7], axis=1) * 0.5, 16_000, "PCM_16")
    clip = ClipReader(tmp_path, None).clip(Path("8.wav"), anchor="a", machine_id=None, start_s=None)
    np.testing.assert_allclose(clip.samples, tone * 0.5, atol=1e-4)


def test_of_a_long_recording_the_place_of_its_scores_is_shown(tmp_path):
    ramp = np.repeat(np.linspace(0, 0.9, 60), 16_000)
    soundfile.write(tmp_path / "long.wav", ramp, 16_000, "PCM_16")
    clip = ClipReader(tmp_path, None).clip(Path("long.wav"), anchor="a", machine_id=None, start_s=33.0)
    assert len(clip.samples) == 20 * 16_000
    assert clip.samples[100] == pytest.approx(ramp[33 * 16_000], abs=1e-3)
    assert ">35<" in clip.drawing


def test_sounds_take_what_is_left_of_the_page(recordings):
    reader = ClipReader(recordings, None)
    clips = [
        reader.clip(Path(f"deep/{at}.wav"), anchor=f"c{at}", machine_id=None, start_s=None) for at in range(3)
    ]
    players, notes = players_of(clips, most_bytes=10**6)
    assert {player.coding for player in players.values()} == {"FLAC"}
    assert notes == []
    whole = sum(len(player.uri) for player in players.values())
    players, notes = players_of(clips, most_bytes=whole // 2)
    assert list(players) == ["c0", "c1", "c2"]
    assert {player.coding for player in players.values()} == {"Opus, lossy"}
    assert "Opus, which is lossy" in notes[0]
    players, notes = players_of(clips, most_bytes=len(players["c0"].uri) + 1000)
    assert list(players) == ["c0"]
    assert "2 of 3 recordings have no player" in notes[1]
