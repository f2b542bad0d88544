"""`offkey train`."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

import offkey as package


def test_a_detector_is_written_and_notes_go_to_stderr(offkey, tree):
    shown = offkey("train", tree, "--machine", "fan", "--out", "fan.offkey")
    assert shown.code == 0
    assert shown.out == ""
    assert "note: spectral: " in shown.err
    assert shown.err.splitlines()[-1].startswith("detector of fan written to fan.offkey")
    assert package.load("fan.offkey").machine_ids == ("00", "02")


def test_json_describes_the_detector(train, tree):
    shown = train(tree, "--machine", "fan", "-o", "fan.offkey", "--json")
    described = json.loads(shown.out)
    assert (described["recipe"], described["machine"]) == ("spectral", "fan")
    assert set(described["thresholds"]) == {"00", "02"}


def test_a_network_says_how_each_stage_went_and_goes_on_from_its_checkpoint(offkey, tree, tiny, tmp_path):
    arguments = ["train", tree, "--machine", "fan", "--recipe", tiny, "--device", "cpu"]
    first = offkey(*arguments, "--out", "a.offkey", "--checkpoint", "new/a.checkpoint")
    assert first.code == 0
    assert "stage 1 (id, augmentation): 2 epochs, loss " in first.err
    again = offkey(*arguments, "--out", "b.offkey", "--checkpoint", "new/a.checkpoint")
    assert "resuming from new/a.checkpoint after 3 epochs" in again.err
    assert (tmp_path / "a.offkey").read_bytes() == (tmp_path / "b.offkey").read_bytes()


def test_unreadable_recordings_are_named_and_make_the_exit_code_3(train, own_tree):
    broken = sorted((own_tree / "fan" / "train").iterdir())[:2]
    broken[0].write_bytes(b"")
    broken[1].write_bytes(broken[1].read_bytes()[:500])
    shown = train(own_tree, "--machine", "fan", "--out", "fan.offkey")
    assert shown.code == 3
    for path in broken:
        assert f"note: left out of training: {path}" in shown.err
    assert package.load("fan.offkey").machine == "fan"


def test_recordings_longer_than_max_seconds_are_left_out(train, own_tree):
    long = own_tree / "fan" / "train" / "normal_id_00_00000003.wav"
    sf.write(long, 0.1 * np.random.default_rng(0).standard_normal(48_000), 16_000)
    arguments = (own_tree, "--machine", "fan", "--out", "fan.offkey")
    shown = train(*arguments, "--max-seconds", "2")
    assert shown.code == 3
    assert f"{long}: longer than 2 s" in shown.err
    assert train(*arguments).code == 0


def test_a_file_name_that_is_no_text_cannot_play_tricks_with_the_terminal(train, own_tree):
    path = own_tree / "fan" / "train" / "normal_id_00_\x1b[2Jx\n.wav"
    path.write_bytes(b"")
    shown = train(own_tree, "--machine", "fan", "--out", "fan.offkey")
    assert shown.code == 3
    assert "\x1b[2J" not in shown.err
    assert r"normal_id_00_\x1b[2Jx\n.wav" in shown.err


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ('{"name": "x", "spectral": {"foo": 1}}', r"unknown field `foo` - at `$.spectral`"),
        ('{"name": "x", "spectral": {"folds": 1}}', "$.spectral.folds"),
        ('{"name": "x", "spectral": {}, "features": {"n_mels": "many"}}', "$.features.n_mels"),
        ('{"name": "x", "spectral": {}, "scoring": {"false_alarm_rate": 1}}', "$.scoring.false_alarm_rate"),
        ('{"name": "x", "spectral": {}, "features": {"n_fft": 1001}}', "n_fft = 1001"),
        ('{"name": "x", "spectral": {}, "features": {"window": "hanning"}}', "$.features.window"),
        ('{"name": "x", "spectral": {}, "features": {"f_min_hz": 9000}}', "f_min_hz"),
        ('{"name": "x", "spectral": {}, "scoring": {"combine": "a_out"}}', "scoring.combine"),
        ('{"name": "x", "network": {"dim": 65}}', "Network.dim = 65"),
        ('{"name": "x", "network": {"kernel_size": 4}}', "kernel_size"),
        ('{"name": "x", "network": {}, "training": {"batch_size": 1}}', "batch_size"),
        ('{"name": "x", "network": {}, "training": {"augmentation": {"snr_db": [6, -6]}}}', "snr_db"),
        ('{"name": "x"}', "expected at least one model"),
        ('{"name": "x", ', "r.json: recipe: not valid JSON"),
        ("\xff", "r.json: recipe: not valid JSON"),
        ("[]", "expected an object, given list"),
    ],
)
def test_a_bad_recipe_is_refused_by_field_before_anything_is_read(
    offkey, own_tree, tmp_path, recipe, message
):
    for path in (own_tree / "fan" / "train").iterdir():
        path.write_bytes(b"")  # whoever read one of them would complain of it
    (tmp_path / "r.json").write_bytes(recipe.encode("latin-1"))
    shown = offkey("train", own_tree, "--machine", "fan", "--recipe", "r.json", "--out", "x.offkey")
    assert shown.code == 2
    assert message in shown.err
    assert "wav" not in shown.err
    assert not (tmp_path / "x.offkey").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "x.offkey"], "nowhere: no such folder"),
        (["{tree}", "--out", "x.offkey"], "several machine types, fan, pump"),
        (["{tree}", "--machine", "toaster", "--out", "x.offkey"], "toaster"),
        (["{tree}", "--machine", "fan", "--out", "no/x.offkey"], "no: no such folder"),
        (["{tree}", "--machine", "fan", "--out", "."], "is a folder"),
        (["{tree}", "--machine", "fan", "--out", "/proc/x.offkey"], "/proc/x.offkey: "),
        (["{tree}", "--machine", "fan", "--out", "x.offkey", "--recipe", "best"], "recipe 'best'"),
        (["{tree}", "--machine", "fan", "--out", "x.offkey", "--threads", "0"], "--threads 0: "),
        (["{tree}", "--machine", "fan", "--out", "x.offkey", "--seed", "-1"], "--seed -1: "),
        (["{tree}", "--machine", "fan", "--out", "x.offkey", "--snr-db", "6"], "--snr-db 6.0: "),
        (["{tree}", "--machine", "fan", "--out", "x.offkey", "--manifest", "none.csv"], "none.csv"),
        (["{tree}", "--machine", "fan", "--out", "x.offkey", "--checkpoint", "c"], "no network"),
    ],
)
def test_bad_input_to_train_is_one_line_and_writes_no_detector(offkey, tree, tmp_path, arguments, message):
    shown = offkey("train", *(argument.format(tree=tree) for argument in arguments))
    assert shown.code == 2
    assert shown.out == ""
    *seen, error = shown.err.splitlines()
    assert error.startswith("error: ")
    assert message in error
    assert not seen or seen[0].startswith("machine IDs to learn: ")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_sounds_and_one_without_normals(train, tmp_path, tree):
    (tmp_path / "empty").mkdir()
    shown = train("empty", "--out", "x.offkey")
    assert (shown.code, "empty: no sound file" in shown.err) == (2, True)
    faulty = tmp_path / "faulty" / "fan" / "test"
    faulty.mkdir(parents=True)
    for path in (tree / "fan" / "test").glob("anomaly*"):
        (faulty / path.name).write_bytes(path.read_bytes())
    shown = train("faulty", "--layout", "folder", "--out", "x.offkey")
    assert (shown.code, "no normal training clip" in shown.err) == (2, True)


@pytest.mark.parametrize("what", ["folder", "stranger"])
def test_a_checkpoint_that_is_none_is_refused_at_once(offkey, own_tree, tiny, tmp_path, what):
    for path in (own_tree / "fan" / "train").iterdir():
        path.write_bytes(b"")
    if what == "folder":
        (tmp_path / "c").mkdir()
    else:
        (tmp_path / "c").write_bytes(b"diary")
    shown = offkey(
        "train", own_tree, "--machine", "fan", "--recipe", tiny, "--out", "x.offkey", "--checkpoint", "c"
    )
    assert shown.code == 2
    assert "c: " in shown.err
    assert "wav" not in shown.err


@pytest.mark.parametrize("recipe", ["spectral", "tiny"])
def test_cuda_without_cuda_is_refused_before_anything_is_read(offkey, own_tree, tiny, monkeypatch, recipe):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for path in (own_tree / "fan" / "train").iterdir():
        path.write_bytes(b"")
    name = tiny if recipe == "tiny" else recipe
    arguments = ("train", own_tree, "--machine", "fan", "--recipe", name, "--out", "x.offkey")
    shown = offkey(*arguments, "--device", "cuda")
    assert shown.code == 2
    assert "device 'cuda'" in shown.err
    assert "wav" not in shown.err


def test_a_baseline_is_trained_shown_and_scores(offkey, tree):
    shown = offkey(
        "train", tree, "--machine", "fan", "--recipe", "ae", "--set", "ae.epochs=2", "ae.hidden=[16]",
        "--device", "cpu", "--metrics", "losses.jsonl", "--out", "fan.offkey",
    )  # fmt: skip
    assert shown.code == 0
    assert len(Path("losses.jsonl").read_text().splitlines()) == 2
    assert json.loads(offkey("info", "fan.offkey", "--json").out)["scores"] == ["a_ae"]
    assert offkey("score", "fan.offkey", tree / "fan" / "test", "--out", "scores.csv").code == 0
    assert "a_ae" in Path("scores.csv").read_text().splitlines()[0]


def test_neighbours_are_found_among_what_an_onnx_file_gives(offkey, tree, tmp_path):
    import onnx_models

    file = onnx_models.write(tmp_path / "filters.onnx")
    sets = ("--set", f"knn.encoder={file}", "knn.distance=cosine")
    assert (
        offkey("train", tree, "--machine", "fan", "--recipe", "knn", *sets, "--out", "fan.offkey").code == 0
    )
    shown = json.loads(offkey("info", "fan.offkey", "--json").out)
    assert shown["provenance"]["knn"]["encoder"] == file
    assert offkey("score", "fan.offkey", tree / "fan" / "test", "--out", "scores.csv").code == 0
    assert "a_knn" in Path("scores.csv").read_text().splitlines()[0]
    onnx_models.write(file, seed=1)
    shown = offkey("score", "fan.offkey", tree / "fan" / "test")
    assert shown.code == 2
    assert "another one than the detector was fitted with" in shown.err
