"""A machine over time: evidence that it has changed, from its recordings one after the other."""

from offkey.monitoring.result import Alarm, MachineTrend, Trends
from offkey.monitoring.times import Times, times_of_cells, times_of_files, times_of_names
from offkey.monitoring.trends import trend

__all__ = [
    "Alarm",
    "MachineTrend",
    "Times",
    "Trends",
    "times_of_cells",
    "times_of_files",
    "times_of_names",
    "trend",
]
