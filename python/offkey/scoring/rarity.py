"""P-values in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["odds"]


def odds(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return how rare so odd a sound is among healthy recordings, such as ``about``, ``1 in 240``."""
    one_in, clips = 1 / row["p_value"], row["calibration_clips"] or math.inf  # not all tables say how many
    how = "about"
    if row["calibration"] == "tail":
        # An estimate says nothing of what is a hundred times rarer than its clips.
        how = "fewer than" if one_in > 100 * clips else how
        one_in = min(one_in, 100 * clips)
    elif one_in > clips:
        how = "at most"
    return how, f"1 in {one_in:,.0f}" if one_in >= 9.95 else f"1 in {one_in:.2g}"
