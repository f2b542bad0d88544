"""Folders of empty files: the loaders read names, not sounds."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest


def touch(root: Path, names: Iterable[str]) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def refuse_to_list(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make folders of that name fail as if their permissions did not allow to list them (root may list all)."""
    scandir = os.scandir

    def failing(path):
        if not isinstance(path, int) and Path(path).name == name:
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)


def dcase_names(
    kind: str, ids: Iterable[str], *, train: int = 3, normal: int = 2, anomaly: int = 2
) -> list[str]:
    return [
        f"{kind}/{split}/{label}_id_{machine_id}_{index:08d}.wav"
        for machine_id in ids
        for split, label, count in (
            ("train", "normal", train),
            ("test", "normal", normal),
            ("test", "anomaly", anomaly),
        )
        for index in range(count)
    ]


def mimii_names(folder: str, ids: Iterable[str], *, normal: int = 6, abnormal: int = 2) -> list[str]:
    return [
        f"{folder}/id_{machine_id}/{label}/{index:08d}.wav"
        for machine_id in ids
        for label, count in (("normal", normal), ("abnormal", abnormal))
        for index in range(count)
    ]
