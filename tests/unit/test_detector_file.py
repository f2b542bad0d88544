"""The file of a saved detector: what is written comes back, and nothing damaged is ever read."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from offkey import detector_file
from offkey.errors import DetectorFileError
from offkey.models.spectral import Spectral
from offkey.recipe import Recipe, Scoring

ARRAYS = {"mean": np.arange(6, dtype=np.float64).reshape(2, 3), "kernel": np.ones(4, np.float32)}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "fan.offkey"
    detector_file.write(path, ARRAYS, {"machine": "fan"})
    return path


def test_what_was_written_comes_back(saved):
    arrays, metadata = detector_file.read(saved)
    assert metadata["machine"] == "fan"
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


def test_the_same_detector_gives_the_same_bytes(saved, tmp_path):
    again = tmp_path / "again.offkey"
    for _ in range(5):
        detector_file.write(again, dict(reversed(ARRAYS.items())), {"machine": "fan"})
        assert again.read_bytes() == saved.read_bytes()


def test_every_flipped_byte_is_noticed(saved, tmp_path):
    data = saved.read_bytes()
    broken = tmp_path / "broken.offkey"
    for position in range(len(data)):
        changed = bytearray(data)
        changed[position] ^= 0x15
        broken.write_bytes(changed)
        with pytest.raises(DetectorFileError, match=r"broken\.offkey"):
            detector_file.read(broken)


def test_every_truncation_is_noticed(saved, tmp_path):
    data = saved.read_bytes()
    broken = tmp_path / "broken.offkey"
    for length in range(len(data)):
        broken.write_bytes(data[:length])
        with pytest.raises(DetectorFileError, match=r"broken\.offkey"):
            detector_file.read(broken)


def test_a_newer_format_says_to_upgrade(tmp_path, monkeypatch):
    path = tmp_path / "new.offkey"
    with monkeypatch.context() as patch:
        patch.setattr(detector_file, "FORMAT_VERSION", 99)
        detector_file.write(path, ARRAYS, {})
    with pytest.raises(DetectorFileError, match=r"format 99.*upgrade offkey"):
        detector_file.read(path)


def test_strangers_are_refused_by_name(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(ARRAYS, path)
    with pytest.raises(DetectorFileError, match="not one that offkey wrote"):
        detector_file.read(path)
    for label in ([1], {"header": {}, "sha256": ""}, {"header": {"format_version": "x"}, "sha256": ""}):
        save_file(ARRAYS, path, metadata={"offkey": json.dumps(label)})
        with pytest.raises(DetectorFileError, match="metadata is not what offkey writes"):
            detector_file.read(path)
    with pytest.raises(FileNotFoundError):
        detector_file.read(tmp_path / "none.offkey")
    with pytest.raises(DetectorFileError, match="is a folder"):
        detector_file.read(tmp_path)


def test_nothing_half_written_is_left(tmp_path):
    with pytest.raises(FileNotFoundError):
        detector_file.write(tmp_path / "missing" / "fan.offkey", ARRAYS, {})
    with pytest.raises(ValueError, match="JSON"):
        detector_file.write(tmp_path / "fan.offkey", ARRAYS, {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def old(**changes):
    header = {
        "format_version": 1,
        "recipe": '{"name": "old", "scoring": {"quantile": 0.99}, "spectral": {}}',
        "notes": ["of the data", "of a model", "of the fusion"],
        "models": {"network": {"notes": ["of a model"]}},
        "fusion": {"chosen": ["a_maha"]},
    }
    return header | changes


def test_an_earlier_format_is_read_as_this_one_writes():
    header = detector_file.upgraded(old(), where="old.offkey")
    assert header["format_version"] == detector_file.FORMAT_VERSION
    assert header["notes"] == ["of the data"]
    assert header["fusion"] == {"chosen": ["a_maha"], "notes": ["of the fusion"], "criteria": {}}
    assert header["models"]["network"] == {"notes": ["of a model"], "outputs": None, "provenance": {}}
    assert header["training"] is None
    scoring = Recipe.from_json(header["recipe"]).scoring
    assert scoring == Scoring(false_alarm_rate=0.01, holdout_clips=0)
    without = detector_file.upgraded(old(models={"spectral": {"notes": []}}), where="old.offkey")
    assert len(without["notes"]) == 3


def test_a_spectral_model_of_format_3_is_of_the_first_edition_whatever_the_default_is():
    recipe = '{"name": "old", "spectral": {"tau": 0.02}}'
    header = detector_file.upgraded({"format_version": 3, "recipe": recipe}, where="old.offkey")
    first_edition = {"spectra": (), "rhythm": False, "check_margin": 0.0}
    assert Recipe.from_json(header["recipe"]) == Recipe(
        name="old", spectral=Spectral(tau=0.02, **first_edition)
    )
    assert Spectral.first_edition() == Spectral(**first_edition)
    network = Recipe.named("small").to_json()
    header = detector_file.upgraded({"format_version": 3, "recipe": network}, where="old.offkey")
    assert Recipe.from_json(header["recipe"]) == Recipe.named("small")


@pytest.mark.parametrize(
    "changes", [{"models": []}, {"models": {"network": 1}}, {"fusion": 3}, {"notes": None}]
)
def test_what_no_earlier_format_has_is_refused(changes):
    with pytest.raises(DetectorFileError, match=r"old\.offkey: its metadata are not those of format 1"):
        detector_file.upgraded(old(**changes), where="old.offkey")
