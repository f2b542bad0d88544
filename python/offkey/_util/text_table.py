"""Tables as plain text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["printable", "text_table"]


def printable(text: str) -> str:
    """Return text that is safe to print: names may hold line ends, escape codes, marks that turn letters round."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def text_table(header: Sequence[Sequence[str]], rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as aligned columns: the first one to the left, columns of numbers to the right.

    `header` may have several lines. What a terminal would act on is shown, not done.
    """
    header, rows = ([[printable(cell) for cell in line] for line in lines] for lines in (header, rows))
    lines = [*header, *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    numeric = [all(_is_number(row[at]) for row in rows) for at in range(len(widths))]

    def aligned(line: Sequence[str]) -> str:
        cells = zip(line, widths, numeric, strict=True)
        return "  ".join(c.rjust(w) if right else c.ljust(w) for c, w, right in cells).rstrip()

    return "\n".join([*map(aligned, header), "  ".join("-" * w for w in widths), *map(aligned, rows)]) + "\n"


def _is_number(cell: str) -> bool:
    """Whether a cell holds a number, one with its deviation, several, or none."""
    return not cell.strip("0123456789.,+-e ±")
