"""Pictures for people. Needs the extra `report` (matplotlib, scikit-learn)."""

from offkey.report.plots import Panel, overview

__all__ = ["Panel", "overview"]
