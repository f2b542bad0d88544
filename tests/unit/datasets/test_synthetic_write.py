"""Writing synthetic datasets: layouts, lists, resuming, whole files only."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from offkey.datasets import dcase2020, folder, mimii, synthetic
from offkey.errors import DatasetError, ParameterError

SMALL = {
    "seconds": 1.0,
    "sample_rate": 8_000,
    "clips_train": 4,
    "clips_test_normal": 3,
    "clips_test_anomaly": 3,
}


def contents(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def dcase_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic") / "dcase"
    synthetic.write(root, ids=("00", "02"), eval_ids=("01",), machines=("fan", "valve"), **SMALL)
    return root


@pytest.fixture(scope="module")
def mimii_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("synthetic") / "mimii"
    synthetic.write(root, layout="mimii", ids=("00",), machines=("fan", "pump"), snr_db=(-6, 0, 6), **SMALL)
    return root


def test_dcase_layout(dcase_root):
    data = synthetic.load(dcase_root, machine="fan")
    assert (
        data.clips.paths
        == dcase2020(dcase_root / "dev_data", machine="fan", also=dcase_root / "eval_data").clips.paths
    )
    assert set(data.train.machine_ids) == {"00", "01", "02"}
    assert (len(data.train), len(data.test), len(data.others)) == (12, 18, 12)
    assert data.test.labels.sum() == 9
    assert not [note for note in data.notes if "labels from" not in note]
    for path in data.clips.paths:
        info = soundfile.info(path)
        assert (info.channels, info.samplerate, info.frames, info.subtype) == (1, 8_000, 8_000, "PCM_16")


def test_evaluation_names_tell_no_label(dcase_root):
    names = sorted(p.name for p in (dcase_root / "eval_data" / "fan" / "test").iterdir())
    assert names == [f"id_01_{i:08d}.wav" for i in range(6)]
    lines = (dcase_root / "eval_data_list.csv").read_text().split("\n")
    assert lines[0] == "fan"
    assert lines[7] == "valve"
    labels = [line.split(",") for line in lines[1:7]]
    assert sorted(label for *_, label in labels) == ["0"] * 3 + ["1"] * 3
    assert all(original.startswith(("normal", "anomaly")[int(label)]) for _, original, label in labels)


def test_manifest_names_fault_and_severity(dcase_root):
    with (dcase_root / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 3 * 10
    for row in rows:
        assert (dcase_root / row["file"]).is_file()
        faults = synthetic.FAULTS[row["machine_type"]]
        assert row["fault"] in (faults if row["label"] == "anomaly" else ("",))
        assert 0 <= float(row["severity"]) <= 1
    assert {row["fault"] for row in rows if row["machine_type"] == "fan"} == {"", *synthetic.FAULTS["fan"]}


def test_the_manifest_is_one_that_folder_reads(dcase_root):
    by_list = folder(dcase_root, manifest="manifest.csv", machine="fan")
    by_names = synthetic.load(dcase_root, machine="fan")
    assert set(by_list.train) == set(by_names.train)
    assert set(by_list.test) == set(by_names.test)


def test_mimii_layout(mimii_root):
    for snr_db in (-6, 0, 6):
        data = synthetic.load(mimii_root, machine="pump", snr_db=snr_db)
        assert list(data.clips) == list(mimii(mimii_root, machine="pump", snr_db=snr_db).clips)
        assert (len(data.train), len(data.test), len(data.others)) == (4, 6, 4)
        info = soundfile.info(data.clips.paths[0])
        assert (info.channels, info.format, info.subtype) == (8, "WAVEX", "PCM_16")
    random = synthetic.load(mimii_root, machine="pump", snr_db=0, split="random75")
    assert (len(random.train), len(random.test)) == (5, 5)


def test_mimii_mixes_the_same_recording_at_every_snr(mimii_root):
    names = [p.relative_to(mimii_root / "0_dB_fan") for p in sorted((mimii_root / "0_dB_fan").rglob("*.wav"))]
    quiet, loud = (soundfile.read(mimii_root / f"{snr}_dB_fan" / names[0])[0][:, 0] for snr in (6, -6))
    assert 0.3 < np.corrcoef(quiet, loud)[0, 1] < 0.99


def test_the_bytes_do_not_depend_on_the_workers(dcase_root, tmp_path):
    synthetic.write(
        tmp_path / "x", ids=("00", "02"), eval_ids=("01",), machines=("fan", "valve"), num_workers=1, **SMALL
    )
    assert contents(tmp_path / "x") == contents(dcase_root)


def test_a_file_is_what_render_gives(dcase_root):
    plan = synthetic.plan.Plan(
        **json.loads((dcase_root / "synthetic.json").read_text())
        | dict.fromkeys(["machines"], ("fan", "valve"))
        | {"ids": ("00", "02"), "eval_ids": ("01",), "snrs_db": (0.0,)}
    )
    job = next(job for job in synthetic.plan.jobs(plan) if job.fault == "bearing")
    sound = synthetic.render(
        "fan",
        job.machine_id,
        clip=job.clip,
        fault="bearing",
        severity=job.severity,
        seconds=1.0,
        sample_rate=8_000,
    )
    written, _ = soundfile.read(dcase_root / job.files[0], dtype="int16")
    np.testing.assert_array_equal(written, np.rint(sound[0] * np.float32(32767)).astype(np.int16))


def test_the_world_of_the_premise_has_the_same_healthy_recordings_and_other_faults(dcase_root, tmp_path):
    setting = {"ids": ("00", "02"), "eval_ids": ("01",), "machines": ("fan", "valve"), **SMALL}
    synthetic.write(tmp_path / "premise", world="premise", **setting)
    factory, premise = contents(dcase_root), contents(tmp_path / "premise")
    assert "world" not in json.loads(factory["synthetic.json"])
    assert factory.keys() == premise.keys()
    with (tmp_path / "premise" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["fault"] for row in rows} == {"", "towards_other_id", "towards_other_type"}
    for row in rows:
        name = row["file"]
        assert (factory[name] == premise[name]) == (row["label"] == "normal"), name
        assert len(factory[name]) == len(premise[name])
    assert synthetic.load(tmp_path / "premise", machine="fan").test.labels.sum() == 9


def test_a_dataset_of_one_world_does_not_go_on_as_another(tmp_path):
    setting = {"ids": ("00",), "machines": ("fan",), **SMALL}
    synthetic.write(tmp_path, **setting)
    with pytest.raises(DatasetError, match="world = 'factory', now 'premise'"):
        synthetic.write(tmp_path, world="premise", resume=True, **setting)
    with pytest.raises(ParameterError, match="world = 'ideal': expected one of factory, premise"):
        synthetic.write(tmp_path / "new", world="ideal", **setting)


def test_with_a_far_microphone_the_near_channel_is_what_it_is_without(dcase_root, tmp_path):
    setting = {"ids": ("00", "02"), "eval_ids": ("01",), "machines": ("fan", "valve"), **SMALL}
    synthetic.write(tmp_path / "far", far_db=-20.0, **setting)
    assert "far_db" not in json.loads((dcase_root / "synthetic.json").read_text())
    data = synthetic.load(tmp_path / "far", machine="valve")
    assert {clip.channels for clip in data.clips} == {("near", "far")}
    for clip in data.clips:
        both, _ = soundfile.read(clip.path, dtype="int16")
        near, _ = soundfile.read(dcase_root / clip.path.relative_to(tmp_path / "far"), dtype="int16")
        np.testing.assert_array_equal(both[:, 0], near)
        assert both.shape == (8_000, 2)
        assert both[:, 1].any()
    with pytest.raises(DatasetError, match=r"far_db = -20\.0, now None"):
        synthetic.write(tmp_path / "far", resume=True, **setting)


def test_another_seed_is_another_dataset(dcase_root, tmp_path):
    synthetic.write(tmp_path, ids=("00",), machines=("fan",), seed=1, **SMALL)
    name = "dev_data/fan/train/normal_id_00_00000000.wav"
    assert (tmp_path / name).read_bytes() != (dcase_root / name).read_bytes()


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(DatasetError, match=r"not empty; give a new one, or resume=True"):
        synthetic.write(tmp_path, **SMALL)
    with pytest.raises(DatasetError, match=r"no synthetic\.json in it"):
        synthetic.write(tmp_path, resume=True, **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(DatasetError, match="expected a folder, given a file"):
        synthetic.write(tmp_path / "thesis.txt", **SMALL)


def test_resume_makes_only_what_is_missing(tmp_path):
    options = {"ids": ("00",), "machines": ("fan",), **SMALL}
    first = synthetic.write(tmp_path, **options)
    assert (first.files, first.kept) == (10, 0)
    before = contents(tmp_path)
    wavs = sorted(tmp_path.rglob("*.wav"))
    wavs[0].unlink()
    wavs[1].write_bytes(wavs[1].read_bytes()[:500])  # as after a power cut
    again = synthetic.write(tmp_path, resume=True, **options)
    assert (again.files, again.kept) == (10, 8)
    assert contents(tmp_path) == before


def test_resume_with_other_parameters_is_refused(tmp_path):
    synthetic.write(tmp_path, ids=("00",), machines=("fan",), **SMALL)
    before = contents(tmp_path)
    with pytest.raises(
        DatasetError, match=r"other parameters: machines = \('fan',\), now \('pump',\), seed = 0, now 3"
    ):
        synthetic.write(tmp_path, ids=("00",), machines=("pump",), seed=3, resume=True, **SMALL)
    assert contents(tmp_path) == before


def test_progress_counts_clips_in_the_calling_thread(tmp_path):
    import threading

    calls = []
    synthetic.write(
        tmp_path,
        ids=("00",),
        machines=("fan",),
        progress=lambda done, total: calls.append((done, total, threading.current_thread())),
        **SMALL,
    )
    assert [c[:2] for c in calls] == [(i, 10) for i in range(1, 11)]
    assert {c[2] for c in calls} == {threading.current_thread()}


def test_an_error_in_progress_stops_and_leaves_only_whole_files(tmp_path):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthetic.write(tmp_path, ids=("00", "02"), machines=("fan",), progress=stop, **SMALL)
    found = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix not in (".json", ".csv")]
    assert len(found) < 20
    assert all(soundfile.info(p).frames == 8_000 for p in found)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL on Windows")
def test_a_killed_run_leaves_no_half_file_and_can_go_on(tmp_path):
    code = f"""
import sys
from offkey.datasets import synthetic
def progress(done, total):
    print(done, flush=True)
synthetic.write(sys.argv[1], ids=("00", "02", "04"), machines=("fan", "pump"), progress=progress, **{SMALL!r})
"""
    root = tmp_path / "killed"
    with subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True) as run:
        for line in run.stdout:
            if int(line) >= 7:
                run.send_signal(signal.SIGKILL)
                break
    wavs = [p for p in root.rglob("*.wav") if not p.name.startswith(".")]
    assert len(wavs) >= 7
    assert all(soundfile.info(p).frames == 8_000 for p in wavs)
    options = {"ids": ("00", "02", "04"), "machines": ("fan", "pump"), **SMALL}
    synthetic.write(root, resume=True, **options)
    synthetic.write(tmp_path / "whole", **options)
    assert contents(root) == contents(tmp_path / "whole")


def test_load_says_what_is_wrong(tmp_path, mimii_root):
    with pytest.raises(FileNotFoundError):
        synthetic.load(tmp_path / "nowhere", machine="fan")
    with pytest.raises(DatasetError, match="no synthetic dataset"):
        synthetic.load(tmp_path, machine="fan")
    with pytest.raises(ValueError, match="has -6, 0, 6 dB; name one"):
        synthetic.load(mimii_root, machine="fan")
    (tmp_path / "synthetic.json").write_text('{"layout": 3}')
    with pytest.raises(DatasetError, match=r"synthetic\.json: damaged"):
        synthetic.load(tmp_path, machine="fan")


def test_a_full_disk_names_the_recording_and_leaves_no_part_of_it(tmp_path, monkeypatch):
    write_bytes = Path.write_bytes

    def full(path, content):
        if ".wav" in path.name:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/\w+\.wav'"):
        synthetic.write(tmp_path / "out", machines=("fan",), ids=("00",), **SMALL)
    assert [path.name for path in (tmp_path / "out").rglob("*wav*")] == []
