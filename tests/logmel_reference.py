"""Log-Mel spectrograms in float64, from the definitions of librosa and torchaudio."""

from __future__ import annotations

import librosa
import numpy as np

TOLERANCE_DB = 1e-3
RANGE_DB = 80.0


def librosa_db(
    samples,
    *,
    sample_rate=16_000,
    n_fft=1024,
    hop_length=512,
    win_length=None,
    window="hann",
    n_mels=128,
    f_min_hz=0.0,
    f_max_hz=None,
    mel_scale="slaney",
    mel_norm="slaney",
    pad_mode="constant",
    spectrum="power",
    floor="max",
    floor_value=1e-10,
    num_threads=None,
):
    """What librosa gives with float64 from end to end; the arguments are those of `offkey.LogMel`."""
    samples = np.asarray(samples, np.float64)
    if pad_mode != "none":
        # Padded here: librosa 0.11 pads a cut-out of the end, and where that is no longer than the padding it mirrors
        # the cut-out instead of the clip (n_fft=16, hop_length=8 and 4096 samples, for one).
        samples = np.pad(samples, n_fft // 2, mode=pad_mode)
    frames = librosa.stft(
        samples,
        n_fft=n_fft,
        hop_length=hop_length,
        win_length=win_length,
        window=window,
        center=False,
        dtype=np.complex128,
    )
    filters = librosa.filters.mel(
        sr=sample_rate,
        n_fft=n_fft,
        n_mels=n_mels,
        fmin=f_min_hz,
        fmax=f_max_hz,
        htk=mel_scale == "htk",
        norm=None if mel_norm == "none" else mel_norm,
        dtype=np.float64,
    )
    exponent = 2 if spectrum == "power" else 1
    mel = filters @ np.abs(frames) ** exponent
    return 20 / exponent * np.log10(np.maximum(mel, floor_value) if floor == "max" else mel + floor_value)


def melscale_fbanks(n_freqs, f_min, f_max, n_mels, sample_rate):
    """`torchaudio.functional.melscale_fbanks` with ``norm=None, mel_scale="htk"``, in float64.

    As torchaudio 2 documents it: Mels are ``2595 log10(1 + f / 700)``; with `f` the peaks and edges evenly apart in
    Mels, each filter is ``max(0, min((freq - f[m]) / (f[m+1] - f[m]), (f[m+2] - freq) / (f[m+2] - f[m+1])))``.
    """
    frequencies = np.linspace(0, sample_rate // 2, n_freqs)
    mel_min, mel_max = 2595.0 * np.log10(1.0 + np.array([f_min, f_max]) / 700.0)
    points = 700.0 * (10.0 ** (np.linspace(mel_min, mel_max, n_mels + 2) / 2595.0) - 1.0)
    slopes = points[None, :] - frequencies[:, None]
    widths = np.diff(points)
    return np.maximum(0.0, np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]))


def torchaudio_db(samples, *, sample_rate, n_fft, n_mels=128):
    """`AmplitudeToDB("power")` of `MelSpectrogram`, whose other arguments are at their defaults, in float64.

    ``hop_length = n_fft // 2, power = 2, center, pad_mode = "reflect"``, a periodic Hann window; then
    ``10 log10(max(x, 1e-10))`` less ``10 log10(max(1e-10, 1)) = 0``.
    """
    padded = np.pad(np.asarray(samples, np.float64), n_fft // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[:: n_fft // 2]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    power = np.abs(np.fft.rfft(frames * window, axis=1)) ** 2
    filters = melscale_fbanks(n_fft // 2 + 1, 0.0, sample_rate / 2, n_mels, sample_rate)
    return 10 * np.log10(np.maximum(power @ filters, 1e-10)).T


def torch_stft_db(
    samples, *, sample_rate=16_000, n_fft, hop_length, win_length, window, n_mels, pad_mode="constant"
):
    """What `torch.stft` gives in float64, through librosa's filters; `window` is such as `torch.hann_window`."""
    import torch

    spectrum = torch.stft(
        torch.from_numpy(np.asarray(samples, np.float64)),
        n_fft,
        hop_length,
        win_length,
        window(win_length, dtype=torch.float64),
        center=True,
        pad_mode=pad_mode,
        return_complex=True,
    )
    filters = librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels, dtype=np.float64)
    return 10 * np.log10(np.maximum(filters @ spectrum.abs().numpy() ** 2, 1e-10))


def worst_db(got, expected):
    """Greatest error in dB down to 80 dB below the clip's maximum."""
    assert got.shape == expected.shape
    counts = expected > expected.max() - RANGE_DB
    return float(np.abs(got - expected)[counts].max())


def numpy_statistics(logmels):
    """The statistics of docs/spectral.md in float64: mean, lstd, ldstd, p5 of `(clips, n_mels, frames)`."""
    x = np.asarray(logmels, np.float64)
    differences = np.diff(x, axis=2)
    ldstd = differences.std(axis=2) if differences.shape[2] else np.zeros(x.shape[:2])
    return (
        x.mean(axis=2),
        np.log(x.std(axis=2) + 1e-3),
        np.log(ldstd + 1e-3),
        np.percentile(x, 5, axis=2),
    )


def machine(seed, samples=48_000, sample_rate=16_000):
    """A hum with harmonics over coloured noise and a click now and then, float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(samples) / sample_rate
    base = rng.uniform(40, 300)
    hum = sum(0.2 / k * np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6)) for k in range(1, 9))
    noise = np.cumsum(rng.standard_normal(samples))
    noise = 0.05 * np.diff(noise, prepend=0) + 0.001 * (noise - noise.mean()) / noise.std()
    clicks = 0.3 * (rng.random(samples) < 3 / sample_rate)
    return (hum + noise + clicks).astype(np.float32)
