"""From a recording to its explanation."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np

from offkey.datasets.channels import decoded_channel
from offkey.datasets.recordings import Item
from offkey.datasets.source import Source
from offkey.datasets.windows import WHOLE
from offkey.errors import DatasetError, ParameterError
from offkey.explain.explanation import Band, Explanation, Stretch
from offkey.explain.healthy import HealthyClips, band_edges
from offkey.explain.places import LEAST_SHARE, Run, strongest_bands, strongest_stretches
from offkey.explain.resolution import resolved
from offkey.explain.sentences import (
    SPREAD,
    band_sentence,
    moments_sentence,
    nearest_sentence,
    spoken_sentence,
    verdict,
    warning_sentence,
    whole_sentences,
)
from offkey.fitted import Fitted
from offkey.models.attribution import Attribution, ExplainedClip
from offkey.score_file import START
from offkey.score_rows import ScoreRows

__all__ = ["explained", "of_all_bands"]


def explained(
    fitted: Fitted, source: Source, *, rate: float | None, num_threads: int | None
) -> tuple[Explanation, tuple[str, ...]]:
    """Score one recording, and explain its worst clip; also return what is to be said of the scoring.

    Raises
    ------
    ParameterError
        If there are more recordings than one, or no model of the detector can explain its score.
    DatasetError
        If there is none, or it has no score.
    """
    explaining = {name: model for name, model in fitted.models.items() if hasattr(model, "explain")}
    if not explaining:
        raise ParameterError(
            f"explain: no model of recipe {fitted.recipe.name!r} can say where its score comes from"
        )
    item = _only(source)
    rows = ScoreRows(fitted, rate=rate, fdr=None, windows="worst", num_threads=num_threads)
    for chunk in source.over(iter([item])).chunks(num_threads=num_threads):
        rows.add(chunk)
    notes = rows.notes()
    (row,) = cast(list[dict[str, Any]], rows.take().rows())
    if row["error"]:
        raise DatasetError(row["error"])
    start = row.get(START)
    sample_rate = fitted.features.sample_rate
    healthy = HealthyClips.of(fitted.record, row["scored_as"])
    clip = ExplainedClip(
        samples=_samples(source.over(iter([item])), start, sample_rate, num_threads),
        features=fitted.features,
        plan=fitted.plan,
        healthy=None if healthy is None else healthy.statistics,
    )
    slopes = fitted.fusion.slopes(row["scored_as"])
    attributions = {name: model.explain(clip, row["scored_as"], slopes) for name, model in explaining.items()}
    return _explanation(row, clip, attributions, healthy, start or 0.0), notes


def _only(source: Source) -> Item:
    items = list(itertools.islice(source, 2))
    if not items:
        source.refuse_none(0)
    if len(items) > 1:
        raise ParameterError(
            f"explain: several recordings, such as {items[0].name} and {items[1].name}; expected one"
        )
    return items[0]


def _samples(source: Source, start: float | None, rate: int, num_threads: int | None) -> np.ndarray:
    """Return the samples of the clip that begins at `start` seconds, or of the whole recording."""
    place = WHOLE if start is None else round(start * rate)
    for chunk in source.chunks(num_threads=num_threads):
        for row in np.flatnonzero(chunk.starts == place).tolist():
            return np.array(chunk.samples[row])
    raise DatasetError("explain: the recording changed while it was read")


def _explanation(
    row: Mapping[str, Any],
    clip: ExplainedClip,
    attributions: dict[str, Attribution],
    healthy: HealthyClips | None,
    start_s: float,
) -> Explanation:
    odd = bool(row["decision"])
    explanation = Explanation(
        path=row["path"],
        scored_as=row["scored_as"],
        anomaly_score=row["anomaly_score"],
        threshold=row["threshold"],
        p_value=row["p_value"],
        odd=odd,
        warning=row["warning"] or None,
        start_s=row.get(START),
        samples=clip.samples,
        sample_rate=clip.features.sample_rate,
        channel=decoded_channel(clip.features),
        picture=clip.picture,
        attributions=attributions,
        map=resolved(np.sum([part.map for part in attributions.values()], axis=0), clip.features),
        bands=(),
        nearest=healthy.nearest(clip.statistics) if healthy is not None else (),
        healthy_db=None if healthy is None else healthy.levels_db(),
        compared=0 if healthy is None else len(healthy),
        sentences=(),
    )
    runs = strongest_bands(explanation.map.sum(axis=1)) if odd else []
    bands = tuple(_band(explanation, run, share, start_s) for run, share in runs)
    said = [
        verdict(row),
        *(_of_the_whole(explanation, clip, healthy) if odd else ()),
        *_of_bands(bands, [run for run, _ in runs], explanation, clip, healthy),
    ]
    if bands:
        said += of_all_bands(bands, explanation, start_s)
        said += [spoken_sentence(explanation.spoken)] if explanation.spoken else []
        said.append(nearest_sentence(explanation.nearest))
    return dataclasses.replace(explanation, bands=bands, sentences=tuple(said))


def _band(explanation: Explanation, run: Run, share: float, start_s: float) -> Band:
    added = explanation.map[run[0] : run[1] + 1].sum(axis=0)
    low, high = band_edges(explanation.picture.cells, run)
    return Band(low_hz=low, high_hz=high, share=share, stretches=_stretches(explanation, added, start_s))


def _stretches(explanation: Explanation, added: np.ndarray, start_s: float) -> tuple[Stretch, ...]:
    """Return when most of ``(frames,)`` amounts is added."""
    edges = explanation.picture.cells.edges_s
    return tuple(
        Stretch(start_s=start_s + float(edges[first]), end_s=start_s + float(edges[last + 1]), share=share)
        for (first, last), share in strongest_stretches(added, frame_s=float(edges[-1]) / len(added))
    )


def _of_the_whole(
    explanation: Explanation, clip: ExplainedClip, healthy: HealthyClips | None
) -> Iterator[str]:
    """Yield how the recording is unlike the training recordings, or louder or quieter than the healthy ones."""
    if explanation.warning:
        yield warning_sentence(explanation.warning)
    elif healthy is not None:
        yield from whole_sentences(healthy.level(clip), healthy.words())


def of_all_bands(bands: Sequence[Band], explanation: Explanation, start_s: float) -> Iterator[str]:
    """Yield when all bands together raise the score, where that says more than what is said of each band."""
    stretches = _stretches(explanation, np.maximum(explanation.map, 0.0).sum(axis=0), start_s)
    if len(stretches) > 1 and all(len(band.stretches) == 1 for band in bands):
        yield moments_sentence(stretches, end_s=explanation.end_s)


def _of_bands(
    bands: Sequence[Band],
    runs: Sequence[Run],
    explanation: Explanation,
    clip: ExplainedClip,
    healthy: HealthyClips | None,
) -> Iterator[str]:
    """Yield a sentence for each band."""
    if bands and bands[0].share < LEAST_SHARE:
        yield SPREAD
    for band, run in zip(bands, runs, strict=True):
        yield band_sentence(
            band,
            [] if healthy is None else list(healthy.measures(clip, run)),
            spoken=explanation.spoken_in(*run),
            clips="" if healthy is None else healthy.words(),
            end_s=explanation.end_s,
        )
