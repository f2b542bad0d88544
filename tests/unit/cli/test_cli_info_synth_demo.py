"""`offkey info`, `offkey synth` and `offkey demo`."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from offkey import datasets, load


def test_info_of_a_detector_whatever_its_name(offkey, detector, tmp_path):
    shown = offkey("info", detector)
    assert shown.code == 0
    assert "kind:            detector" in shown.out
    assert "\n  - spectral: " in shown.out
    (tmp_path / "renamed.bin").write_bytes(detector.read_bytes())
    facts = json.loads(offkey("info", "renamed.bin", "--json").out)
    assert (facts["kind"], facts["machine_ids"]) == ("detector", ["00", "02"])


def test_info_shows_notes_as_training_says_them(offkey, detector, tmp_path):
    trained = load(detector)
    note = "give max_seconds=5 to read longer recordings (in Python: Detector.fit)"
    trained._state = dataclasses.replace(trained._state, data_notes=(note,))
    trained.save(tmp_path / "noted.offkey")
    expected = "give --max-seconds 5 to read longer recordings"
    assert f"- {expected}\n" in offkey("info", "noted.offkey").out + "\n"
    assert expected in json.loads(offkey("info", "noted.offkey", "--json").out)["notes"]


def test_info_of_a_folder_that_training_refuses_speaks_of_options(offkey, tree, tmp_path):
    folder = tmp_path / "faulty"
    folder.mkdir()
    shutil.copy(next((tree / "fan" / "test").iterdir()), folder / "1.wav")
    shown = offkey("info", "faulty")
    assert "say so with --label '*=healthy'" in " ".join(shown.out.split())
    assert "in Python" not in shown.out


def test_info_of_a_sound_file_and_of_a_folder(offkey, tree):
    facts = json.loads(offkey("info", tree / "fan" / "test" / "normal_id_00_00000000.wav", "--json").out)
    assert (facts["kind"], facts["sample_rate"], facts["subtype"]) == ("sound file", 16_000, "PCM_16")
    facts = json.loads(offkey("info", tree, "--json").out)
    assert (facts["layout"], facts["recordings"]) == ("dcase2020", 80)
    assert facts["machines"] == {"fan": ["00", "02"], "pump": ["00", "02"]}


def test_info_of_what_is_neither(offkey, detector, tmp_path):
    (tmp_path / "diary.wav").write_bytes(b"dear diary")
    (tmp_path / "cut.offkey").write_bytes(detector.read_bytes()[:5000])
    (tmp_path / "cut.bin").write_bytes(detector.read_bytes()[:5000])
    (tmp_path / "none").mkdir()
    for name in ("diary.wav", "cut.offkey", "cut.bin", "none", "nowhere"):
        shown = offkey("info", name)
        assert (shown.code, shown.out, len(shown.err.splitlines())) == (2, "", 1)
        assert name in shown.err
    assert "damaged" in offkey("info", "cut.bin").err


SYNTH = ("--machines", "fan", "--ids", "00", "--train", "3", "--test-normal", "1", "--test-anomaly", "1")


def test_synth_writes_a_tree_that_train_understands(offkey):
    shown = offkey("synth", "made", *SYNTH, "--seconds", "1", "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["files"] == 5
    assert shown.err.startswith("5 recordings are in made; ")
    assert len(datasets.load("made/dev_data").train) == 3


def test_synth_makes_two_channels_of_which_train_learns_the_near_one(offkey):
    options = ("--machines", "fan", "--ids", "00,02", "--train", "6", "--seconds", "1")
    assert offkey("synth", "made", *options, "--far").code == 0
    shown = offkey("train", "made", "--out", "f.offkey", "--machine", "fan", "--channel", "near,far")
    assert shown.code == 0
    assert "channel 0 (near) is what is learned" in " ".join(shown.err.split())
    refused = offkey("synth", "other", *options, "--far-db", "3")
    assert refused.code != 0
    assert "--far-db 3.0: expected -60 to 0 dB" in refused.err


@pytest.mark.parametrize("snrs", [("-6,0.5",), ("-6", "--snr-db", "0.5")])
def test_synth_takes_lists_with_commas_or_one_by_one(offkey, tmp_path, snrs):
    options = f"--layout mimii --machines fan,pump --ids 00,02 {' '.join(SYNTH[4:])} --seconds 1".split()
    assert offkey("synth", "made", *options, "--snr-db", *snrs).code == 0
    parts = {path.relative_to(tmp_path / "made").parts for path in tmp_path.rglob("*.wav")}
    assert {part[0] for part in parts} == {
        f"{snr}_dB_{machine}" for snr in ("-6", "0.5") for machine in ("fan", "pump")
    }
    assert {part[2] for part in parts} == {"id_00", "id_02"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("full", *SYNTH), "full: the folder is not empty"),
        (("new", *SYNTH, "--seconds", "-1"), "seconds"),
        (("new", *SYNTH, "--threads", "0"), "--threads 0"),
        (("new", *SYNTH, "--ids", "0 0"), "ids"),
    ],
)
def test_synth_refuses_by_name(offkey, tmp_path, arguments, message):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("dear diary")
    shown = offkey("synth", *arguments)
    assert (shown.code, shown.out) == (2, "")
    assert message in shown.err
    assert [path.name for path in tmp_path.rglob("*.wav")] == []


@pytest.fixture
def small_demo(monkeypatch):
    """The demonstration with few and short recordings, and networks that are trained in a second."""
    import offkey.demo

    write = datasets.synthetic.write

    def less(root, **given):
        few = {"clips_train": 8, "clips_test_normal": 3, "clips_test_anomaly": 3, "ids": ("00", "02")}
        return write(root, **(given | few | {"seconds": 1.0}))

    monkeypatch.setattr(offkey.demo.datasets.synthetic, "write", less)
    few_steps = {"near": {"networks": 2, "steps": 10}, "features": {"n_mels": 32}}
    monkeypatch.setitem(offkey.recipe._RECIPES, "near", offkey.recipe._RECIPES["near"] | few_steps)


@pytest.fixture
def opened(monkeypatch):
    """The pages that are opened in the browser; there is no display."""
    pages = []
    monkeypatch.setattr("webbrowser.open", pages.append)
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    return pages


def test_demo_ends_with_tables_a_report_a_picture_and_a_next_step(offkey, small_demo, opened, tmp_path):
    shown = offkey("demo", "--out", "d")
    assert shown.code == 0
    assert opened == []
    assert "Look at d/report.html" in shown.out
    page = (tmp_path / "d" / "report.html").read_text()
    assert "Report on 12 recordings of 2 machines" in page
    assert page.count("<audio ") == 12
    assert "evaluation-near.json" in page
    for text in ("Recipe 'spectral'", "Recipe 'near'", "a_near", "offkey score d/fan-spectral.offkey"):
        assert text in shown.out
    summary = shown.out[shown.out.index("In short") :].splitlines()
    assert [line.split()[0] for line in summary[4:6]] == ["spectral", "near"]
    assert all(line.split()[2] == "of" for line in summary[4:6])
    assert [line[:3] for line in shown.err.splitlines() if line[1:3] == "/4"] == ["1/4", "2/4", "3/4", "4/4"]
    assert (tmp_path / "d" / "overview.png").read_bytes()[:4] == b"\x89PNG"
    recording = next((tmp_path / "d" / "recordings").rglob("*.wav"))
    assert offkey("score", "d/fan-spectral.offkey", recording).code == 0


@pytest.mark.parametrize(
    ("options", "display", "pages"),
    [((), {"DISPLAY": ":0"}, 1), (("--no-open",), {"DISPLAY": ":0"}, 0), (("--json",), {"DISPLAY": ":0"}, 0),
     ((), {}, 0), ((), {"WAYLAND_DISPLAY": "w", "SSH_CONNECTION": "a"}, 0)],
)  # fmt: skip
def test_a_report_is_opened_on_a_display_alone(
    offkey, opened, tmp_path, monkeypatch, options, display, pages
):
    from offkey.demo import DemoResult

    result = DemoResult(
        evaluations={},
        picture=Path("p.png"),
        report=Path("r.html"),
        detectors={"spectral": Path("d")},
        seconds={},
    )
    monkeypatch.setattr("offkey.demo.demo", lambda *_, **__: result)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for name, value in display.items():
        monkeypatch.setenv(name, value)
    assert offkey("demo", *options).code == 0
    assert opened == [(tmp_path / "r.html").as_uri()] * pages


@pytest.mark.long
def test_demo_again_uses_its_recordings_and_refuses_those_of_another_seed(offkey, small_demo, tmp_path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "diary.txt").write_text("dear diary")
    assert offkey("demo").code == 0
    made = {path: path.stat().st_mtime_ns for path in (tmp_path / "demo" / "recordings").rglob("*.wav")}
    assert json.loads(offkey("demo", "--json").out).keys() == {"spectral", "near"}
    shown = offkey("demo", "--seed", "1")
    assert (shown.code, shown.out) == (2, "")
    assert "demo/recordings" in shown.err
    assert {path: path.stat().st_mtime_ns for path in made} == made
    assert (tmp_path / "demo" / "diary.txt").read_text() == "dear diary"
