"""Which test clip each row of a score table is of, also where recordings were scored under another folder."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from offkey.errors import DatasetError

__all__ = ["Matched", "matched"]

_TRIED = 50  # scored files by which folders are told to be the same


class Matched(NamedTuple):
    """Where the scored files are."""

    files: list[str]
    """The resolved path of each: of the clip that it is, or its own."""
    note: str | None
    """What a user should know where the folder is another one."""


class _Move(NamedTuple):
    """A folder under which recordings were scored, and the one where they are now."""

    scored: tuple[str, ...]
    clips: tuple[str, ...]

    @classmethod
    def between(cls, scored: PurePath, clip: PurePath) -> _Move:
        """Return the move by which as much as possible of both paths stays the same."""
        a, b = scored.parts, clip.parts
        same = 0
        while same < min(len(a), len(b)) and a[-1 - same] == b[-1 - same]:
            same += 1
        return cls(a[: len(a) - same], b[: len(b) - same])

    def keeps_names(self, root: PurePath) -> bool:
        """Say whether no folder changes its name that a relative path has, or that lies below the data's root."""
        return set(self.scored) <= {".."} or self.clips == root.parts[: len(self.clips)]

    def apply(self, path: PurePath) -> PurePath | None:
        if path.parts[: len(self.scored)] != self.scored:
            return None
        return PurePath(*self.clips, *path.parts[len(self.scored) :])

    def __str__(self) -> str:
        return f"{PurePath(*self.scored)} as {PurePath(*self.clips)}"


def matched(scored: Sequence[Path], clips: Sequence[Path], *, root: Path | None = None) -> Matched:
    """Find the clips that scored files are.

    They are the files that their paths lead to. Where these do not exist, because the scores were made in another
    working folder or the recordings have moved since, all scored files are taken to have moved together: from one
    folder to another, below which their paths are the same. That is all of a relative path, or all below `root`. The
    folders are those by which the most files match.

    Parameters
    ----------
    scored
        Paths as the score table has them.
    clips
        Those of the clips.
    root
        The folder of the data; by default the deepest one that holds all clips.

    Raises
    ------
    DatasetError
        If several pairs of folders match as many files.
    """
    files = [os.path.realpath(path) for path in scored]
    known = {os.path.realpath(path): path.absolute() for path in clips}
    if not known or not known.keys().isdisjoint(files) or any(map(os.path.exists, files)):
        return Matched(files, None)
    base = (
        PurePath(os.path.commonpath([path.parent for path in known.values()]))
        if root is None
        else root.absolute()
    )
    ranked = _moves(scored, list(known.values()), base)
    if not ranked:
        return Matched(files, None)
    move, count = ranked[0]
    if len(ranked) > 1 and ranked[1][1] == count:
        raise DatasetError(
            f"scores and data lie in different folders, and {count} of {len(scored)} scored files match either way, "
            f"reading {move} or {ranked[1][0]}: score the recordings again from this folder, or give as data the one "
            "folder that was scored"
        )
    by_path = {PurePath(path): file for file, path in known.items()}
    places = [move.apply(path) for path in scored]
    files = [
        file if place is None else by_path.get(place, file) for place, file in zip(places, files, strict=True)
    ]
    return Matched(
        files, f"scored in another folder: {count} of {len(scored)} files matched by reading {move}"
    )


def _moves(scored: Sequence[Path], clips: Sequence[Path], root: PurePath) -> list[tuple[_Move, int]]:
    """Return the two moves by which the most scored files are clips, and how many."""
    by_name: dict[str, list[Path]] = {}
    for clip in clips:
        by_name.setdefault(clip.name, []).append(clip)
    tried = [path for path in scored if path.name in by_name][:_TRIED]
    moves = {_Move.between(path, clip) for path in tried for clip in by_name[path.name]}
    known = set(clips)
    counts = Counter(
        {move: sum(move.apply(path) in known for path in scored) for move in moves if move.keeps_names(root)}
    )
    return counts.most_common(2)
