"""One HTML file of results: `results` reads them, `machines` sorts them, `html` writes the page."""

from offkey.report.page.html import html

__all__ = ["html"]
