"""The protocols of public tasks: which figures they ask for, and their submission files."""

from __future__ import annotations

from offkey.evaluation import protocols, submission

__all__ = ["protocols", "submission"]
