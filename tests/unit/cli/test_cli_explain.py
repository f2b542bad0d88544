"""`offkey explain`."""

import json
import sys

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording


@pytest.fixture
def odd(tree):
    return sorted((tree / "fan" / "test").glob("anomaly_id_0?_00000000.wav"))


def test_text_and_json_say_the_same(offkey, detector, odd):
    shown = offkey("explain", detector, *odd)
    assert shown.code == 0
    assert shown.err == ""
    printed = json.loads(offkey("explain", detector, *odd, "--json").out)["explanations"]
    lines = shown.out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == [str(path) for path in odd]
    sentences = [sentence for one in printed for sentence in one["sentences"]]
    assert [line.strip() for line in lines if line.startswith(" ")] == sentences


def test_a_picture(offkey, detector, odd, tmp_path):
    pytest.importorskip("matplotlib")
    shown = offkey("explain", detector, odd[0], "--out", "map.png")
    assert shown.code == 0
    assert shown.err == "picture written to map.png\n"
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")


def test_one_picture_numbered_pictures_and_a_folder(offkey, detector, odd, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("offkey.report.explanation_plot", lambda _, path: path.touch())
    assert offkey("explain", detector, odd[0], "--out", "map.png").code == 0
    assert offkey("explain", detector, *odd, "--out", "maps.svg").code == 0
    assert offkey("explain", detector, odd[0], odd[0], "--out", "maps").code == 0
    written = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    stem = odd[0].stem
    assert written == ["map.png", "maps-1.svg", "maps-2.svg", f"maps/{stem}-2.png", f"maps/{stem}.png"]


def test_sounds_with_and_without_the_healthy_one(offkey, detector, odd, tree, tmp_path):
    shown = offkey("explain", detector, odd[0], "--listen", "new/sounds", "--healthy", tree)
    assert shown.code == 0
    assert len(shown.err.splitlines()) == 3
    stem = odd[0].stem
    names = sorted(path.name for path in (tmp_path / "new" / "sounds").iterdir())
    assert names == [f"{stem}-healthy.wav", f"{stem}-odd.wav", f"{stem}.wav"]
    (tmp_path / "empty").mkdir()
    shown = offkey("explain", detector, odd[0], "--listen", "other", "--healthy", "empty")
    assert shown.code == 0
    assert "no healthy recording that is like it was found in empty" in shown.err
    assert len(list((tmp_path / "other").iterdir())) == 2


def test_sounds_are_written_over_nothing(offkey, detector, odd, tmp_path):
    """The recording itself might be there."""
    recording = tmp_path / odd[0].name
    recording.write_bytes(odd[0].read_bytes())
    shown = offkey("explain", detector, recording, "--listen", ".")
    assert shown.code == 2
    assert f"{recording.name}: is there already" in shown.err
    assert shown.out == ""
    assert recording.read_bytes() == odd[0].read_bytes()
    assert offkey("explain", detector, recording, "--listen", "sounds").code == 0
    assert offkey("explain", detector, recording, "--listen", "sounds").code == 2


def test_names_of_sounds_that_would_meet_are_numbered(offkey, detector, odd, tmp_path):
    for name in ("a.wav", "a-odd.wav"):
        (tmp_path / name).write_bytes(odd[0].read_bytes())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.wav").write_bytes(odd[0].read_bytes())
    options = ("--machine-id", "00", "--listen", "sounds")
    assert offkey("explain", detector, "a.wav", "a-odd.wav", "b/a.wav", *options).code == 0
    written = sorted(path.name for path in (tmp_path / "sounds").iterdir())
    assert written == ["a-2-odd.wav", "a-2.wav", "a-odd-2-odd.wav", "a-odd-2.wav", "a-odd.wav", "a.wav"]


def test_names_cannot_add_lines_or_leave_the_folder(offkey, detector, odd, tmp_path):
    pytest.importorskip("matplotlib")
    names = ["id_00_-rf.wav", "id_00_\n  It sounds fine.wav", "id_00_$x$ <script>.wav", "id_00_\x1b[31m.wav"]
    folder = tmp_path / "-odd"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(odd[0].read_bytes())
    shown = offkey("explain", detector, folder, "--listen", "sounds", "--out", "maps")
    assert shown.code == 0
    assert "\x1b" not in shown.out + shown.err
    assert not any(line.startswith("  It sounds fine") for line in shown.out.splitlines())
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == sorted(
        name.removesuffix(".wav") + ".png" for name in names
    )
    assert len(list((tmp_path / "sounds").iterdir())) == 2 * len(names)


def test_odd_recordings(offkey, detector, odd, tmp_path):
    """Eight channels are scored by the detector's one; a recording with NaN is refused, the others are explained."""
    samples, _ = sf.read(odd[0], dtype="float32")
    sf.write(tmp_path / "id_00_eight.wav", np.stack([samples] + [np.zeros_like(samples)] * 7, axis=1), RATE)
    broken = samples.copy()
    broken[100] = np.nan
    sf.write(tmp_path / "id_00_nan.wav", broken, RATE, "FLOAT")
    sf.write(tmp_path / "id_00_short.wav", samples[:500], RATE)
    shown = offkey("explain", detector, "id_00_eight.wav", "id_00_nan.wav", "id_00_short.wav")
    assert shown.code == 3
    assert "8 channels" in shown.err
    assert "id_00_nan.wav: sample 100 of channel 0 is NaN" in shown.err
    assert [line for line in shown.out.splitlines() if line[0] != " "] == [
        "id_00_eight.wav",
        "id_00_short.wav",
    ]
    alone = offkey("explain", detector, odd[0], "--machine-id", "00").out.splitlines()[1:]
    assert shown.out.splitlines()[1 : 1 + len(alone)] == alone


def test_what_cannot_be_explained_is_named_and_the_rest_goes_on(offkey, detector, odd, tmp_path):
    sf.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
    (tmp_path / "text.wav").write_text("no sound")
    shown = offkey("explain", detector, "silence.wav", odd[0], "text.wav")
    assert shown.code == 3
    assert [line.partition(": ")[0] for line in shown.err.splitlines()] == ["error", "error"]
    assert "silence.wav: silent" in shown.err
    assert str(odd[0]) in shown.out
    assert offkey("explain", detector, "silence.wav").code == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.wav"], "missing.wav"),
        (["{odd}", "--out", "nowhere/map.png"], "nowhere"),
        (["{odd}", "--healthy", "."], "--listen"),
        (["{odd}", "--listen", "sounds", "--healthy", "nowhere"], "nowhere: no such folder"),
        (["{odd}", "--listen", "file"], "is no folder"),
        ([], "RECORDINGS"),
    ],
)
def test_bad_input_is_one_line(offkey, detector, odd, tmp_path, arguments, said):
    (tmp_path / "file").touch()
    shown = offkey("explain", detector, *(text.format(odd=odd[0]) for text in arguments))
    assert shown.code == 2
    assert said in shown.err
    assert shown.out == ""


def test_a_missing_matplotlib_is_said_before_any_work(offkey, odd, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    shown = offkey("explain", "missing.offkey", odd[0], "--out", "map.png")
    assert shown.code == 2
    assert "offkey[report]" in shown.err
    assert "missing.offkey" not in shown.err


def test_another_id_and_rate_of_alarms(offkey, detector, tmp_path):
    sf.write(tmp_path / "monday.wav", recording(np.random.default_rng(1), hum_hz=90.0), RATE)
    options = ("--machine-id", "02", "--false-alarm-rate", "0.5", "--json")
    (one,) = json.loads(offkey("explain", detector, "monday.wav", *options).out)["explanations"]
    assert one["scored_as"] == "02"
    assert one["odd"]


def test_a_recording_on_object_storage(offkey, detector, odd):
    fsspec = pytest.importorskip("fsspec")
    storage = fsspec.filesystem("memory")
    storage.pipe(f"/odd/{odd[0].name}", odd[0].read_bytes())
    try:
        shown = offkey("explain", detector, "memory://odd")
    finally:
        storage.rm("/odd", recursive=True)
    assert shown.code == 0
    first, *sentences = shown.out.splitlines()
    assert first.startswith("memory://")
    assert first.endswith(f"/odd/{odd[0].name}")
    assert sentences == offkey("explain", detector, odd[0]).out.splitlines()[1:]
