"""A folder of some forty files that misleads on purpose: what a user's disk looks like after a year."""

import os
import zlib
from pathlib import Path

import numpy as np
import soundfile

__all__ = ["mixed_folder"]


def _sound(path: Path, *, seconds: float = 2.0, rate: int = 16_000, channels: int = 1, **how: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(zlib.crc32(path.name.encode()))
    soundfile.write(path, 0.1 * generator.standard_normal((round(seconds * rate), channels)), rate, **how)


def mixed_folder(root: Path, *, unreadable: bool = True) -> Path:
    """Fill a folder: two presses, labels in five languages, formats, lengths, links, leftovers.

    Parameters
    ----------
    root
        The folder.
    unreadable
        With a folder that may not be listed; only those who are not root are kept out of it.
    """
    for i in range(10):
        _sound(root / "press-a" / "OK" / f"{i}.wav")
    for i, rate in enumerate((16_000, 44_100, 48_000, 48_000)):
        _sound(root / "press-b" / "正常" / f"aufnahme {i}.wav", rate=rate, seconds=2 + i)
    _sound(root / "press-b" / "fehlerfrei" / "long.flac", seconds=50, channels=2)
    _sound(root / "press-b" / "sans défaut" / "court.WAV", seconds=0.5, channels=2)
    _sound(root / "press-b" / "iO" / "loud.ogg", format="OGG", subtype="VORBIS")
    _sound(root / "press-a" / "NG" / "1.wav")
    _sound(root / "press-b" / "défaut" / "2.wav", channels=2)
    _sound(root / "press-b" / "n.i.O" / "3.aiff", rate=44_100)

    (root / "press-a" / "OK" / "empty.wav").touch()
    (root / "press-a" / "OK" / "diary.wav").write_bytes(b"dear diary, today the press was fine")
    for name in ("phone.m4a", "voice.opus", "desk.w64", "film.MP4", "packed.wav.gz", "copy.wav.part"):
        (root / "press-a" / "OK" / name).write_bytes(b"\0\0\0\x20ftypM4A ")
    (root / "old.zip").write_bytes(b"PK\3\4")
    (root / "notes.txt").write_text("press-c is under repair")
    (root / "list.csv").write_text("file,label\n")
    (root / "press-a" / "OK" / "0.wav.asd").touch()
    _sound(root / ".cache" / "5.wav")
    (root / "__MACOSX" / "press-a").mkdir(parents=True)
    (root / "__MACOSX" / "press-a" / "._0.wav").touch()
    (root / "press-a" / "OK" / "._0.wav").touch()
    (root / ".DS_Store").touch()

    (root / "press-a" / "OK" / "moved.wav").symlink_to(root / "gone.wav")
    (root / "press-d").symlink_to(root / "gone")
    (root / "press-e").symlink_to(root / "press-a")
    os.mkfifo(root / "press-a" / "OK" / "live.wav")
    _sound(root / "press-c" / "1.wav")
    if unreadable:
        (root / "press-c").chmod(0o000)
    return root
