"""Write small valid files into the corpus of the fuzz target `decode`; needs soundfile."""

from pathlib import Path

import numpy as np
import soundfile

CORPUS = Path(__file__).parent / "corpus" / "decode"
FORMATS = {
    "WAV": ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW", "MS_ADPCM"],
    "WAVEX": ["PCM_16", "FLOAT"],
    "RF64": ["PCM_16"],
    "AIFF": ["PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"],
    "FLAC": ["PCM_S8", "PCM_16", "PCM_24"],
    "OGG": ["VORBIS", "OPUS"],
    "MP3": ["MPEG_LAYER_III"],
}


def main() -> None:
    """Write one file for each format, coding, and one or two channels."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for container, codings in FORMATS.items():
        for coding in codings:
            for channels in (1, 2):
                samples = 0.1 * rng.standard_normal((60 if container != "FLAC" else 300, channels))
                path = CORPUS / f"{container}-{coding}-{channels}".lower()
                soundfile.write(path, samples, 8000, format=container, subtype=coding)
    for endian in ("LITTLE", "BIG"):
        soundfile.write(
            CORPUS / f"wav-{endian}".lower(), rng.uniform(-1, 1, 20), 8000, "PCM_16", endian, "WAV"
        )
        soundfile.write(
            CORPUS / f"aiff-{endian}".lower(), rng.uniform(-1, 1, 20), 8000, "PCM_16", endian, "AIFF"
        )


if __name__ == "__main__":
    main()
