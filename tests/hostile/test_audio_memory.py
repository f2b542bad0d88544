"""No file decides how much memory is asked for: not by its header's rate or length, nor by what it decodes to."""

import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from peak_memory import PEAK_KIB

import offkey
from offkey.errors import AudioError, ParameterError

BLOCK = 65_535  # samples of a frame of FLAC


def wav(samples, *, rate, channels=1, size=None):
    data = np.asarray(samples, "<i2").tobytes()
    size = len(data) if size is None else size
    header = struct.pack("<HHIIHH", 1, channels, rate, 2 * channels * rate, 2 * channels, 16)
    return (
        b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt \x10\0\0\0" + header
        + b"data" + struct.pack("<I", size) + data
    )  # fmt: skip


def checksum(data, width, polynomial):
    top, mask, value = 1 << (width - 1), (1 << width) - 1, 0
    for byte in data:
        value ^= byte << (width - 8)
        for _ in range(8):
            value = ((value << 1) ^ (polynomial if value & top else 0)) & mask
    return value


def constant_flac(frames, *, rate=16_000, channels=1, total=None):
    """Return a FLAC file of silence, 15 bytes for each frame of 65,535 samples; 0 as `total` says nothing."""
    assert frames <= 0x10000
    total = frames * BLOCK if total is None else total
    info = (rate << 44 | (channels - 1) << 41 | 15 << 36 | total).to_bytes(8, "big")
    parts = [b"fLaC\x80\0\0\x22\0\x10\xff\xff" + bytes(6) + info + bytes(16)]
    for number in range(frames):
        # As UTF-8 writes it, but for the numbers that are no characters.
        count = chr(number).encode(errors="surrogatepass")
        header = b"\xff\xf8\x70" + bytes([(channels - 1) << 4]) + count + struct.pack(">H", BLOCK - 1)
        frame = header + bytes([checksum(header, 8, 7)]) + bytes(3 * channels)
        parts.append(frame + checksum(frame, 16, 0x8005).to_bytes(2, "big"))
    return b"".join(parts)


def python(code, *arguments, gib=2):
    """Run a program with so much address space; returns what it prints."""
    limit = f"import resource\nresource.setrlimit(resource.RLIMIT_AS, ({gib} << 30, {gib} << 30))\n"
    command = [sys.executable, "-c", limit + "import sys, offkey\n" + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "good.wav"
    path.write_bytes(wav(np.arange(100), rate=16_000))
    return path


COLLECT = f"""{PEAK_KIB}
batch = offkey.read_batch(sys.argv[1:], sample_rate=16_000, on_error="collect")
print(sorted(batch.errors), batch.lengths[0], peak_kib() // 1024, *batch.errors.values(), sep="|")
"""


@pytest.mark.parametrize("rate", [1, 2, 8, 16, 62])
def test_a_rate_that_multiplies_the_samples(tmp_path, good, rate):
    path = tmp_path / "rate.wav"
    path.write_bytes(wav(np.zeros(160_000), rate=rate))
    errors, first, peak, text = python(COLLECT, good, path).strip().split("|")
    assert (errors, first) == ("[1]", "100")
    assert int(peak) < 300
    assert str(path) in text
    assert "160000 samples at 1 Hz" in text if rate == 1 else f"a sample rate of {rate} Hz" in text


def test_few_samples_of_an_odd_rate_are_resampled_all_the_same(tmp_path):
    path = tmp_path / "slow.wav"
    path.write_bytes(wav(np.ones(100), rate=2))
    assert offkey.read_batch([path], sample_rate=16_000).lengths.tolist() == [800_000]


def test_a_long_recording_where_memory_is_short(tmp_path, good):
    """Its samples fit into no memory at the rate that is asked for: an error row, not the end of the process."""
    path, size = tmp_path / "long.wav", 2 * 16_000 * 3600 * 14
    with path.open("wb") as file:
        file.write(wav([], rate=16_000, size=size))
        file.truncate(44 + size)
    errors, first, _, text = python(COLLECT, good, path).strip().split("|")
    assert (errors, first) == ("[1]", "100")
    assert "there is no memory for" in text
    output = python(
        "print(offkey.read_batch(sys.argv[1:], max_seconds=3600, on_error='collect').errors)", path
    )
    assert "longer than 3600 s" in output


@pytest.mark.parametrize("total", [0, None])
@pytest.mark.parametrize("channels", [1, 8])
def test_a_bomb(tmp_path, good, channels, total):
    path = tmp_path / "bomb.flac"
    path.write_bytes(constant_flac(600 if channels == 1 else 300, channels=channels, total=total))
    code = """
for read in (offkey.read, lambda path: offkey.read_batch([path])):
    try:
        read(sys.argv[1])
    except offkey.errors.AudioError as error:
        print(error)
"""
    lines = python(code, path).splitlines()
    # One channel of eight is not too much.
    assert len(lines) == (2 if channels == 1 else 1)
    assert all("no encoder writes such a file" in line for line in lines)


def test_statistics_of_bombs_are_errors_too(tmp_path, good):
    path = tmp_path / "bomb.flac"
    path.write_bytes(constant_flac(600))
    logmel = offkey.LogMel(sample_rate=16_000)
    _, errors = logmel.statistics_from_files([path, good, path], on_error="collect")
    assert sorted(errors) == [0, 2]


def test_a_recording_longer_than_is_wanted(tmp_path, good):
    path = tmp_path / "minute.flac"
    soundfile.write(path, np.zeros(16_000 * 60, np.int16), 16_000)
    logmel = offkey.LogMel(sample_rate=16_000)
    calls = (
        offkey.read,
        lambda path, **options: offkey.read_batch([path], **options),
        lambda path, **options: logmel.from_files([path], **options),
        lambda path, **options: logmel.each_from_files([path], **options),
        lambda path, **options: logmel.statistics_from_files([path], **options),
    )
    for call in calls:
        call(path, max_seconds=60)
        with pytest.raises(AudioError, match=r"minute\.flac: longer than 59\.5 s.*give max_seconds"):
            call(path, max_seconds=59.5)
        for bad in (0, -1, float("nan")):
            with pytest.raises(ParameterError, match="max_seconds"):
                call(path, max_seconds=bad)
    batch = offkey.read_batch([path, good], max_seconds=1, on_error="collect")
    assert sorted(batch.errors) == [0]


BLOCKS = f"""{PEAK_KIB}
blocks, seconds = offkey.read_blocks(sys.argv[1], seconds=600, sample_rate=int(sys.argv[2])), 0
for block in blocks:
    assert not block.any()
    seconds += len(block) / blocks.sample_rate
print(seconds / 3600, peak_kib() // 1024)
"""


@pytest.mark.parametrize(("hours", "sample_rate"), [(4, 16_000), (1, 8000)])
def test_a_long_recording_in_blocks_takes_little_memory(tmp_path, hours, sample_rate):
    """As a whole it would take 0.9 GB, or 0.35 GB with what it is resampled from."""
    path = tmp_path / "night.flac"
    frames = hours * 3600 * 16_000 // BLOCK + 1
    path.write_bytes(constant_flac(frames))
    read_hours, peak = python(BLOCKS, path, sample_rate).split()
    assert float(read_hours) == pytest.approx(frames * BLOCK / 16_000 / 3600)
    assert int(peak) < 250  # a block of 10 minutes takes 38 MB
