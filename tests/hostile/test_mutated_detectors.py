"""Whatever is wrong with a saved detector: it loads, or the error names the file, and memory stays bounded."""

import os
import random
import resource
import time
import warnings
from pathlib import Path

import pytest
from mutated_detectors import NO_DETECTORS, RAW_LABELS, mutated
from safetensors.numpy import save

import offkey
from offkey import detector_file
from offkey.errors import DetectorFileError

GOLDEN = Path(__file__).parents[1] / "golden" / "0.1.0"
MAX_GROWTH_KB = 1 << 20
SECONDS = float(os.environ.get("OFFKEY_FUZZ_SECONDS", "20"))


def check(path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with warnings.catch_warnings(action="ignore"):
            offkey.load(path).describe()
    except DetectorFileError as error:
        assert path.name in str(error)  # noqa: PT017 - what is not needed may be of any kind
    growth = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert growth < MAX_GROWTH_KB, f"{growth} kB for a file of {path.stat().st_size} bytes"


@pytest.mark.parametrize("label", RAW_LABELS, ids=lambda label: label[:40])
def test_a_label_that_is_no_label(label, tmp_path):
    path = tmp_path / "x.offkey"
    path.write_bytes(save({}, metadata={"offkey": label}))
    with pytest.raises(DetectorFileError, match=r"x\.offkey: damaged"):
        offkey.load(path)


@pytest.mark.parametrize("kind", NO_DETECTORS)
def test_a_file_that_is_no_detector(kind, tmp_path):
    path = tmp_path / "x.offkey"
    path.write_bytes(NO_DETECTORS[kind])
    with pytest.raises(DetectorFileError, match=r"x\.offkey: "):
        offkey.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"machine": []},
        {"training": []},
        {"notes": "x"},
        {"notes": {"x": 1}},
        {"recipe": "{}"},
        {"recipe": None},
        {"models": {"wavelet": {}}},
        {"models": None},
        {"fusion": []},
    ],
    ids=str,
)
def test_metadata_of_another_kind(change, tmp_path):
    arrays, metadata = detector_file.read(GOLDEN / "spectral.offkey")
    detector_file.write(tmp_path / "x.offkey", arrays, metadata | change)
    with pytest.raises(DetectorFileError, match=r"x\.offkey: "):
        offkey.load(tmp_path / "x.offkey")


@pytest.mark.parametrize("name", ["spectral", "paper", "both"])
def test_mutated_detectors(name, tmp_path):
    if name != "spectral":
        pytest.importorskip("torch")
    arrays, metadata = detector_file.read(GOLDEN / f"{name}.offkey")
    for seed in range(20):
        (tmp_path / "x.offkey").write_bytes(mutated(arrays, metadata, random.Random(seed)))
        check(tmp_path / "x.offkey")


@pytest.mark.long
@pytest.mark.timeout(SECONDS + 300)
def test_mutated_detectors_for_long(tmp_path):
    """As many as there is time for: `OFFKEY_FUZZ_SECONDS`, other ones each time but in the gate."""
    detectors = [detector_file.read(path) for path in sorted(GOLDEN.glob("*.offkey"))]
    start, seed = time.monotonic(), 0 if os.environ.get("CI") else random.SystemRandom().randrange(1 << 60)
    while time.monotonic() < start + SECONDS:
        rng = random.Random(seed)
        path = tmp_path / f"seed-{seed}.offkey"
        path.write_bytes(mutated(*rng.choice(detectors), rng))
        check(path)
        path.unlink()
        seed += 1
    print(f"the last of them has seed {seed - 1}")
