"""The groups of contenders, a module each."""

from __future__ import annotations

import importlib

from peers.harness import Group

NAMES = (
    "decode",
    "resample",
    "logmel",
    "frames",
    "statistics",
    "endtoend",
    "whole",
    "pitch",
    "stretch",
    "noise",
    "shift",
    "fade",
    "masks",
    "batch",
    "mahalanobis",
    "forms",
    "fit",
    "roc",
)


def load(name: str) -> Group:
    """The group that the module of this name holds."""
    group: Group = importlib.import_module(f"peers.{name}").group
    return group
