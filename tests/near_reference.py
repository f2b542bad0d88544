"""The kinds of near anomalies written anew in float64, with the random numbers of the kernels."""

from typing import Any

import numpy as np

_GENERATORS = 64
_MASK = (1 << 64) - 1


def _mix(z: int) -> int:
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & _MASK
    return z ^ (z >> 31)


class Stream:
    """xoshiro256++ with the state that SplitMix64 makes of a key."""

    def __init__(self, *key: int) -> None:
        golden = 0x9E3779B97F4A7C15
        state = 0x6F66666B65790001 ^ len(key)
        for part in key:
            state = _mix((state + golden & _MASK) ^ _mix(part + golden & _MASK))
        self.words = [_mix(state + (i + 1) * golden & _MASK) for i in range(4)]

    def next(self) -> int:
        a, b, c, d = self.words
        total = a + d & _MASK
        number = ((total << 23 | total >> 41) + a) & _MASK
        c, d = c ^ a, d ^ b
        b, a, c, d = b ^ c, a ^ d, c ^ (b << 17 & _MASK), d
        self.words = [a, b, c, (d << 45 | d >> 19) & _MASK]
        return number

    def uniform(self) -> float:
        return (self.next() >> 11) / 2**53


class Flutter:
    """``(0.5 - ln u) / 1.5``, u from 64 generators xoshiro128++ side by side; each row begins with the first."""

    def __init__(self, seed: int) -> None:
        stream = Stream(seed, 2)
        self.words = np.empty((4, _GENERATORS), np.uint32)
        for i in range(_GENERATORS):
            for pair in (0, 2):
                bits = stream.next()
                self.words[pair : pair + 2, i] = bits & 0xFFFFFFFF, bits >> 32

    def _next(self) -> np.ndarray:
        a, b, c, d = self.words
        total = a + d
        bits = (total << 7 | total >> 25) + a
        shifted = b << 9
        c, d = c ^ a, d ^ b
        b, a = b ^ c, a ^ d
        self.words = np.stack([a, b, c ^ shifted, d << 11 | d >> 21])
        return bits

    def row(self, frames: int) -> np.ndarray:
        bits = np.concatenate(
            [self._next() for _ in range(0, frames, _GENERATORS)] or [np.empty(0, np.uint32)]
        )
        return (0.5 - np.log(((bits[:frames] >> 1) + 0.5) / 2**31)) / 1.5


def bump(n_mels: int, centre: float, width: float) -> np.ndarray:
    widths = (np.arange(n_mels) - centre) / width
    return np.where(np.abs(widths) <= 6, np.exp(-(widths**2) / 2), 0)


def _add(out, logmel, centre, width, level_db, envelope, part, flutter) -> None:
    for j, height in enumerate(bump(len(logmel), centre, width)):
        if height > 0:
            power = (
                10 ** ((logmel[j].mean() + level_db) / 10)
                * height
                * envelope[part]
                * flutter.row(part.stop - part.start)
            )
            out[j, part] = 10 * np.log10(10 ** (out[j, part] / 10) + power)


def near_anomaly(
    kind: str, logmel: np.ndarray, deviation_db: np.ndarray, parameters: dict[str, Any]
) -> np.ndarray:
    """Return the log-Mel with the near anomaly of these parameters."""
    x = np.asarray(logmel, np.float64)
    n_mels, frames = x.shape
    out, p, time = x.copy(), parameters, np.arange(frames)
    everywhere, steady = slice(0, frames), np.ones(frames)
    if kind == "bumps":
        for centre, width, amplitude in zip(p["centres"], p["widths"], p["amplitudes"], strict=True):
            out += (amplitude * deviation_db * bump(n_mels, centre, width))[:, None]
    elif kind == "spread":
        mean = x.mean(1, keepdims=True)
        out = mean + (x - mean) * (1 + p["amplitude"] * bump(n_mels, p["centre"], p["width"]))[:, None]
    elif kind == "mel_shift":
        bins = np.arange(n_mels)
        shifted = np.array([np.interp(bins - p["bins"], bins, frame) for frame in x.T]).T
        mean, deviation = shifted.mean(1, keepdims=True), np.interp(bins - p["bins"], bins, x.std(1))
        out = mean + (shifted - mean) * (deviation / np.maximum(shifted.std(1), 1e-30))[:, None]
    elif kind == "gain_and_tilt":
        place = np.linspace(-1, 1, n_mels) if n_mels > 1 else np.zeros(1)
        out += ((p["gain"] + p["tilt"] * place) * deviation_db)[:, None]
    elif kind == "noise_band":
        _add(out, x, p["centre"], p["width"], p["level_db"], steady, everywhere, Flutter(p["seed"]))
    elif kind == "lines":
        flutter = Flutter(p["seed"])
        for line in zip(p["centres"], p["widths"], p["levels_db"], strict=True):
            _add(out, x, *line, steady, everywhere, flutter)
    elif kind == "bursts":
        flutter = Flutter(p["seed"])
        names = ("starts", "lengths", "centres", "widths", "levels_db")
        for start, length, *sound in zip(*(p[name] for name in names), strict=True):
            part = slice(min(int(start), frames), min(int(start + length), frames))
            _add(out, x, *sound, steady, part, flutter)
    elif kind == "clicks":
        jitter, envelope = Stream(p["seed"], 3), np.zeros(frames)
        due, number = p["first"], 0
        while due - p["jitter"] * p["period"] < frames:
            click = due + p["period"] * p["jitter"] * (2 * jitter.uniform() - 1)
            if 0 <= click < frames:
                envelope += (time >= int(click)) * np.exp(-np.maximum(time - int(click), 0) / p["decay"])
            number += 1
            due = p["first"] + number * p["period"]
        _add(out, x, p["centre"], p["width"], p["level_db"], envelope, everywhere, Flutter(p["seed"]))
    elif kind == "tremolo":
        swing = np.sin(2 * np.pi * (p["rate"] * time + p["phase"]))
        out += p["depth_db"] * bump(n_mels, p["centre"], p["width"])[:, None] * swing
    elif kind == "time_warp":
        moment = p["speed"] * time + p["depth"] * np.sin(2 * np.pi * (p["rate"] * time + p["phase"]))
        places = np.floor(moment + 0.5).astype(int) % max(2 * (frames - 1), 1)
        out = x[:, np.minimum(places, 2 * (frames - 1) - places) if frames > 1 else places]
    return out
