"""Log-Mel of one 10 s clip beside librosa, and with the clip statistics beside numpy."""

import librosa
import numpy as np
import pytest

import offkey

LOGMEL = offkey.LogMel.paper()


def by_librosa(clip):
    mel = librosa.feature.melspectrogram(
        y=clip, sr=16_000, n_fft=1024, hop_length=512, n_mels=128, pad_mode="constant"
    )
    return 10 * np.log10(np.maximum(mel, 1e-10))


def statistics_by_numpy(logmel):
    differences = np.diff(logmel, axis=1)
    return (
        logmel.mean(1),
        np.log(logmel.std(1) + 1e-3),
        np.log(differences.std(1) + 1e-3),
        np.percentile(logmel, 5, axis=1),
    )


@pytest.mark.benchmark(group="log-Mel")
@pytest.mark.parametrize("which", ["offkey", "librosa"])
def test_logmel(benchmark, clips, which):
    ours = lambda: LOGMEL([clips[0]])[0]  # noqa: E731
    theirs = lambda: by_librosa(clips[0])  # noqa: E731
    np.testing.assert_allclose(ours(), theirs(), atol=2e-3)
    benchmark(ours if which == "offkey" else theirs)


@pytest.mark.benchmark(group="log-Mel and clip statistics")
@pytest.mark.parametrize("which", ["offkey", "numpy on our log-Mel"])
def test_statistics(benchmark, clips, which):
    ours = lambda: LOGMEL.statistics([clips[0]])  # noqa: E731
    theirs = lambda: statistics_by_numpy(LOGMEL([clips[0]])[0])  # noqa: E731
    for mine, other in zip(ours(), theirs(), strict=True):
        np.testing.assert_allclose(mine[0], other, atol=1e-4)
    benchmark(ours if which == "offkey" else theirs)
