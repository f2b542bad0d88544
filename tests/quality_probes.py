"""Probes of what a pitch shift or time stretch does to machine sounds.

Each probe sends one synthetic clip through the effect: a tone, five inharmonic tones, white noise, clicks,
clicks over hum. Run as a script, it prints the table for offkey's own pitch shift and time stretch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass, fields

import numpy as np
import scipy.signal

RATE_HZ = 16_000
CLIP = 10 * RATE_HZ
TONE_HZ = 440.0
TONES_HZ = (123.4, 311.7, 997.1, 2113.3, 4731.9)

Effect = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Quality:
    """What the probes found; the comment behind each is the ideal."""

    length: int  # 0: samples more than asked for
    cents: float  # 0: error of the tone's frequency
    one_tone_db: float  # high: power of the best sine over the rest, per second, median
    one_tone_whole_db: float  # high: the same with one sine fitted to the middle 80 %
    five_tones_db: float  # high: the same per second for five inharmonic tones
    gain_db: float  # 0: level of the tone
    noise_db: float  # 0: level of white noise beyond what the band lost by the shift explains
    ripple_db: float  # 0.3 or so, the estimator's own: spread of the noise's spectrum over 250 Hz bands
    click_percent: float  # 100: energy within 5 ms of a click of that within 150 ms
    lag_ms: float  # 0: delay of the clicks
    hum_click_percent: float  # 100: as click_percent, for clicks over two tones that are subtracted again


def measure(effect: Effect, *, frequency_ratio: float, time_ratio: float) -> Quality:
    """Probe an effect that multiplies frequencies and the length by the two ratios.

    Parameters
    ----------
    effect
        From (samples,) float32 at 16 kHz to another such array.
    frequency_ratio
        1 for a time stretch, ``2 ** (semitones / 12)`` for a pitch shift.
    time_ratio
        1 for a pitch shift, ``1 / rate`` for a time stretch.
    """
    time_s = np.arange(CLIP) / RATE_HZ
    tone = _run(effect, 0.5 * np.sin(2 * np.pi * TONE_HZ * time_s))
    first, last = int(0.1 * len(tone)), int(0.9 * len(tone))
    found_hz = _strongest_hz(tone[first:last])
    fits = [_fit(tone[i : i + RATE_HZ], [found_hz]) for i in _seconds(len(tone))]
    amplitude = float(np.median([fit.amplitudes[0] for fit in fits]))

    phases = 2 * np.pi * np.outer(time_s, TONES_HZ) + np.arange(len(TONES_HZ))
    tones = _run(effect, 0.15 * np.sin(phases).sum(axis=1))
    tones_hz = np.multiply(TONES_HZ, found_hz / TONE_HZ)
    five = [_fit(tones[i : i + RATE_HZ], tones_hz).sinad_db for i in _seconds(len(tones))]

    noise_db, ripple_db = _noise(effect, frequency_ratio)
    click_percent, lag_ms = _clicks(effect, frequency_ratio, time_ratio, hum_hz=())
    return Quality(
        length=len(tone) - round(CLIP * time_ratio),
        cents=1200 * float(np.log2(found_hz / (TONE_HZ * frequency_ratio))),
        one_tone_db=float(np.median([fit.sinad_db for fit in fits])),
        one_tone_whole_db=_fit(tone[first:last], [found_hz]).sinad_db,
        five_tones_db=float(np.median(five)),
        gain_db=20 * float(np.log10(amplitude / 0.5)),
        noise_db=noise_db,
        ripple_db=ripple_db,
        click_percent=click_percent,
        lag_ms=lag_ms,
        hum_click_percent=_clicks(effect, frequency_ratio, time_ratio, hum_hz=(97.3, 1234.5))[0],
    )


@dataclass(frozen=True)
class _Fit:
    amplitudes: np.ndarray
    rest: np.ndarray
    sinad_db: float


def _fit(signal: np.ndarray, tones_hz: np.ndarray | list[float]) -> _Fit:
    """Least squares of sines of known frequencies."""
    angles = 2 * np.pi * np.outer(np.arange(len(signal)) / RATE_HZ, tones_hz)
    basis = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    weights = np.linalg.lstsq(basis, signal, rcond=None)[0]
    fitted = basis @ weights
    rest = signal - fitted
    ratio = fitted.var() / max(rest.var(), 1e-30)
    return _Fit(np.hypot(*weights.reshape(2, -1)), rest, 10 * float(np.log10(ratio)))


def _run(effect: Effect, signal: np.ndarray) -> np.ndarray:
    return np.asarray(effect(signal.astype(np.float32)), dtype=np.float64)


def _seconds(length: int) -> range:
    """Starts of the one-second stretches within the middle 80 %, half a second apart."""
    return range(int(0.1 * length), int(0.9 * length) - RATE_HZ + 1, RATE_HZ // 2)


def _strongest_hz(signal: np.ndarray) -> float:
    """Highest peak of a padded Blackman-Harris spectrum, by a parabola through its logarithms."""
    padded = 8 * len(signal)
    window = scipy.signal.windows.blackmanharris(len(signal), sym=False)
    spectrum = np.abs(np.fft.rfft(signal * window, padded))
    peak = int(spectrum[1:-1].argmax()) + 1
    left, centre, right = np.log(spectrum[peak - 1 : peak + 2] + 1e-300)
    return (peak + 0.5 * (left - right) / (left - 2 * centre + right)) * RATE_HZ / padded


def _noise(effect: Effect, frequency_ratio: float) -> tuple[float, float]:
    noise = 0.1 * np.random.default_rng(0).standard_normal(CLIP)
    out = _run(effect, noise)
    out = out[int(0.1 * len(out)) : int(0.9 * len(out))]
    lost_db = -10 * np.log10(max(frequency_ratio, 1.0))
    level_db = 20 * np.log10(out.std() / noise.std())
    frequencies, power = scipy.signal.welch(out, RATE_HZ, nperseg=1024)
    top_hz = min(6500.0, 0.95 * RATE_HZ / 2 * frequency_ratio)
    bands = [
        10 * np.log10(power[(frequencies >= low) & (frequencies < low + 250)].mean())
        for low in range(250, int(top_hz) - 249, 250)
    ]
    return float(level_db - lost_db), float(max(bands) - min(bands))


def _clicks(
    effect: Effect, frequency_ratio: float, time_ratio: float, *, hum_hz: tuple[float, ...]
) -> tuple[float, float]:
    """Share of the clicks' energy near their peaks, and their delay."""
    near, far = RATE_HZ * 5 // 1000, RATE_HZ * 150 // 1000
    places = np.arange(RATE_HZ // 2, CLIP - RATE_HZ // 2, RATE_HZ // 2)
    clip = np.zeros(CLIP)
    clip[places] = 0.9
    for hz in hum_hz:
        clip += 0.1 * np.sin(2 * np.pi * hz * np.arange(CLIP) / RATE_HZ)
    out = _run(effect, clip)
    shares, delays = [], []
    for place in places[2:-2]:
        expected = place * time_ratio
        low = round(expected) - RATE_HZ // 5
        piece = out[low : round(expected) + RATE_HZ // 5]
        if hum_hz:
            piece = _fit(piece, np.multiply(hum_hz, frequency_ratio)).rest
        energy = piece**2
        peak = int(np.convolve(energy, np.ones(near), "same").argmax())
        around = energy[max(peak - far, 0) : peak + far].sum()
        shares.append(energy[peak - near : peak + near].sum() / max(around, 1e-30))
        delays.append((peak + low - expected) * 1000 / RATE_HZ)
    return 100 * float(np.median(shares)), float(np.median(delays))


COLUMNS = tuple(field.name for field in fields(Quality))


def table(rows: dict[str, Quality]) -> str:
    """Format qualities as a Markdown table."""
    lines = ["| effect | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    lines += [
        f"| {name} | " + " | ".join(f"{v:.5g}" for v in astuple(row)) + " |" for name, row in rows.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table of offkey's own effects."""
    from offkey.signal import augment

    rows = {}
    for semitones in (2.0, 7.0, -2.0, -7.0):
        rows[f"pitch {semitones:+g}"] = measure(
            lambda x, s=semitones: augment.pitch_shift(x, semitones=s),
            frequency_ratio=2 ** (semitones / 12),
            time_ratio=1.0,
        )
    for rate in (0.8, 1.1):
        rows[f"stretch {rate:g}"] = measure(
            lambda x, r=rate: augment.time_stretch(x, rate=r), frequency_ratio=1.0, time_ratio=1 / rate
        )
    print(table(rows))


if __name__ == "__main__":
    main()
