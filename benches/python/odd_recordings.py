"""What odd training recordings cost recipe `spectral`, as it is and with every clip in the fit at full weight.

    python benches/python/odd_recordings.py --count 3 SET [SET ...]

SET is a folder in DCASE's layout with a machine behind a colon (``synthetic:fan``), or a tree of ``build_uav.py``. In
each machine ID, COUNT training clips give way to odd ones of one kind. A row says by how much the AUC changes, and by
how much the share of anomalies above the 95% quantile of the ID's test normals: mean over the sets, and the worst set.
``--kind``, once for each, takes some of the kinds. The label-free check is off. Labels are read after the fit and
choose nothing.
"""

from __future__ import annotations

import argparse
import functools
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile as sf

import offkey
from offkey.datasets import Dataset, folder
from offkey.datasets.quality import Recorded, TrainingQuality
from offkey.datasets.statistics_plan import Measures
from offkey.metrics import auc
from offkey.models.base import statistics_plan
from offkey.models.spectral import model as spectral_model
from offkey.signal.quality import clip_quality

RATE = 16_000
RECIPE = offkey.Recipe.named("spectral").replace(spectral__check=False)
Effect = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def rms(x: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(np.square(x))))


def coded(x: np.ndarray, kind: str, subtype: str) -> np.ndarray:
    """The clip behind a lossy coding of low quality."""
    file = io.BytesIO()
    sf.write(file, np.clip(x, -1, 1), RATE, format=kind, subtype=subtype, compression_level=0.95)
    file.seek(0)
    return np.resize(sf.read(file)[0], len(x))


def at_8_khz(x: np.ndarray) -> np.ndarray:
    """The clip as a recorder at 8 kHz would have it."""
    low = offkey.resample(x, from_rate=RATE, to_rate=8000)
    return np.resize(offkey.resample(low, from_rate=8000, to_rate=RATE), len(x))


def talk(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Syllables of a voice, ten decibels above the machine."""
    t = np.arange(len(x)) / RATE
    pitch_hz = rng.uniform(100, 220) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(2, 4) * t))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    voice = sum(np.sin(k * phase) / k for k in range(1, 25))
    voice = voice * np.clip(np.sin(2 * np.pi * rng.uniform(1.5, 4) * t), 0, None) ** 2
    return x + voice * (3.2 * rms(x) / rms(voice))


def hum(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another machine over it, as loud: a harmonic hum with noise."""
    t = np.arange(len(x)) / RATE
    base_hz = rng.uniform(40, 200)
    other = sum(np.sin(2 * np.pi * (base_hz * k * t + rng.random())) / k for k in range(1, 12))
    other = other + 0.3 * rng.standard_normal(len(x))
    return x + other * (rms(x) / rms(other))


KINDS: dict[str, Effect] = {
    "silent": lambda x, rng: np.zeros_like(x),
    "constant": lambda x, rng: np.full_like(x, 0.3),
    "clipped throughout": lambda x, rng: np.clip(3 * x / rms(x), -1, 1),
    "10 dB quieter": lambda x, rng: x * 10**-0.5,
    "30 dB quieter": lambda x, rng: x * 10**-1.5,
    "20 dB louder": lambda x, rng: x * 10,
    "half empty": lambda x, rng: np.where(np.arange(len(x)) < len(x) // 2, x, 0),
    "MP3": lambda x, rng: coded(x, "MP3", "MPEG_LAYER_III"),
    "Vorbis": lambda x, rng: coded(x, "OGG", "VORBIS"),
    "8 kHz": lambda x, rng: at_8_khz(x),
    "talk over it": talk,
    "another machine over it": hum,
    "faint hiss alone": lambda x, rng: 1e-3 * rng.standard_normal(len(x)),
    "noise over it, 0 dB": lambda x, rng: x + rms(x) * rng.standard_normal(len(x)),
    "noise over it, -10 dB": lambda x, rng: x + 0.32 * rms(x) * rng.standard_normal(len(x)),
    "tilted by 20 dB": lambda x, rng: np.fft.irfft(
        np.fft.rfft(x) * np.geomspace(0.3, 3, len(x) // 2 + 1), len(x)
    ),
}


class Set:
    """The clips of one machine type, decoded, and the statistics of those that stay as they are."""

    def __init__(self, data: Dataset) -> None:
        recipe = offkey.Recipe.named("spectral")
        measures = Measures(recipe.features, statistics_plan(recipe))
        self.measure = functools.partial(measures.statistics, num_threads=None)
        self.ids = [clip.machine_id or "?" for clip in data.train]
        self.groups = [clip.group for clip in data.train]
        self.clips = list(offkey.read_batch(data.train.paths, sample_rate=RATE))
        self.statistics = self.measure(self.clips)
        self.quality = clip_quality(self.clips, sample_rate=RATE)
        self.test_ids = np.array([clip.machine_id for clip in data.test])
        self.labels = np.array([clip.label for clip in data.test])
        self.test = self.measure(list(offkey.read_batch(data.test.paths, sample_rate=RATE)))

    def outcome(self, effect: Effect | None, count: int, *, keep_broken: bool) -> np.ndarray:
        """AUC and share of faults found, with `count` odd clips in each ID."""
        rng = np.random.default_rng(5)
        clips, statistics = list(self.clips), self.statistics.take(np.arange(len(self.clips)))
        ids = np.array(self.ids)
        rows = np.concatenate(
            [rng.choice(np.flatnonzero(ids == i), count, replace=False) for i in np.unique(ids)]
        )
        for row in rows if effect is not None else ():
            odd = np.clip(effect(self.clips[row].astype(np.float64), rng), -1, 1)
            clips[row] = (np.round(odd * 32767) / 32768).astype(np.float32)
        if effect is not None:
            changed = self.measure([clips[row] for row in rows])
            for name, values in changed.arrays().items():
                getattr(statistics, name)[rows] = values
        recorded = [Recorded(str(i), name, self.groups[i], RATE, None) for i, name in enumerate(self.ids)]
        quality = clip_quality(clips, sample_rate=RATE)
        usable = TrainingQuality.of(quality, recorded, machine="", keep_broken=keep_broken).usable
        rows = np.flatnonzero(usable)
        model = spectral_model.SpectralModel.of_statistics(
            statistics.take(rows),
            [self.ids[row] for row in rows],
            [self.groups[row] for row in rows],
            recipe=RECIPE,
            seed=0,
        )
        scores = model.scores(self.test)["a_spectral"]
        figures = []
        for column, name in enumerate(model.machine_ids):
            of_id = self.test_ids == name
            values, labels = scores[of_id, column], self.labels[of_id]
            limit = np.quantile(values[labels == 0], 0.95)
            figures.append((auc(labels, values), np.mean(values[labels == 1] > limit)))
        return np.mean(figures, axis=0)


@contextmanager
def full_weights() -> Iterator[None]:
    """Let every clip count in full, as if there were no rule."""
    rule = spectral_model.clip_weights
    spectral_model.clip_weights = lambda table, ids: np.ones(len(ids))
    try:
        yield
    finally:
        spectral_model.clip_weights = rule


def load(text: str) -> Set:
    """Read what the command line names."""
    path, _, machine = text.partition(":")
    if machine:
        return Set(offkey.datasets.load(Path(path), machine=machine))
    return Set(folder(Path(path), manifest="manifest.csv", machine="uav"))


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sets", nargs="+", metavar="SET")
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--kind", action="append", choices=KINDS, dest="kinds")
    arguments = parser.parse_args()
    sets = [load(text) for text in arguments.sets]
    with full_weights():
        clean = np.array([each.outcome(None, arguments.count, keep_broken=True) for each in sets])
    shown = ", ".join(f"{area:.3f} {found:.3f}" for area, found in clean)
    print(f"clean: {shown}\n")
    print("| kind | AUC without | worst | AUC with | worst | found without | worst | found with | worst |")
    print("|---" * 9 + "|")
    kinds = arguments.kinds or list(KINDS)
    for kind, effect in {"none": None, **{kind: KINDS[kind] for kind in kinds}}.items():
        with full_weights():
            without = (
                np.array([each.outcome(effect, arguments.count, keep_broken=True) for each in sets]) - clean
            )
        mended = np.array([each.outcome(effect, arguments.count, keep_broken=False) for each in sets]) - clean
        cells = [
            f"{value:+.3f}"
            for column in (0, 1)
            for part in (without, mended)
            for value in (part[:, column].mean(), part[:, column].min())
        ]
        print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
