"""A small encoder that was trained by others: the speech embedding that pyopen-wakeword ships, 96 values each 80 ms.

It hears 16 kHz between 60 and 3,800 Hz. ``python tests/wakeword_encoder.py train recordings --recipe knn --set
knn.encoder=wakeword --out fan.offkey`` is the command line with it.
"""

import functools

import numpy as np

from offkey.models import register_encoder

RATE = 16_000
_CHUNK = 1_280  # samples that the library takes at once


@functools.cache
def _features():
    from pyopen_wakeword import OpenWakeWordFeatures

    return OpenWakeWordFeatures.from_builtin()


def encode(samples):
    """Return the embeddings ``(times, 96)`` of 16 kHz samples, 1 s or more."""
    features = _features()
    features.reset()
    features.new_audio_samples = 0  # by default it hears 8 s of silence first
    steps = np.clip(np.round(samples * 32_767), -32_768, 32_767).astype(np.int16)
    chunks = (steps[start : start + _CHUNK] for start in range(0, len(steps) - _CHUNK + 1, _CHUNK))
    vectors = [vector[0, 0] for chunk in chunks for vector in features.process_streaming(chunk.tobytes())]
    return np.concatenate(vectors)


register_encoder("wakeword", encode, sample_rate=RATE)

if __name__ == "__main__":
    import offkey.cli

    offkey.cli.main()
