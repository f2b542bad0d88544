"""The exceptions of offkey. Built-in causes keep built-in exceptions (`FileNotFoundError` and its kin)."""

from __future__ import annotations

__all__ = [
    "ArrayError",
    "AudioError",
    "ClusterError",
    "DatasetError",
    "DetectorFileError",
    "DeviceError",
    "MissingExtraError",
    "OffkeyError",
    "OffkeyWarning",
    "ParameterError",
    "RecipeError",
    "TrainingError",
    "UnsupportedAudioError",
]


class OffkeyError(Exception):
    """Base class of every exception that offkey itself raises."""


class OffkeyWarning(UserWarning):
    """What a user should know of a call that goes on: recordings of another rate, IDs that are not known."""


class AudioError(OffkeyError, ValueError):
    """A sound file whose bytes are not what its format demands: corrupt, truncated, empty, a lying header."""


class UnsupportedAudioError(AudioError):
    """A well-formed file of a format or codec that offkey does not read; the message names it."""


class ArrayError(OffkeyError, ValueError):
    """An array of the wrong shape, dtype or content."""


class ParameterError(OffkeyError, ValueError):
    """A parameter outside its range."""


class DatasetError(OffkeyError, ValueError):
    """A dataset whose files, names or labels are not what its layout demands."""


class RecipeError(OffkeyError, ValueError):
    """A recipe that is unknown, malformed or contradicts itself."""


class TrainingError(OffkeyError, RuntimeError):
    """Training that cannot start or go on: nothing to train, a loss that is not finite, another run's checkpoint."""


class DetectorFileError(OffkeyError, ValueError):
    """A saved detector that is damaged, is none, or comes from a newer version."""


class DeviceError(OffkeyError, RuntimeError):
    """A device that is not there, such as CUDA on a machine without a GPU."""


class ClusterError(OffkeyError, RuntimeError):
    """A cluster that cannot score: a worker lacks the package, sees other recordings, or dies again and again."""


class MissingExtraError(OffkeyError, ImportError):
    """An optional dependency is not installed; the message names the extra that brings it."""
