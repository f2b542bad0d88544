"""The oddest recordings to look at and to listen to: waveform, log-Mel, map of the score, sentences, sound."""

from __future__ import annotations

import base64
import dataclasses
import io
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from offkey._util.parameters import Channel
from offkey._util.threads import cores
from offkey._util.words import reason
from offkey.errors import OffkeyError, OffkeyWarning
from offkey.explain.explanation import Band
from offkey.report.page.svg import Plot, Scale
from offkey.signal.audio import read_blocks, resample
from offkey.signal.cells import Cells
from offkey.signal.logmel import LogMel

if TYPE_CHECKING:
    from offkey.detector import Detector

__all__ = ["MOST_BYTES", "Clip", "ClipReader", "Player", "players_of"]

MOST_BYTES = 5_000_000
"""Of a page; sounds take what the rest of it leaves."""
_LONGEST_S = 20.0
"""Of a longer recording so much is shown, from where its scores are of."""
_BLOCK_S = 10.0
_WIDTH, _LEFT, _RIGHT, _BOTTOM = 720.0, 62.0, 22.0, 42.0
_WAVE, _PICTURE, _GAP = 56.0, 130.0, 12.0  # heights in pixels
_COLUMNS, _ROWS, _LEVELS = 256, 64, 32  # of a picture, and its colours
_RANGE_DB = 60.0
_TICKS_HZ = (250, 1000, 4000, 16_000, 64_000)
_OPUS_RATES = (8000, 12_000, 16_000, 24_000, 48_000)
_PLAYER_BYTES = 400
"""Of a player beside its sound."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Clip:
    """A recording, or a part of it, as it is shown."""

    anchor: str
    path: str
    drawing: str
    """SVG."""
    caption: str
    sentences: Sequence[str]
    samples: np.ndarray
    """``(samples,)`` float32."""
    sample_rate: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """The sound of a clip."""

    uri: str
    coding: str


class ClipReader:
    """Finds recordings below a folder and shows them, explained where a detector can do that.

    Parameters
    ----------
    root
        The folder; no recording from elsewhere is read, whatever a table says.
    detector
        Whose spectrogram is shown, and which explains; without one the spectrogram is that of `LogMel`.

    Raises
    ------
    NotADirectoryError
        If there is no such folder.
    """

    def __init__(self, root: Path, detector: Detector | None) -> None:
        if not root.is_dir():
            raise NotADirectoryError(f"{root}: no such folder; expected that of the recordings")
        self._root = _absolute(root)
        self._detector = detector
        self._channel: Channel = 0 if detector is None else detector.describe()["channel"]
        self._logmel = LogMel() if detector is None else LogMel.from_recipe(detector.recipe.features)

    def clip(self, path: Path, *, anchor: str, machine_id: str | None, start_s: float | None) -> Clip | str:
        """Return a recording as it is shown, or why it cannot be.

        Parameters
        ----------
        path
            As the table has it: of a file below the folder, or of one that ends like it there.
        anchor
            What to call it on the page.
        machine_id
            Whose it is.
        start_s
            Where the scores are of.
        """
        file = self.file(path)
        if file is None:
            return f"{path}: is not below {self._root}"
        try:
            return self._explained(file, path, anchor, machine_id) or self._read(file, path, anchor, start_s)
        except (OffkeyError, OSError) as error:
            return reason(error)

    def file(self, path: Path) -> Path | None:
        """Return the file below the folder that a path stands for: the one itself, or one that ends like it."""
        candidates = [_absolute(path)]
        candidates += [_absolute(self._root.joinpath(*path.parts[at:])) for at in range(len(path.parts))]
        return next((file for file in candidates if file.is_relative_to(self._root) and file.is_file()), None)

    def _explained(self, file: Path, path: Path, anchor: str, machine_id: str | None) -> Clip | None:
        """Return a clip with its map and sentences; None where the detector cannot explain."""
        if self._detector is None:
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", OffkeyWarning)
                explanation = self._detector.explain(file, machine_id=machine_id)
        except OffkeyError:
            return None
        drawing = _drawn(
            path.name,
            explanation.samples,
            explanation.picture.logmel,
            explanation.picture.cells,
            explanation.start_s or 0.0,
            explanation.map,
            explanation.bands,
        )
        return Clip(
            anchor=anchor,
            path=str(path),
            drawing=drawing,
            caption=f"Waveform; {_levels(explanation.picture.logmel)}; what raised (red) and what lowered the score "
            "(blue). Odd places are framed.",
            sentences=explanation.sentences,
            samples=explanation.samples,
            sample_rate=explanation.sample_rate,
        )

    def _read(self, file: Path, path: Path, anchor: str, start_s: float | None) -> Clip:
        rate, start = self._logmel.sample_rate, start_s or 0.0
        first = int(start // _BLOCK_S)
        parts, length_s = [], 0.0
        blocks = read_blocks(file, seconds=_BLOCK_S, sample_rate=rate, channel=self._channel)
        for at, block in enumerate(blocks):
            if at >= first:
                parts.append(block)
                length_s += _BLOCK_S
                if length_s >= _LONGEST_S + _BLOCK_S:
                    break
        offset = round((start - first * _BLOCK_S) * rate)
        samples = np.concatenate([*parts, np.empty(0, np.float32)])[
            offset : offset + round(_LONGEST_S * rate)
        ]
        logmel = self._logmel(samples[None])[0]
        cells = Cells.of(self._logmel, len(samples))
        return Clip(
            anchor=anchor,
            path=str(path),
            drawing=_drawn(path.name, samples, logmel, cells, start, None, ()),
            caption=f"Waveform; {_levels(logmel)}.",
            sentences=(),
            samples=samples,
            sample_rate=rate,
        )


def _absolute(path: Path) -> Path:
    """Return a path without ``..``; links stay, as one below a folder belongs to it."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def _drawn(
    name: str,
    samples: np.ndarray,
    logmel: np.ndarray,
    cells: Cells,
    start_s: float,
    score_map: np.ndarray | None,
    bands: Sequence[Band],
) -> str:
    """Draw waveform, log-Mel and map below each other, over one time."""
    height = _GAP + _WAVE + (_GAP + _PICTURE) * (1 if score_map is None else 2) + _BOTTOM
    kinds = "Waveform and log-Mel" if score_map is None else "Waveform, log-Mel and map of the score"
    plot = Plot(f"{kinds} of {name}", width=_WIDTH, height=height, left=_LEFT, right=_RIGHT, bottom=_BOTTOM)
    time = Scale(low=start_s, high=start_s + float(cells.edges_s[-1]), start=_LEFT, end=_WIDTH - _RIGHT)
    _wave(plot, samples, _GAP)
    pictures = [(logmel, "magma", *_range_db(logmel), "light")]
    if score_map is not None:
        most = float(np.quantile(np.abs(score_map), 0.998)) or 1.0
        pictures.append((score_map, "RdBu_r", -most, most, "dark"))
    for at, (values, colours, low, high, frame) in enumerate(pictures):
        top = _GAP + _WAVE + _GAP + at * (_PICTURE + _GAP)
        uri = _png(values, colours, low, high)
        plot.image(uri, _LEFT, top, _WIDTH - _LEFT - _RIGHT, _PICTURE)
        bins = Scale(low=0, high=len(cells.edges_hz) - 1, start=top + _PICTURE, end=top)
        place = np.arange(len(cells.edges_hz))
        ticks = [hz for hz in _TICKS_HZ if hz < cells.edges_hz[-1]]
        values_at = [(float(np.interp(hz, cells.edges_hz, place)), _hertz(hz)) for hz in ticks]
        plot.y_axis(bins, values_at, "frequency in Hz", grid=False)
        for band in bands:
            upper, lower = bins(np.interp([band.high_hz, band.low_hz], cells.edges_hz, place)).tolist()
            for stretch in band.stretches:
                left, right = time([stretch.start_s, stretch.end_s]).tolist()
                plot.rectangle(left, upper, right - left, lower - upper, f"frame {frame}")
    plot.x_axis(time, time.ticks(), "time in s")
    return plot.svg()


def _range_db(logmel: np.ndarray) -> tuple[float, float]:
    """Return the levels between which a log-Mel is shown."""
    most = float(logmel.max())
    return max(float(logmel.min()), most - _RANGE_DB), most


def _levels(logmel: np.ndarray) -> str:
    low, high = _range_db(logmel)
    return f"log-Mel, from {low:.0f} (dark) to {high:.0f} dB (bright)"


def _wave(plot: Plot, samples: np.ndarray, top: float) -> None:
    starts = np.unique(np.linspace(0, len(samples), _COLUMNS, endpoint=False).astype(int))
    most = float(np.abs(samples).max()) or 1.0
    y = Scale(low=-most, high=most, start=top + _WAVE, end=top)
    x = np.linspace(_LEFT, _WIDTH - _RIGHT, len(starts))
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    plot.area(x, y(low), y(high), "wave")


def _hertz(hz: int) -> str:
    return f"{hz / 1000:g}k" if hz >= 1000 else f"{hz}"


def _png(values: np.ndarray, colours: str, low: float, high: float) -> str:
    """Return a picture of few colours as a data URI, the first row at the bottom."""
    from matplotlib import colormaps
    from PIL import Image

    small = _averaged(_averaged(values, _ROWS, 0), _COLUMNS, 1)
    levels = np.clip((small - low) / (high - low or 1.0) * _LEVELS, 0, _LEVELS - 1).astype(np.uint8)
    palette = (colormaps[colours](np.linspace(0, 1, _LEVELS))[:, :3] * 255).round().astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(levels[::-1]))
    image.putpalette(palette.tobytes())
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return _uri("image/png", content.getvalue())


def _averaged(values: np.ndarray, most: int, axis: int) -> np.ndarray:
    """Return at most so many rows or columns, each the mean of its neighbours."""
    count = values.shape[axis]
    if count <= most:
        return values
    starts = np.linspace(0, count, most, endpoint=False).astype(int)
    sizes = np.diff([*starts, count])
    sums: np.ndarray = np.add.reduceat(values, starts, axis=axis)
    means: np.ndarray = sums / (sizes[:, None] if axis == 0 else sizes)
    return means


def players_of(clips: Sequence[Clip], *, most_bytes: int) -> tuple[Mapping[str, Player], list[str]]:
    """Return the sound of each clip by its anchor, and what is to be said of them.

    All are FLAC if that fits, else all are Opus, where the library of sounds writes it; if that is too much, the last
    ones have no sound.

    Parameters
    ----------
    clips
        The most important first.
    most_bytes
        How much all may take on the page.
    """
    if not clips:
        return {}, []
    lossless = _players(clips, "audio/flac", "FLAC", "PCM_16", "FLAC")
    if _size(lossless) <= most_bytes:
        return dict(zip((clip.anchor for clip in clips), lossless, strict=True)), []
    sounds, notes = lossless, []
    if "OPUS" in soundfile.available_subtypes("OGG"):
        sounds = _players(clips, "audio/ogg", "OGG", "OPUS", "Opus, lossy")
        notes.append("sounds are coded in Opus, which is lossy, so that the page is not too large")
    fitting = 0
    while fitting < len(sounds) and _size(sounds[: fitting + 1]) <= most_bytes:
        fitting += 1
    if fitting < len(sounds):
        notes.append(
            f"{len(sounds) - fitting} of {len(sounds)} recordings have no player: the page would be too large"
        )
    return {clip.anchor: player for clip, player in zip(clips[:fitting], sounds, strict=False)}, notes


def _players(clips: Sequence[Clip], kind: str, container: str, subtype: str, coding: str) -> list[Player]:
    """Return the sounds in one coding; the library of sounds encodes several at once."""
    with ThreadPoolExecutor(cores()) as pool:
        contents = pool.map(lambda clip: _encoded(clip, container, subtype), clips)
        return [Player(uri=_uri(kind, content), coding=coding) for content in contents]


def _size(players: Sequence[Player]) -> int:
    return sum(len(player.uri) + _PLAYER_BYTES for player in players)


def _encoded(clip: Clip, container: str, coding: str) -> bytes:
    samples, rate = clip.samples, clip.sample_rate
    if coding == "OPUS" and rate not in _OPUS_RATES:
        to_rate = next((other for other in _OPUS_RATES if other >= rate), _OPUS_RATES[-1])
        samples, rate = resample(samples, from_rate=rate, to_rate=to_rate), to_rate
    content = io.BytesIO()
    soundfile.write(content, np.clip(samples, -1, 1), rate, format=container, subtype=coding)
    return content.getvalue()


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
