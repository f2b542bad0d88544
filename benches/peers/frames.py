"""Log-Mels by frames of other lengths than a power of two, beside those of the next power of two.

80 Mels every 160 samples, as in Whisper, whose frames have 400; zeros around, a window as long as the frame.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from peers import data
from peers.harness import Bench, Group, each
from peers.judge import at_most

LENGTHS = {"400": 400, "480": 480, "486": 486, "1250": 1250}
"""The usual ones, and the slowest for their size: all factors but one are 3 or 5."""
HOP, MELS, CHECKED = 160, 80, 4

group = Group(
    "frames",
    "ms a clip",
    1e3,
    {case: f"log-Mel {MELS} x 1001, n_fft {n_fft}" for case, n_fft in LENGTHS.items()},
    same_work=(at_most("error_db", 1e-3),),
)
LogMel = Callable[[np.ndarray], np.ndarray]


@functools.cache
def filters(n_fft: int) -> np.ndarray:
    """(MELS, n_fft // 2 + 1) float64."""
    import librosa

    return librosa.filters.mel(sr=data.RATE_HZ, n_fft=n_fft, n_mels=MELS, dtype=np.float64)


def exact(clip: np.ndarray, n_fft: int) -> np.ndarray:
    """The definition, in float64."""
    padded = np.pad(clip.astype(np.float64), n_fft // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(n_fft + 1)[:-1], axis=1)) ** 2
    return 10 * np.log10(np.maximum(filters(n_fft) @ power.T, 1e-10))


def bench(logmel: LogMel, n_fft: int, threads: int) -> Bench:
    clips = data.clips(64)

    def check() -> dict[str, float]:
        errors = [np.abs(logmel(clip) - exact(clip, n_fft)).max() for clip in clips[:CHECKED]]
        return {"error_db": float(max(errors))}

    made = each(clips, logmel, threads)
    made.check = check
    return made


def by_offkey(n_fft: int, threads: int) -> Bench:
    import offkey

    logmel = offkey.LogMel(n_fft=n_fft, hop_length=HOP, n_mels=MELS, num_threads=threads)
    return bench(lambda clip: logmel([clip])[0], n_fft, threads)


@group.contender("offkey", kind="ours", threads=(1,))
def ours(case: str, threads: int) -> Bench:
    return by_offkey(LENGTHS[case], threads)


@group.contender("offkey, the next power of two", kind="reference", threads=(1,))
def next_power(case: str, threads: int) -> Bench:
    return by_offkey(1 << LENGTHS[case].bit_length(), threads)


@group.contender("torch.stft", threads=(1,))
def torch_stft(case: str, threads: int) -> Bench:
    import torch

    torch.set_num_threads(threads)
    n_fft = LENGTHS[case]
    window, mel = torch.hann_window(n_fft), torch.from_numpy(filters(n_fft).astype(np.float32))

    def logmel(clip: np.ndarray) -> np.ndarray:
        spectrum = torch.stft(
            torch.from_numpy(clip), n_fft, HOP, window=window, pad_mode="constant", return_complex=True
        )
        power = torch.view_as_real(spectrum).square_().sum(-1)
        return (mel @ power).clamp_(min=1e-10).log10_().mul_(10).numpy()

    return bench(logmel, n_fft, threads)


@group.contender("librosa", threads=(1,))
def librosa(case: str, threads: int) -> Bench:
    from librosa import feature, power_to_db

    n_fft = LENGTHS[case]

    def logmel(clip: np.ndarray) -> np.ndarray:
        mels = feature.melspectrogram(y=clip, sr=data.RATE_HZ, n_fft=n_fft, hop_length=HOP, n_mels=MELS)
        return power_to_db(mels, top_db=None)

    return bench(logmel, n_fft, threads)
