"""What `survey` says of folders: counts by machine, ID, split and label; rates, channels and lengths by headers."""

import json

import numpy as np
import pytest
import soundfile
from mixed_folder import mixed_folder
from trees import dcase_names, mimii_names, refuse_to_list, touch

from offkey.datasets import dcase2020, folder, survey
from offkey.datasets.survey import read_headers
from offkey.errors import AudioError, DatasetError, ParameterError


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    return mixed_folder(tmp_path_factory.mktemp("survey") / "mixed", unreadable=False)


def by_key(seen):
    return {row.key[1:4]: row for row in seen.rows}


def test_a_mixed_folder(mixed, monkeypatch):
    refuse_to_list("press-c", monkeypatch)
    seen = survey(mixed)
    assert (seen.layout, seen.recordings, seen.refusal) == ("folder", 23, None)
    assert seen.machines == {"mixed": ["press-a", "press-b"]}
    rows = by_key(seen)
    assert {key: row.recordings for key, row in rows.items()} == {
        ("press-a", "test", 1): 1,
        ("press-a", "train", 0): 13,
        ("press-b", "test", 1): 2,
        ("press-b", "train", 0): 7,
    }
    assert rows["press-a", "train", 0].unreadable == 3
    row = rows["press-b", "train", 0]
    assert row.sample_rates == {16_000: 4, 44_100: 1, 48_000: 2}
    assert row.channels == {1: 5, 2: 2}
    assert row.formats == {"WAV PCM_16": 5, "FLAC PCM_16": 1, "OGG VORBIS": 1}
    assert (row.shortest_s, row.longest_s, row.total_s) == (0.5, 50.0, 66.5)
    counts = {}
    for passed in seen.passed_over:
        counts[passed.kind] = counts.get(passed.kind, 0) + 1
    assert counts == {
        "file": 3,
        "folder": 1,
        "format": 5,
        "unfinished": 1,
        "special": 1,
        "link": 1,
        "again": 1,
        "archive": 1,
        "hidden": 3,
        "other": 4,
    }
    assert seen.unread
    assert json.loads(json.dumps(seen.to_dict()))["rows"][1]["sample_rates"] == {"16000": 10}


def test_training_sees_the_same(mixed, monkeypatch):
    refuse_to_list("press-c", monkeypatch)
    seen, data = survey(mixed), folder(mixed)
    assert data.survey().rows == seen.rows
    assert set(data.passed_over) == {passed for passed in seen.passed_over if passed.kind != "file"}


def test_text_for_a_person(mixed, monkeypatch):
    refuse_to_list("press-c", monkeypatch)
    table, *rest = survey(mixed).to_text().split("\n\n")
    lines = table.splitlines()
    shown = ["machine", "ID", "split", "label", "recordings", "unreadable", "length", "Hz", "channels"]
    assert lines[0].split() == shown
    assert "0.5 s to 50 s" in table
    assert "16000 (4), 44100 (1), 48000 (2)" in table
    assert "domain" not in table
    assert "- other files: 4 (" in rest[0]
    assert rest[0].count("empty.wav") == 1


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["normal/1.wav", "before_fault/2.wav"], "do not settle"),
        (["2026-11-01/1.wav", "2026-11-02/2.wav"], "they are dates or counters"),
        (["NG/normal_1.wav", "OK/2.wav"], "says healthy"),
    ],
)
def test_a_folder_that_training_refuses_is_seen_and_the_refusal_said(tmp_path, names, why):
    root = touch(tmp_path / "d", names)
    with pytest.raises(DatasetError):
        folder(root)
    seen = survey(root)
    assert seen.recordings == len(names)
    assert why in seen.refusal
    assert f"nothing is learned from this as it is: {root}" in seen.to_text()


def test_a_folder_without_healthy_recordings(tmp_path):
    root = touch(tmp_path / "d", ["NG/1.wav"])
    assert survey(root).notes == ("d: no healthy recording to learn from",)


def test_options_are_those_of_training(tmp_path):
    root = touch(tmp_path / "d", ["before_fault/1.wav", "x/2.wav", "y/3.wav", "y/4.wav"])
    seen = survey(root, labels={"before_fault": "faulty"}, id_from="none", test_fraction=0.5)
    assert seen.refusal is None
    assert {row.key[1:4]: row.recordings for row in seen.rows} == {
        ("00", "train", 0): 1,
        ("00", "test", 0): 2,
        ("00", "test", 1): 1,
    }
    with pytest.raises(ParameterError, match="snr_db = 0"):
        survey(root, snr_db=0)
    with pytest.raises(ParameterError, match="test_fraction"):
        survey(root, test_fraction=-1)


def test_all_types_of_dcase2020(tmp_path):
    names = [*dcase_names("fan", ["00", "02"]), *dcase_names("pump", ["00"]), *dcase_names("ToyCar", ["01"])]
    seen = survey(touch(tmp_path, [*names, "stray.wav"]))
    assert seen.layout == "dcase2020"
    assert seen.machines == {"ToyCar": ["01"], "fan": ["00", "02"], "pump": ["00"]}
    assert {row.key[2:4]: row.recordings for row in seen.rows if row.key.machine_type == "pump"} == {
        ("train", 0): 3,
        ("test", 0): 2,
        ("test", 1): 2,
    }
    assert [p.path.name for p in seen.passed_over if p.kind == "layout"] == ["stray.wav"]
    fan = survey(tmp_path, machine="fan")
    assert {row.key: row.recordings for row in fan.rows} == {
        row.key: row.recordings for row in dcase2020(tmp_path, machine="fan").survey().rows
    }
    with pytest.raises(DatasetError, match="no machine type 'valve'"):
        survey(tmp_path, machine="valve")


def test_mimii_at_every_ratio(tmp_path):
    touch(tmp_path, [*mimii_names("0_dB/fan", ["00"]), *mimii_names("-6_dB_pump", ["02"])])
    seen = survey(tmp_path)
    assert {(row.key.machine_type, row.key.domain) for row in seen.rows} == {
        ("fan", "0 dB"),
        ("pump", "-6 dB"),
    }
    assert "domain" in seen.table()
    assert {row.key.domain for row in survey(tmp_path, snr_db=0).rows} == {"0 dB"}


def test_headers_in_order_whatever_the_threads(tmp_path):
    paths = [tmp_path / f"{i}.wav" for i in range(150)]
    for i, path in enumerate(paths):
        soundfile.write(path, np.zeros(i + 1), 8000)
    paths[70].write_bytes(b"junk")
    done = []
    for num_threads in (1, 3):
        headers = list(
            read_headers(paths, num_threads=num_threads, on_progress=lambda *given: done.append(given))
        )
        assert isinstance(headers[70], AudioError)
        assert [h.frames for h in headers if not isinstance(h, Exception)] == [
            i + 1 for i in range(150) if i != 70
        ]
    assert done == [(150, 150)] * 2


def test_a_long_table_is_cut_and_says_so(tmp_path):
    root = touch(tmp_path / "d", [f"press {chr(97 + i // 10)}{chr(97 + i % 10)}/1.wav" for i in range(60)])
    assert survey(root).table().splitlines()[-1] == "and 20 rows more"
