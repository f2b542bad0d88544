"""Plots as inline SVG: scales, axes and marks, drawn by the classes of the page's style sheet."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offkey._util.text_table import printable

__all__ = ["Plot", "Scale", "Ticks", "escaped", "number"]

Ticks = Sequence[tuple[float, str]]
"""Values and what stands beside each."""

_FAR = 12.0
"""Where the whole range is so many times that of the middle 90% of values, far ones are drawn nearer."""
_LEAST_TICK_GAP = 26.0  # pixels


def escaped(text: str) -> str:
    """Return text as it may stand in HTML and SVG, with what is not printable shown as an escape."""
    return html.escape(printable(text))


def number(value: float) -> str:
    """Return a number in few digits, with commas where it is long."""
    if value != 0 and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.3g}"
    return f"{value:,.0f}" if abs(value) >= 1000 or value == round(value) else f"{value:.4g}"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where values lie, in pixels: in proportion, or nearer the farther out they are (by the inverse of sinh)."""

    low: float
    high: float
    start: float = 0.0
    """Pixel of the lowest value."""
    end: float = 1.0
    centre: float = 0.0
    unit: float | None = None
    """Distance from the centre up to which values lie in proportion; None: all do."""

    @classmethod
    def of(cls, values: ArrayLike, *, start: float, end: float) -> Scale:
        """Return one that has all values, with a little room at both ends.

        Parameters
        ----------
        values
            Finite numbers, at least one.
        start, end
            Pixels.
        """
        array = np.asarray(values, dtype=np.float64)
        low, middle_low, centre, middle_high, high = np.quantile(array, [0, 0.05, 0.5, 0.95, 1]).tolist()
        middle = middle_high - middle_low
        far = middle > 0 and high - low > _FAR * middle
        scale = cls(low=low, high=high, centre=centre, unit=middle if far else None)
        a, b = scale._bent(np.array([low, high])).tolist()
        room = 0.05 * (b - a) if b > a else max(abs(a), 1.0) * 0.5
        return dataclasses.replace(
            scale, low=scale._unbent(a - room), high=scale._unbent(b + room), start=start, end=end
        )

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return the pixels of values."""
        bent = self._bent(np.asarray(values, dtype=np.float64))
        a, b = self._bent(np.array([self.low, self.high])).tolist()
        pixels: NDArray[np.float64] = self.start + (bent - a) / (b - a) * (self.end - self.start)
        return pixels

    def edges(self, count: int) -> NDArray[np.float64]:
        """Return the edges of so many bins of one width in pixels, ``(count + 1,)``."""
        a, b = self._bent(np.array([self.low, self.high])).tolist()
        return np.array([self._unbent(value) for value in np.linspace(a, b, count + 1).tolist()])

    def ticks(self) -> Ticks:
        """Return round values, not too near to each other."""
        if self.unit is None:
            rough = (self.high - self.low) / 5
            step = 10.0 ** math.floor(math.log10(rough))
            step *= next(factor for factor in (1, 2, 5, 10) if factor * step >= rough * 0.999)
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            return [(at * step, number(round(at * step, 12))) for at in range(first, last + 1)]
        top = math.ceil(math.log10(max(abs(self.low), abs(self.high), 1e-12)))
        sizes = [factor * 10.0**power for power in range(top - 6, top + 1) for factor in (1, 2, 5)]
        candidates = sorted([0.0, *sizes, *(-size for size in sizes)], key=abs)
        chosen: list[float] = []
        for value in candidates:
            inside = self.low <= value <= self.high
            if inside and all(abs(float(self(value) - self(other))) >= _LEAST_TICK_GAP for other in chosen):
                chosen.append(value)
        return [(value, number(value)) for value in sorted(chosen)]

    def _bent(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.unit is None:
            return values
        bent: NDArray[np.float64] = np.arcsinh((values - self.centre) / self.unit)
        return bent

    def _unbent(self, value: float) -> float:
        return value if self.unit is None else self.centre + self.unit * math.sinh(value)


class Plot:
    """A picture with two axes, whose marks are added one after the other.

    Parameters
    ----------
    name
        What it shows, for who does not see it; it is not drawn.
    width, height
        In pixels of the drawing, which the page scales.
    left, right, top, bottom
        Room for axes and labels.
    """

    def __init__(
        self,
        name: str,
        *,
        width: float = 900,
        height: float = 250,
        left: float = 62,
        right: float = 22,
        top: float = 12,
        bottom: float = 40,
    ) -> None:
        self._name = name
        self._size = width, height
        self.x_range = left, width - right
        self.y_range = height - bottom, top
        self._parts: list[str] = []
        self._zoom = ""

    def x_axis(self, scale: Scale, ticks: Ticks, label: str) -> None:
        """Draw ticks below, and what they are of."""
        bottom = self.y_range[0]
        self._parts.append('<g class="ticks">')
        for value, text in ticks:
            x = float(scale(value))
            self._parts.append(f'<path class="axis" d="M{x:.1f},{bottom:.1f}v4"/>')
            self.text(x, bottom + 17, text, "middle")
        self._parts.append("</g>")
        self._parts.append(f'<path class="axis" d="M{self.x_range[0]},{bottom:.1f}H{self.x_range[1]}"/>')
        self.text(sum(self.x_range) / 2, bottom + 35, label, "middle")

    def y_axis(self, scale: Scale, ticks: Ticks, label: str, *, grid: bool = True) -> None:
        """Draw ticks to the left, lines across, and what they are of."""
        left, right = self.x_range
        for value, text in ticks:
            y = float(scale(value))
            line = f'<path class="grid" d="M{left},{y:.1f}H{right}"/>' if grid else ""
            self._parts.append(f'{line}<path class="axis" d="M{left},{y:.1f}h-4"/>')
            self.text(left - 7, y + 4, text, "end")
        middle = (scale.start + scale.end) / 2
        self._parts.append(
            f'<text class="label" text-anchor="middle" transform="translate(13,{middle:.1f}) rotate(-90)">'
            f"{escaped(label)}</text>"
        )

    def zoomable(self, scale: Scale, kind: str) -> None:
        """Let the page's script show a part of the x axis: what is drawn from now on is cut off at the axes' ends.

        Parameters
        ----------
        scale
            Of the axis; all values lie in proportion.
        kind
            ``time`` where the values are seconds since 1970, ``row`` where they are whole numbers.
        """
        ends = scale.start, scale.end, scale.low, scale.high
        self._zoom = f' data-kind="{kind}" data-ends="{" ".join(f"{end!r}" for end in map(float, ends))}"'
        left, right = self.x_range
        box = f"{left:g} 0 {right - left:g} {self._size[1]:g}"
        x, y, width, height = box.split()
        self._parts.append(
            f'<svg class="marks" x="{x}" y="{y}" width="{width}" height="{height}" viewBox="{box}">'
        )

    def cut(self) -> None:
        """End what `zoomable` began."""
        self._parts.append("</svg>")

    def dots(self, x: ArrayLike, y: ArrayLike, style: str) -> None:
        """Draw a dot at each place, in pixels."""
        self._path("".join(f"M{a:.2f},{b:.1f}h0" for a, b in _pairs(x, y)), f"dots {style}")

    def crosses(self, x: ArrayLike, y: ArrayLike, style: str) -> None:
        """Draw a cross at each place, in pixels: another shape than a dot, for who sees no colour."""
        marks = (f"M{a - 3:.2f},{b - 3:.1f}l6,6m0,-6l-6,6" for a, b in _pairs(x, y))
        self._path("".join(marks), f"crosses {style}")

    def line(self, x: ArrayLike, y: ArrayLike, style: str) -> None:
        """Draw a line through places, in pixels."""
        self._path(_line(_pairs(x, y)), f"line {style}")

    def area(self, x: ArrayLike, low: ArrayLike, high: ArrayLike, style: str) -> None:
        """Fill what lies between two lines, in pixels."""
        back = list(_pairs(x, high))[::-1]
        self._path(_line([*_pairs(x, low), *back]) + "Z", f"area {style}")

    def text(self, x: float, y: float, text: str, anchor: str = "start") -> None:
        """Write at a place, in pixels."""
        self._parts.append(
            f'<text class="label" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'
        )

    def image(self, uri: str, x: float, y: float, width: float, height: float) -> None:
        """Place a picture, whose URI holds it."""
        self._parts.append(
            f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'preserveAspectRatio="none" href="{escaped(uri)}"/>'
        )

    def rectangle(self, x: float, y: float, width: float, height: float, style: str) -> None:
        """Draw a rectangle."""
        self._parts.append(
            f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
            f'height="{max(height, 0):.1f}"/>'
        )

    def svg(self) -> str:
        """Return the drawing as an element of HTML."""
        width, height = self._size
        return (
            f'<svg role="img" viewBox="0 0 {width:g} {height:g}" aria-label="{escaped(self._name)}"{self._zoom}>'
            f"{''.join(self._parts)}</svg>"
        )

    def _path(self, steps: str, style: str) -> None:
        if steps.strip("Z"):
            self._parts.append(f'<path class="{style}" d="{steps}"/>')


def _pairs(x: ArrayLike, y: ArrayLike) -> Iterable[tuple[float, float]]:
    return zip(
        np.asarray(x, dtype=np.float64).tolist(), np.asarray(y, dtype=np.float64).tolist(), strict=True
    )


def _line(points: Iterable[tuple[float, float]]) -> str:
    steps = "L".join(f"{a:.1f},{b:.1f}" for a, b in points)
    return f"M{steps}" if steps else ""
