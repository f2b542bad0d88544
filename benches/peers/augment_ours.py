"""offkey as a contender of the peers' script: `python augment.py --plugin benches/peers/augment_ours.py`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from offkey import augment

FADE = 8000
SHIFT = 12_345

Effect = Callable[..., np.ndarray]

EFFECTS: dict[str, Effect] = {
    "pitch": lambda x, **out: augment.pitch_shift(x, semitones=2.0, **out),
    "stretch": lambda x, **out: augment.time_stretch(x, rate=1.1, **out),
    "shift": lambda x, **out: augment.time_shift(x, samples=SHIFT, **out),
    "fade": lambda x, **out: augment.fade(x, fade_in=FADE, fade_out=FADE, **out),
    "noise": lambda x, **out: augment.white_noise(x, snr_db=20.0, seed=1, **out),
    "tmask_spec": lambda x, **out: augment.time_mask(x, start=100, width=40, value=0.0, **out),
    "fmask_spec": lambda x, **out: augment.frequency_mask(x, start=30, width=20, value=0.0, **out),
}
IN_PLACE = ("fade", "tmask_spec", "fmask_spec")


def register(suite: Any) -> None:
    """Add each effect twice: into a new array, and into one of the caller's."""
    import __main__ as script  # the peers' script, which has the clips and the checks of quality

    checks = {"shift": script.shift_check, "fade": script.fade_check, "noise": script.noise_check}

    def bench(case: str, threads: int, effect: Effect) -> Any:
        inputs = script.specs() if case.endswith("_spec") else None
        check = checks[case](effect) if case in checks else None
        return script.bench(case, threads, effect, check=check, inputs=inputs)

    @suite.contender("offkey", cases=tuple(EFFECTS), kind="ours")
    def fresh(case: str, threads: int) -> Any:
        return bench(case, threads, EFFECTS[case])

    @suite.contender("offkey, out=", cases=tuple(EFFECTS), kind="ours")
    def reused(case: str, threads: int) -> Any:
        effect, local = EFFECTS[case], threading.local()

        def into(x: np.ndarray) -> np.ndarray:
            if case in IN_PLACE:
                return effect(x, out=x)
            length = round(len(x) / 1.1) if case == "stretch" else len(x)
            if getattr(local, "out", np.empty(0)).shape != (length,):
                local.out = np.empty(length, np.float32)
            return effect(x, out=local.out)

        return bench(case, threads, into)
