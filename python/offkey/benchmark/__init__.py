"""The tables of Zhang et al. (2023), made again from one's own copy of the data: recipes x machine types x seeds."""

from offkey.benchmark.runs import RunEnded, RunStarted
from offkey.benchmark.suites import dcase2020, mimii
from offkey.benchmark.tables import Benchmark

__all__ = ["Benchmark", "RunEnded", "RunStarted", "dcase2020", "mimii"]
