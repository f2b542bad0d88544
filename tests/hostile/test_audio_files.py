"""Files that lie, break off or are none: a clear error that names the file, never a crash or a hang."""

import itertools
import os
import re
import socket
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import AudioError, UnsupportedAudioError

PCM = np.arange(-50, 50, dtype="<i2").tobytes()


def chunk(name, body):
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def fmt(*, tag=1, channels=1, rate=8000, block=2, bits=16, extra=b""):
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extra)


def wav(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def data(size, body=PCM):
    return b"data" + struct.pack("<I", size) + body


@pytest.fixture
def written(tmp_path):
    """Write bytes to a file and give its path."""
    numbers = itertools.count()

    def write(content, name="clip.wav"):
        path = tmp_path / f"{next(numbers)}_{name}"
        path.write_bytes(content)
        return path

    return write


def refusal(path, error=AudioError):
    """Return what `read` says of the file; it must name it, and `read_batch` must say the same."""
    with pytest.raises(error) as single:
        offkey.read(path)
    batch = offkey.read_batch([path], on_error="collect")
    assert str(batch.errors[0]) == str(single.value)
    assert batch[0].size == 0
    assert str(path) in str(single.value)
    return str(single.value)


def samples_of(path):
    return (offkey.read(path).samples[0] * 32_768).astype(int).tolist()


EXPECTED = list(range(-50, 50))


# ------------------------------------------------------------- what is accepted


@pytest.mark.parametrize(
    "content",
    [
        wav(chunk(b"LIST", b"INFOISFT\4\0\0\0abcd"), fmt(), data(200)),
        wav(chunk(b"junk", b"odd"), fmt(), chunk(b"fact", bytes(4)), data(200), chunk(b"LIST", b"x")),
        wav(fmt(extra=b"\0\0"), data(200)),
        wav(fmt(extra=bytes(50)), data(200)),
        wav(fmt(), data(200), size=0),  # the RIFF size is of no use
        wav(fmt(), data(200), size=0xFFFFFFFF),
        wav(fmt(), data(200) + b"trailing bytes that are no chunk"),
        wav(fmt(), data(201) + b"\1\0"),  # half a frame
        wav(fmt(), data(0xFFFFFFFF)),  # written to a pipe, by ffmpeg
        wav(fmt(), data(0xFFFFFFFF) + b"\7", size=0xFFFFFFFF),
        wav(fmt(), data(0x7FFFF000), size=0x7FFFF024),  # by sox
        wav(fmt(), data(0x80000000)),  # by arecord
        wav(fmt(), data(0), size=0),  # a recorder that was cut off
        wav(fmt(), data(0), size=36),
        wav(fmt(rate=8000).replace(struct.pack("<I", 16_000), b"\0\0\0\0"), data(200)),  # wrong byte rate
        wav(*[chunk(b"pad ", b"")] * 4000, fmt(), data(200)),
    ],
)
def test_odd_but_readable(written, content):
    path = written(content)
    assert samples_of(path) == EXPECTED
    assert offkey.info(path).frames == 100


def test_a_name_says_nothing(written):
    assert samples_of(written(wav(fmt(), data(200)), "clip.mp3")) == EXPECTED
    assert samples_of(written(wav(fmt(), data(200)), "ohne Endung é")) == EXPECTED


def test_names_that_are_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.wav"
    try:
        with open(path, "wb") as file:  # noqa: PTH123
            file.write(wav(fmt(), data(200)))
    except OSError:
        pytest.skip("this file system takes only names in UTF-8")
    assert samples_of(os.fsdecode(path)) == EXPECTED


def test_many_channels(written):
    frame = struct.pack("<1024h", *range(1024))
    path = written(wav(fmt(channels=1024, block=2048), data(3 * 2048, frame * 3)))
    assert offkey.read(path).samples.shape == (1024, 3)
    expected = np.full(3, 1023 / 32_768, np.float32)
    np.testing.assert_array_equal(offkey.read_batch([path], channel=1023)[0], expected)


def test_floats_beyond_full_scale_stay(written):
    values = np.array([0.5, -3.0, 1e30], "<f4")
    path = written(wav(fmt(tag=3, block=4, bits=32), data(12, values.tobytes())))
    np.testing.assert_array_equal(offkey.read(path).samples[0], values)


# ------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", r"the file is empty \(0 bytes\)"),
        (b"hello, this is text\n", "not a sound file that offkey knows: it begins with 'hello, t'"),
        (b"R", "not a sound file"),
        (b"RIFF", "not WAVE"),
        (b"RIFF\0\0\0\0WEBP", "a RIFF file of kind 'WEBP', not WAVE"),
        (wav(), "no data chunk"),
        (wav(fmt()), "no data chunk"),
        (wav(data(200)), "no fmt chunk before its samples"),
        (wav(data(200), fmt()), "no fmt chunk before its samples"),
        (wav(fmt(), data(0, b"")), "holds no samples"),
        (wav(fmt(), data(1, b"\1\0")), "holds no samples"),
        (wav(fmt(), data(202)), "truncated: the header says 202 bytes of samples, but the file has 200"),
        (wav(fmt(), data(0x7FFFEFFF)), "truncated: the header says 2147479551 bytes"),
        (wav(fmt(), data(0xFFFFFFFE)), "truncated: the header says 4294967294 bytes"),
        (wav(fmt(), b"LIST\xff\xff\xff\xff", data(200)), "chunk 'LIST' claims 4294967295 bytes"),
        (
            wav(fmt(), b"LIST\xd1\0\0\0", data(200)),
            "chunk 'LIST' claims 209 bytes, but the file ends after 208",
        ),
        (wav(fmt(), b"dat"), "truncated: the file ends inside the header of a chunk"),
        (wav(chunk(b"fmt ", bytes(15)), data(200)), "the fmt chunk has 15 bytes"),
        (wav(fmt(channels=0, block=0), data(200)), "the header says 0 channels; expected 1 to 1024"),
        (wav(fmt(channels=1025, block=2050), data(200)), "the header says 1025 channels"),
        (wav(fmt(channels=65_535, block=2), data(200)), "the header says 65535 channels"),
        (wav(fmt(rate=0), data(200)), "a sample rate of 0 Hz"),
        (wav(fmt(tag=0xFFFE), data(200)), "the extensible fmt chunk has 16 bytes"),
        (wav(*[chunk(b"pad ", b"")] * 5000, fmt(), data(200)), "no data chunk among the first 4096 chunks"),
        (
            b"RF64\xff\xff\xff\xffWAVE" + chunk(b"ds64", bytes(8)) + fmt() + data(200),
            "the ds64 chunk has 8 bytes",
        ),
        (
            b"RF64\xff\xff\xff\xffWAVE"
            + chunk(b"ds64", struct.pack("<QQQI", 0, 2**62, 0, 0))
            + fmt()
            + data(0xFFFFFFFF),
            "truncated: the header says 4611686018427387904 bytes",
        ),
        (b"fLaC", "truncated"),
        (b"fLaC" + bytes(60), "damaged"),
        (b"OggS", "first packet is of no known kind"),
        (b"ID3\4\0\0\0\0\x7f\x7f" + bytes(20), "ends inside its ID3 tag"),
        (b"ID3\4\0\0\0\0\0\5" + bytes(200), "a tag without sound behind it"),
        (b"\xff\xfb\x90\x00" + bytes(1000), "truncated|damaged|no samples"),
        (b"FORM\0\0\0\4AIFF", "no COMM chunk"),
        (b"FORM\0\0\0\4AIFFCOMM\0\0\0\2\0\1", "the COMM chunk has 2 bytes"),
        (b"FORM\0\0\0\4AIFFSSND\xff\xff\xff\xff", "the SSND chunk has 0 bytes"),
    ],
)
def test_refused_with_the_reason(written, content, reason):
    message = refusal(written(content))
    assert re.search(reason, message), message


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (fmt(tag=0), "format tag 0x0000"),
        (fmt(tag=0x1234), "format tag 0x1234"),
        (fmt(tag=0x55), r"MP3 WAV"),
        (fmt(bits=0), "PCM samples of 0 bits"),
        (fmt(bits=33), "PCM samples of 33 bits"),
        (fmt(tag=3, bits=16), "floating-point samples of 16 bits"),
        (fmt(tag=6, bits=16), "A-law samples of 16 bits"),
        (
            fmt(tag=0xFFFE, extra=struct.pack("<HHI", 22, 16, 0) + b"\1\0\0\0" + b"x" * 12),
            "sub-format 00000001-78",
        ),
    ],
)
def test_other_codings_are_named(written, header, what):
    path = written(wav(header, data(200)))
    with pytest.raises(UnsupportedAudioError, match=what):
        offkey.read(path)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_none(tmp_path, subtype, value):
    samples = np.zeros((70_000, 2))
    samples[60_001, 1] = value
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, 8000, subtype=subtype)
    shown = {"nan": "NaN"}.get(str(value), str(value))
    with pytest.raises(
        AudioError, match=rf"clip\.wav: sample 60001 of channel 1 is {shown}; expected finite"
    ):
        offkey.read(path)
    with pytest.raises(AudioError, match="sample 60001 of the mean of all channels"):
        offkey.read_batch([path], channel="mean")
    assert offkey.read_batch([path], channel=0).lengths.tolist() == [70_000]  # nobody asked for the other


def test_a_double_too_large_for_float32(tmp_path):
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.array([0.0, 1e300]), 8000, subtype="DOUBLE")
    with pytest.raises(AudioError, match="sample 1 of channel 0 is inf"):
        offkey.read(path)


# ------------------------------------------------------------- truncation and damage


@pytest.fixture(scope="module")
def coded(tmp_path_factory):
    """A clip in every container, as bytes, and as it is read."""
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.standard_normal((6000, 2)), axis=0)
    x *= 0.9 / np.abs(x).max()
    folder, clips = tmp_path_factory.mktemp("coded"), {}
    for kind in ("WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"):
        path = folder / kind
        soundfile.write(path, x, 16_000, format=kind)
        clips[kind] = (path.read_bytes(), offkey.read(path).samples)
    return clips


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"])
def test_cut_off_anywhere(tmp_path, coded, kind):
    """At every byte of the headers and every few bytes of the samples."""
    content, _ = coded[kind]
    path = tmp_path / "cut.wav"
    for end in [*range(200), *range(200, len(content), 211), len(content) - 1]:
        path.write_bytes(content[:end])
        with pytest.raises(AudioError, match=r"cut\.wav"):
            offkey.read(path)


@pytest.mark.parametrize("kind", ["FLAC", "OGG"])
def test_a_flipped_bit_is_noticed(tmp_path, coded, kind):
    """FLAC and Ogg have checksums: no damage may change a sample unnoticed."""
    content, expected = coded[kind]
    path = tmp_path / "flipped.wav"
    rng = np.random.default_rng(1)
    for at in [*range(42), *rng.integers(42, len(content), 150).tolist()]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            audio = offkey.read(path)
        except AudioError:
            continue
        # A tag, a padding byte, or a field of the header that says nothing of the samples, such as the rate.
        np.testing.assert_array_equal(audio.samples, expected)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64", "AIFF", "MP3"])
def test_a_flipped_bit_does_no_harm(tmp_path, coded, kind):
    content, _ = coded[kind]
    path = tmp_path / "flipped.wav"
    rng = np.random.default_rng(2)
    for at in [*range(100), *rng.integers(100, len(content), 50).tolist()]:
        damaged = bytearray(content)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            audio = offkey.read(path)
        except AudioError:
            continue
        assert np.isfinite(audio.samples).all()


def test_a_lost_page_or_frame_is_noticed(tmp_path, coded):
    content, _ = coded["OGG"]
    pages = [i for i in range(len(content)) if content[i : i + 4] == b"OggS"]
    path = tmp_path / "lost.ogg"
    lost = len(pages) - 2
    path.write_bytes(content[: pages[lost]] + content[pages[lost + 1] :])
    with pytest.raises(AudioError, match=f"page {lost} of the Ogg file is missing"):
        offkey.read(path)
    path.write_bytes(content + content)
    with pytest.raises(AudioError, match="several streams in a chain"):
        offkey.read(path)


def test_headers_that_ask_for_memory(tmp_path):
    """A header of a few bytes that promises a terabyte costs neither memory nor time."""
    files = {
        "wav": wav(fmt(tag=3, block=8, bits=64), data(0xFFFFFFF0)),
        "aiff": b"FORM\0\0\0\0AIFF"
        + b"COMM\0\0\0\x12\4\0\xff\xff\xff\xff\0\x20\x40\x0b\xfa\0\0\0\0\0\0\0"
        + b"SSND\0\0\0\x08"
        + bytes(8),
        "rf64": b"RF64\xff\xff\xff\xffWAVE"
        + chunk(b"ds64", struct.pack("<QQQI", 0, 2**40, 2**40, 0))
        + fmt()
        + data(0xFFFFFFFF),
    }
    path = tmp_path / "clip.flac"
    soundfile.write(path, np.zeros(5000), 16_000)
    flac = bytearray(path.read_bytes())
    flac[21:26] = bytes([flac[21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])  # 2^36 - 1 samples
    files["flac"] = bytes(flac)
    comment = bytearray(path.read_bytes())
    start = comment.index(b"reference libFLAC") - 4
    comment[start : start + 4] = b"\xff\xff\xff\x7f"
    files["comment"] = bytes(comment)
    names = []
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        names.append(str(tmp_path / name))
    code = """
import resource, sys
import offkey
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
batch = offkey.read_batch(sys.argv[1:], on_error="collect", num_threads=1)
for index, path in enumerate(batch.paths):
    print(path.name, type(batch.errors.get(index)).__name__)
"""
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    refused = dict(line.split() for line in done.stdout.splitlines())
    assert set(refused) == set(files)
    assert {refused[name] for name in ("wav", "aiff", "rf64", "flac")} == {"AudioError"}


# ------------------------------------------------------------- what the file system holds


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such file or directory: .*missing\.wav") as error:
        offkey.read(tmp_path / "missing.wav")
    assert error.value.filename == str(tmp_path / "missing.wav")


def test_folder(tmp_path):
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        offkey.read(tmp_path)


def test_file_in_place_of_a_folder(written):
    with pytest.raises(NotADirectoryError):
        offkey.read(written(b"x") / "clip.wav")


def test_symlinks(tmp_path, written):
    link, loop = tmp_path / "link.wav", tmp_path / "loop.wav"
    link.symlink_to(written(wav(fmt(), data(200))))
    loop.symlink_to(loop)
    assert samples_of(link) == EXPECTED
    with pytest.raises(OSError, match="symbolic links"):
        offkey.read(loop)


def test_no_permission(written):
    path = written(wav(fmt(), data(200)))
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(PermissionError, match=str(path)):
        offkey.read(path)


def test_pipes_sockets_and_devices_are_refused_at_once(tmp_path):
    fifo = tmp_path / "pipe.wav"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as server:
        address = tmp_path / "s"
        server.bind(str(address))
        for path in (fifo, address, "/dev/zero", "/dev/null"):
            with pytest.raises(AudioError, match="not a regular file"):
                offkey.read(path)


def test_a_nul_in_the_name():
    with pytest.raises(OSError, match="NUL"):
        offkey.read("clip\0.wav")


def test_one_bad_file_among_good_ones_costs_nothing(written):
    good = written(wav(fmt(), data(200)))
    bad = [written(c) for c in (b"", b"text", wav(fmt(), data(300)), b"fLaC" + bytes(99))]
    paths = [good, bad[0], good, bad[1], bad[2], good, bad[3], good]
    for threads in (1, 2, 5):
        batch = offkey.read_batch(paths, on_error="collect", num_threads=threads)
        assert sorted(batch.errors) == [1, 3, 4, 6]
        assert batch.lengths.tolist() == [100, 0, 100, 0, 0, 100, 0, 100]
        assert all(str(paths[i]) in str(error) for i, error in batch.errors.items())
