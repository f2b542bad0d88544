"""`offkey score` with several detectors."""

import shutil

import pytest


@pytest.fixture
def second(detector, tmp_path):
    return shutil.copy(detector, tmp_path / "second.offkey")


def test_each_detector_writes_a_result_of_its_own(offkey, detector, second, tree, tmp_path):
    recordings = tree / "fan" / "test"
    alone = offkey("score", detector, recordings, "--out", "alone.csv")
    shown = offkey("score", detector, second, recordings, "--out", "scores.csv")
    assert shown.code == alone.code == 0
    for name in (detector.stem, "second"):
        assert f"--- scores-{name}.csv" in shown.err
        assert (tmp_path / f"scores-{name}.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert "scores-second.csv is there already" in (
        offkey("score", detector, second, recordings, "--out", "scores.csv").err
    )


def test_shards_of_several_say_how_they_are_merged(offkey, detector, second, tree, tmp_path):
    recordings = tree / "fan" / "test"
    shown = offkey("score", detector, second, recordings, "--out", "scores.csv", "--shard", "1/1")
    assert shown.code == 0
    for number in (1, 2):
        shown = offkey("score", detector, second, recordings, "--out", "parts.csv", "--shard", f"{number}/2")
    assert (
        f"offkey score --merge parts-{detector.stem}.csv; offkey score --merge parts-second.csv" in shown.err
    )
    assert offkey("score", "--merge", "parts-second.csv").code == 0
    assert (tmp_path / "parts-second.csv").read_bytes() == (tmp_path / "scores-second.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "expected --out"),
        (("--out", "s.csv", "--json"), "--json: takes one detector"),
        (("--out", "s.csv", "--new-only"), "--new-only: takes one detector"),
        (("--out", "s.csv", "--failed", "f.txt"), "--failed: takes one detector"),
    ],
)
def test_what_one_detector_alone_takes_is_refused(
    offkey, detector, second, tree, tmp_path, arguments, message
):
    shown = offkey("score", detector, second, tree / "fan" / "test", *arguments)
    assert (shown.code, message in shown.err) == (2, True)
    assert not list(tmp_path.glob("s*.csv"))


def test_two_detectors_of_one_name_are_refused(offkey, detector, second, tree, tmp_path):
    (tmp_path / "b").mkdir()
    twin = shutil.copy(second, tmp_path / "b" / "second.offkey")
    shown = offkey("score", second, twin, tree / "fan" / "test", "--out", "s.csv")
    assert (shown.code, "two have the same name" in shown.err) == (2, True)
