"""Where in a recording its anomaly score comes from, how it differs from healthy ones, in pictures, words and sound."""

from offkey.explain.explanation import Band, Explanation, Nearest, Stretch
from offkey.explain.listen import healthy_file, odd_part, sound_files, write_sounds

__all__ = [
    "Band",
    "Explanation",
    "Nearest",
    "Stretch",
    "healthy_file",
    "odd_part",
    "sound_files",
    "write_sounds",
]
