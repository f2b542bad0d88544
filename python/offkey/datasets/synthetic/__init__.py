"""Synthetic machines: fans, pumps, slide rails and valves, whole and broken, in a noisy factory.

`write` makes a dataset, `is_synthetic` recognises one, `load` reads it back, `render` makes the sound of one clip.
"""

from __future__ import annotations

from offkey.datasets.synthetic.premise import TOWARDS
from offkey.datasets.synthetic.scene import FAULTS, MACHINES, render
from offkey.datasets.synthetic.write import PLACES, Written, is_synthetic, load, write

__all__ = ["FAULTS", "MACHINES", "PLACES", "TOWARDS", "Written", "is_synthetic", "load", "render", "write"]
