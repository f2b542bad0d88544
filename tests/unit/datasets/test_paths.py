"""Portions of files that fit in memory once they are decoded."""

import struct

import numpy as np
import pytest
import soundfile

from offkey.datasets import paths as paths_module
from offkey.datasets.paths import portions


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Let a portion hold a thousandth of what it usually does."""
    monkeypatch.setattr(paths_module, "_PORTION_BYTES", 100_000)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], []),
        ([10] * 130, [64, 64, 2]),
        ([15_000, 15_000, 10, 10], [1, 3]),  # samples count, not files
        ([75_000, 75_000, 10], [1, 1, 1]),  # long recordings come one by one
        ([None, 100, None], [3]),  # files that are not there are told of when they are read
    ],
)
@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_portions_are_bounded_in_files_and_decoded_bytes(tmp_path, kind, frames, expected):
    files = [tmp_path / str(i) for i in range(len(frames))]
    for path, count in zip(files, frames, strict=True):
        if count is not None:
            soundfile.write(path, np.zeros(count, np.int16), 16_000, format=kind)
    found = list(portions(files))
    assert [len(portion) for portion in found] == expected
    assert [path for portion in found for path in portion] == files


def test_portions_count_samples_at_the_rate_that_is_asked_for(tmp_path):
    files = [tmp_path / f"{i}.wav" for i in range(2)]
    for path in files:
        soundfile.write(path, np.zeros(10_000, np.int16), 8000)
    assert len(list(portions(files))) == 1
    assert len(list(portions(files, sample_rate=16_000))) == 2


def test_a_file_of_unknown_length_counts_as_the_longest_that_it_can_be(tmp_path):
    files = [tmp_path / f"{i}.mp3" for i in range(2)]
    soundfile.write(files[0], 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000, format="MP3")
    content = files[0].read_bytes()
    frame = 4 + 9 + 4  # where the header of a frame of MPEG 2 in mono ends, and its length would stand
    assert content[13:17] == b"Info" or content[13:17] == b"Xing"
    content = content[:13] + struct.pack(">I", 0) + content[frame:]  # no such header any more
    for path in files:
        path.write_bytes(content)
    assert len(list(portions(files))) == 2
