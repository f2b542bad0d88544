"""A recording to be heard as it is, and with what is odd alone."""

from __future__ import annotations

import glob
import io
import os
from pathlib import Path, PurePosixPath

import numpy as np

from offkey._util.files import atomic_path, check_new
from offkey.explain.explanation import Explanation
from offkey.signal.audio import read_batch

__all__ = ["healthy_file", "odd_part", "sound_files", "write_sounds"]

_FADE_BINS, _FADE_FRAMES = 1, 1  # at the edges of bands and stretches, lest they click or ring


def odd_part(explanation: Explanation, *, n_fft: int = 1024) -> np.ndarray:
    """Return the recording with its odd bands and times alone, ``(samples,)`` float32; silence where nothing is odd.

    The spectrum of short frames is kept inside the explanation's bands while their stretches last, and put together
    again.

    Parameters
    ----------
    explanation
        Of a recording.
    n_fft
        Samples of a frame, of which neighbours share three quarters.
    """
    samples, rate = explanation.samples, explanation.sample_rate
    hop, start = n_fft // 4, explanation.start_s or 0.0
    window = np.sin(np.pi * (np.arange(n_fft) + 0.5) / n_fft)
    padded = np.pad(samples.astype(np.float64), (n_fft, n_fft + -len(samples) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    hz = np.fft.rfftfreq(n_fft, 1 / rate)
    seconds = start + (hop * np.arange(len(frames)) - n_fft / 2) / rate
    seconds = np.clip(seconds, start, explanation.end_s)  # frames that reach beyond an end belong to it
    mask = np.zeros((len(frames), len(hz)))
    for band in explanation.bands:
        inside = _ramp(hz, band.low_hz, band.high_hz, width=_FADE_BINS * rate / n_fft)
        times = [
            _ramp(seconds, one.start_s, one.end_s, width=_FADE_FRAMES * hop / rate) for one in band.stretches
        ]
        mask = np.maximum(mask, np.max(times, axis=0)[:, None] * inside)
    kept = np.fft.irfft(np.fft.rfft(frames * window) * mask, n_fft) * window
    total = np.zeros(len(padded))
    for place, frame in enumerate(kept):
        total[place * hop : place * hop + n_fft] += frame
    # The squares of the window, shifted by a quarter of it, sum to 2.
    odd: np.ndarray = (total[n_fft : n_fft + len(samples)] / 2).astype(np.float32)
    return odd


def healthy_file(explanation: Explanation, folder: str | os.PathLike[str]) -> Path | None:
    """Return the file of the nearest healthy recording that lies in a folder of training recordings, or None.

    Parameters
    ----------
    explanation
        Of a recording.
    folder
        Where the training recordings are: what the detector was trained on, or a part of it.
    """
    root = Path(folder)
    for recording in explanation.nearest:
        wanted = PurePosixPath(recording.path)
        if (root / wanted).is_file():
            return root / wanted
        below = (path for path in sorted(root.rglob(glob.escape(wanted.name))) if path.is_file())
        for path in below:
            if path.parts[-len(wanted.parts) :] == wanted.parts:
                return path
    return None


def write_sounds(
    explanation: Explanation, folder: str | os.PathLike[str], *, name: str, healthy: Path | None = None
) -> list[Path]:
    """Write the recording, its odd part, and a healthy recording to compare with, as WAV files of 16 bit.

    Parameters
    ----------
    explanation
        Of a recording.
    folder
        Where to; it is made if it is not there.
    name
        What the files' names begin with: ``NAME.wav``, ``NAME-odd.wav``, ``NAME-healthy.wav``.
    healthy
        The healthy recording, such as `healthy_file` finds; without one there are two files.

    Returns
    -------
    list
        The files.

    Raises
    ------
    FileExistsError
        If there is a file of such a name, which may be a recording: none is written over.
    OSError, AudioError
        If the healthy recording cannot be read, or a file cannot be written.
    """
    rate = explanation.sample_rate
    files = sound_files(folder, name)
    for path in files:
        check_new(path)
    sounds = [explanation.samples, odd_part(explanation)]
    if healthy is not None:
        sounds += [read_batch([healthy], sample_rate=rate, channel=explanation.channel)[0]]
    Path(folder).mkdir(parents=True, exist_ok=True)
    for path, samples in zip(files, sounds, strict=False):
        _write_wav(path, samples, rate)
    return files[: len(sounds)]


def sound_files(folder: str | os.PathLike[str], name: str) -> list[Path]:
    """Return the files that `write_sounds` writes: the recording, its odd part, and a healthy recording."""
    return [Path(folder) / f"{name}{ending}.wav" for ending in ("", "-odd", "-healthy")]


def _write_wav(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    import soundfile

    buffer = io.BytesIO()  # written by Python, so that a full disk is an OSError
    soundfile.write(buffer, np.clip(samples, -1.0, 1.0), sample_rate, format="WAV", subtype="PCM_16")
    with atomic_path(path) as scratch:
        scratch.write_bytes(buffer.getbuffer())


def _ramp(places: np.ndarray, low: float, high: float, *, width: float) -> np.ndarray:
    """Return 1 inside an interval, 0 outside, and straight lines of a width beyond its edges."""
    beyond = np.maximum(low - places, places - high)
    ramp: np.ndarray = np.clip(1 - beyond / width, 0.0, 1.0)
    return ramp
