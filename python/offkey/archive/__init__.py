"""Scores of archives: written part by part while recordings are scored, so that a run that was killed goes on.

`offkey.Detector.score_to` is the way in. `run` goes through the source block by block; `blocks` scores each into a
part, or `cluster` has a `worker` elsewhere do it. `parts` keeps the folder of parts, `part_file` is one of them;
`shard` says which of them one job of many writes, `lock` holds these for it, and `merge` makes the result of all.
"""

from offkey.archive.blocks import Engine, scorer_here
from offkey.archive.cluster import RayCluster, cluster_scorer, need_ray
from offkey.archive.merge import merge_scores
from offkey.archive.part_file import FDR
from offkey.archive.run import PART_RECORDINGS, Archive, check_result, is_finished_file
from offkey.archive.shard import Shard
from offkey.archive.totals import Totals

__all__ = [
    "FDR",
    "PART_RECORDINGS",
    "Archive",
    "Engine",
    "RayCluster",
    "Shard",
    "Totals",
    "check_result",
    "cluster_scorer",
    "is_finished_file",
    "merge_scores",
    "need_ray",
    "scorer_here",
]
