"""Scores of archives: written part by part while recordings are scored, so that a run that was killed goes on.

`offkey.Detector.score_to` is the way in. `run` scores, `parts` keeps the folder of parts, `part_file` is one of them,
and `merged` makes the one file of all that was asked for.
"""

from offkey.archive.run import PART_RECORDINGS, Archive, check_result
from offkey.archive.totals import Totals

__all__ = ["PART_RECORDINGS", "Archive", "Totals", "check_result"]
