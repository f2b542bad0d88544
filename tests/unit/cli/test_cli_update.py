"""`offkey update`."""

import json
import shutil

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording

import offkey as package


@pytest.fixture
def june(tmp_path):
    folder = tmp_path / "june"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for n in range(6):
        sf.write(folder / f"x_id_00_{n}.wav", recording(rng, hum_hz=90.0), RATE)
    return folder


def test_new_recordings_are_learned_and_the_table_says_what_changed(offkey, detector, june):
    shown = offkey("update", detector, june, "--force", "--out", "new.offkey")
    assert shown.code == 0
    header, _, first, second = shown.out.splitlines()
    assert header.split() == ["machine_id", "learned", "threshold", "new"]
    assert first.split()[:2] == ["00", "6"]
    assert second.split()[:2] == ["02", "0"]
    assert "next: offkey score new.offkey RECORDINGS" in shown.err
    assert (
        "takes 19 calibration clips of a machine; ID 00 (18), 02 (12)" in shown.err
    )  # what the update has changed
    assert "note: spectral: the label-free check chose" not in shown.err
    facts = json.loads(offkey("info", "new.offkey", "--json").out)
    assert [event["kind"] for event in facts["history"]] == ["fit", "update"]
    assert facts["calibration_clips"]["00"] == 18
    assert package.load(detector).describe()["calibration_clips"]["00"] == 12
    lines = [line.rstrip() for line in offkey("info", "new.offkey").out.splitlines()]
    history = lines[lines.index("history:") + 1 : lines.index("notes:")]
    starts = [at for at, line in enumerate(history) if line.startswith("  - kind:")]
    assert [history[at].split()[-1] for at in starts] == ["fit", "update"]
    assert all(line.startswith("    ") for at, line in enumerate(history) if at not in starts)


def test_the_same_file_may_be_written_and_what_was_learned_is_passed_over(offkey, detector, june, tmp_path):
    own = shutil.copy(detector, tmp_path / "own.offkey")
    shown = offkey("update", own, june, "--force", "--out", own, "--json")
    assert shown.code == 0
    assert json.loads(shown.out)["clips"] == {"00": 6}
    before = own.read_bytes()
    shown = offkey("update", own, june, "--force", "--out", own)
    assert shown.code == 2
    assert "learned already, and passed over: 6 of 6 recordings" in shown.err
    assert own.read_bytes() == before


def test_a_fault_is_learned_only_by_force(offkey, detector, tree):
    fault = tree / "fan" / "test" / "anomaly_id_00_00000000.wav"
    shown = offkey("update", detector, fault, "--out", "new.offkey")
    assert shown.code == 2
    assert "called anomalous, and not learned: 1 of 1 recordings" in shown.err
    assert "with --force: " in shown.err
    assert offkey("update", detector, fault, "--out", "new.offkey", "--force").code == 0


def test_unreadable_recordings_make_the_exit_code_3(offkey, detector, june):
    (june / "bad_id_00.wav").write_bytes(b"")
    shown = offkey("update", detector, june, "--force", "--out", "new.offkey")
    assert shown.code == 3
    assert "bad_id_00.wav" in shown.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{tree}", "--machine-id", "99"], "of ID '99', which the detector does not know"),
        (["nowhere"], "nowhere: no such file or folder"),
        (["{tree}", "--max-seconds", "0"], "--max-seconds 0.0: expected seconds above 0"),
    ],
)
def test_bad_input_is_one_line_and_writes_no_detector(offkey, detector, tree, tmp_path, arguments, message):
    names = {"tree": tree / "fan" / "test"}
    shown = offkey("update", detector, *(text.format(**names) for text in arguments), "--out", "new.offkey")
    assert shown.code == 2
    assert message in shown.err
    assert not (tmp_path / "new.offkey").exists()
