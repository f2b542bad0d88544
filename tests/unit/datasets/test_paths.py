"""Portions of files that fit in memory."""

import pytest

from offkey.datasets.paths import portions


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([100] * 130, [64, 64, 2]),
        ([60_000_000, 60_000_000, 10, 10], [1, 3]),  # bytes count, not files
        ([300_000_000, 300_000_000, 10], [1, 1, 1]),  # hour-long recordings come one by one
        ([None, 100, None], [3]),  # files that are not there are told of when they are read
    ],
)
def test_portions_are_bounded_in_files_and_bytes(tmp_path, sizes, expected):
    paths = [tmp_path / f"{i}.wav" for i in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        if size is not None:
            with path.open("wb") as file:
                file.truncate(size)
    found = list(portions(paths))
    assert [len(portion) for portion in found] == expected
    assert [path for portion in found for path in portion] == paths
