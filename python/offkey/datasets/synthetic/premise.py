"""A world in which the premise of outlier exposure holds: faults sound like other machines.

A network that is taught to tell machine IDs and machine types apart hears those faults that move a sound towards other
IDs or types. Here all of them do: a worn machine takes on a part of the sound of another one. Healthy recordings are
the same as in the factory, where machines fail in ways of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offkey.datasets.synthetic.signals import Fault, Grid

__all__ = ["TOWARDS", "blended", "other_machine"]

TOWARDS: tuple[str, ...] = ("towards_other_id", "towards_other_type")
"""The faults of this world, the same for all machine types."""

_IDS = tuple(f"{number:02d}" for number in range(7))
"""The machines of DCASE 2020: with 00, 02, 04 and 06 in training, as usual, three are heard in faults alone."""

_PLAIN_DB, _SPAN_DB = 6.0, 18.0


def other_machine(
    fault: Fault, machine_type: str, machine_id: str, *, types: Sequence[str]
) -> tuple[str, str]:
    """Return type and ID of the machine that a faulty one sounds like, drawn from the fault's stream."""
    same_type = fault.kind == "towards_other_id"
    candidates = [name for name in types if (name == machine_type) == same_type]
    ids = [name for name in _IDS if not same_type or name != machine_id]
    return str(fault.rng.choice(candidates)), str(fault.rng.choice(ids))


def blended(fault: Fault, healthy: np.ndarray, other: np.ndarray, grid: Grid) -> np.ndarray:
    """Return the half spectrum of a machine with a part of another one's sound, as loud as when plain."""
    level = fault.level(fault.kind, plain_db=_PLAIN_DB, span_db=_SPAN_DB)
    mixed: np.ndarray = healthy + grid.scaled(other, level * grid.rms(healthy))
    return mixed
