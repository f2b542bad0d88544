"""The systems that people compare with, one file each, through the same door: `offkey.models.register`.

Neural ones see windows of neighbouring frames (`window_model`); the others statistics of a clip (`vector_model`).
"""

from offkey.models import network as _network  # noqa: F401  # how threads of torch wait is set before torch is loaded
