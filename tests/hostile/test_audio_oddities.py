"""What the field does to files, and other readers take: they are read, and refused by their name where they are not."""

import itertools
import struct

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import AudioError, UnsupportedAudioError

RATE = 16_000
RNG = np.random.default_rng(0)
CLIP = 0.4 * np.sin(np.arange(RATE) * 0.05) + 0.05 * RNG.standard_normal(RATE)
PCM = np.round(CLIP * 32_767).astype("<i2")


@pytest.fixture
def written(tmp_path):
    """Write bytes to a file and give its path."""
    numbers = itertools.count()

    def write(content):
        path = tmp_path / f"{next(numbers)}.sound"
        path.write_bytes(content)
        return path

    return write


def coded(tmp_path, kind, **options):
    path = tmp_path / "plain"
    soundfile.write(path, CLIP, RATE, format=kind, **options)
    return path.read_bytes()


# ------------------------------------------------------------- WAV


def chunk(name, body, *, size=None):
    return name + struct.pack("<I", len(body) if size is None else size) + body


def fmt(*, channels=1, bits=16, block):
    return chunk(b"fmt ", struct.pack("<HHIIHH", 1, channels, RATE, 2 * RATE, block, bits))


def riff(*chunks, size=None):
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


@pytest.mark.parametrize("block", [0, 1, 3, 4, 6, 0xFFFF])
def test_the_size_of_a_frame_follows_from_the_rest(written, block):
    path = written(riff(fmt(block=block), chunk(b"data", PCM.tobytes())))
    np.testing.assert_array_equal(offkey.read(path).samples[0], PCM / np.float32(32_768))


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("bits", [20, 24])
@pytest.mark.parametrize("lead", [0, 70_000])  # of silence, which tells nothing
@pytest.mark.parametrize("shift", [0, 8])  # as arecord writes them, and as the format wants it
def test_24_bits_in_four_bytes(written, channels, bits, lead, shift):
    values = RNG.integers(-(1 << 23), 1 << 23, 999 * channels).astype("<i4")
    values = np.concatenate([np.zeros(lead * channels, "<i4"), values])
    path = written(
        riff(
            fmt(channels=channels, bits=bits, block=4 * channels), chunk(b"data", (values << shift).tobytes())
        )
    )
    expected = values.reshape(-1, channels).T / np.float32(1 << 23)
    np.testing.assert_array_equal(offkey.read(path).samples, expected)


@pytest.mark.parametrize(
    ("size", "outer"),
    [
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF - 36, 0xFFFFFFFF),
        (0xFFFFFFFF - 44, 0xFFFFFFFF - 8),
        (0xFFFFF000, 0xFFFFF024),
        (0x7FFFFFFF - 36, 0x7FFFFFFF),
        (0x80000024, 0x80000048),
        (0x7F000000, 0x7F000024),
        (0x40000000, 0x40000024),
        (2_000_000_000, 2_000_000_036),
        (1_000_000_000, 1_000_000_036),
        (1 << 30, 0xFFFFFFFF),
        (1_234_567_890, 0xFFFFFFFF),
        (1_234_567_890, 0),
        (0, 0xFFFFFFFF),
    ],
)
def test_sizes_that_were_never_known(written, size, outer):
    path = written(riff(fmt(block=2), chunk(b"data", PCM.tobytes(), size=size), size=outer))
    np.testing.assert_array_equal(offkey.read(path).samples[0], PCM / np.float32(32_768))


@pytest.mark.parametrize(
    ("size", "outer"),
    [(40_000, 40_036), (40_000, 0xFFFFFFFF), (1_234_567_890, 1_234_567_926), (1_152_000_000, 1_152_000_036)],
)
def test_sizes_of_what_was_cut_off(written, size, outer):
    path = written(riff(fmt(block=2), chunk(b"data", PCM.tobytes(), size=size), size=outer))
    with pytest.raises(AudioError, match=f"truncated: the header says {size} bytes"):
        offkey.read(path)


# ------------------------------------------------------------- AIFF


def aiff(*, frames, sound, form, after=b""):
    rate = struct.pack(">HQ", 16_383 + 13, RATE << 50)
    common = b"COMM" + struct.pack(">IhIh", 18, 1, frames, 16) + rate
    body = b"AIFF" + common + b"SSND" + struct.pack(">III", sound, 0, 0) + PCM.astype(">i2").tobytes() + after
    return b"FORM" + struct.pack(">I", len(body) if form is None else form) + body


@pytest.mark.parametrize(
    "sizes",
    [
        {"frames": RATE, "sound": 2 * RATE + 8, "form": None},
        {"frames": RATE, "sound": 2 * RATE + 8, "form": 0},
        {"frames": 0, "sound": 0, "form": 0},  # ffmpeg to a pipe
        {"frames": 0x7F000000 // 2, "sound": 0x7F000008, "form": 0x7F000036},  # sox to a pipe
        {"frames": 0, "sound": 8, "form": 46},  # a recorder that was cut off
        {"frames": 0xFFFFFFFF, "sound": 0xFFFFFFFF, "form": 0xFFFFFFFF},
        {"frames": 0, "sound": 2 * RATE + 8, "form": 0},
    ],
)
def test_aiff_of_sizes_that_were_never_known(written, sizes):
    path = written(aiff(**sizes))
    np.testing.assert_array_equal(offkey.read(path).samples[0], PCM / np.float32(32_768))
    assert offkey.info(path).frames == RATE


@pytest.mark.parametrize(
    "sizes",
    [
        {"frames": RATE, "sound": 2 * RATE + 10, "form": None},
        {"frames": RATE + 1, "sound": 2 * RATE + 8, "form": None},
        {"frames": 0x7F000000 // 2, "sound": 0x7F000008, "form": None},
        {"frames": 600_000_000, "sound": 1_200_000_008, "form": 1_200_000_054},
    ],
)
def test_aiff_that_was_cut_off(written, sizes):
    with pytest.raises(AudioError, match="truncated"):
        offkey.read(written(aiff(**sizes)))


# ------------------------------------------------------------- what stands before the sound


def tag(size, content=b""):
    sizes = bytes(size >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + sizes + content.ljust(size, b"\0")


def ape(item=b"\2\0\0\0\0\0\0\0Title\0ab"):
    """An APE tag with its header and footer."""
    ends = [struct.pack("<8s4I8x", b"APETAGEX", 2000, len(item) + 32, 1, flag << 28) for flag in (10, 8)]
    return ends[0] + item + ends[1]


BEFORE = [tag(10), tag(0) + tag(300), tag(5) + bytes(100_000), ape(), ape() + tag(10), tag(10) + ape()]
BEHIND = [b"TAG" + bytes(125), ape(), tag(30), ape() + b"TAG" + bytes(125), b"LYRICSBEGIN" + bytes(20)]


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "FLAC", "OGG", "MP3"])
def test_a_tag_before_any_kind(tmp_path, written, kind, before):
    plain = coded(tmp_path, kind)
    expected = offkey.read(written(plain)).samples
    path = written(before + plain)
    np.testing.assert_array_equal(offkey.read(path).samples, expected)
    assert offkey.info(path).frames == RATE


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize("kind", ["WAV", "RF64", "AIFF", "FLAC", "OGG", "MP3"])
def test_a_tag_behind_any_kind(tmp_path, written, kind, behind):
    plain = coded(tmp_path, kind)
    expected = offkey.read(written(plain)).samples
    np.testing.assert_array_equal(offkey.read(written(plain + behind)).samples, expected)


@pytest.mark.parametrize("behind", [b"", *BEHIND])
def test_flac_of_open_length_ends_where_a_tag_begins(tmp_path, written, behind):
    plain = coded(tmp_path, "FLAC")
    expected = offkey.read(written(plain)).samples
    # Neither a number of samples nor a checksum of them, as an encoder that writes to a pipe leaves it.
    length = bytes([plain[21] & 0xF0]) + bytes(20)
    piped = plain[:21] + length + plain[42:]
    np.testing.assert_array_equal(offkey.read(written(piped + behind)).samples, expected)
    with pytest.raises(AudioError, match=r"truncated|damaged"):
        offkey.read(written(piped[:-200] + behind))
    with pytest.raises(AudioError, match="no frame begins where one should"):
        offkey.read(written(piped + b"junk" * 10))


def test_a_tag_that_is_cut_off_is_called_so(written):
    with pytest.raises(AudioError, match="truncated: the file ends inside its APE tag"):
        offkey.read(written(ape()[:40]))


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
@pytest.mark.parametrize("size", [0, (1 << 63) - 1, (1 << 64) - 1])
def test_rf64_of_a_size_that_was_never_known(written, magic, size):
    sizes = chunk(b"ds64", struct.pack("<QQQI", size, size, 0, 0))
    body = b"WAVE" + sizes + fmt(block=2) + b"data" + b"\xff" * 4 + PCM.tobytes()
    assert offkey.read(written(magic + b"\xff" * 4 + body)).samples.shape == (1, RATE)


@pytest.mark.parametrize(
    "before",
    [
        bytes(417),
        bytes(range(1, 200)),
        b"\xff\xfb\x90" * 50,
        tag(100) + bytes(2000),
        tag(100) + b"\x89PNG" * 20_000,
    ],
)
def test_junk_before_mp3(tmp_path, written, before):
    plain = coded(tmp_path, "MP3")
    expected = offkey.read(written(plain)).samples
    np.testing.assert_array_equal(offkey.read(written(before + plain)).samples, expected)


def test_mp3_cut_inside_a_frame(tmp_path, written):
    plain = coded(tmp_path, "MP3")
    audio = offkey.read(written(plain[1000:]))
    assert RATE / 2 < audio.frames <= RATE + 3000
    info = offkey.info(written(plain[1000:]))
    assert info.frames is None  # said by the first frame, which is gone
    # Behind what its frames share with those that are missing, it is the sound that it was.
    whole = offkey.read(written(plain)).samples[0]
    end = audio.samples[0, -4000:-2500]
    places = [np.abs(whole[i : i + end.size] - end).max() for i in range(RATE // 2, RATE - end.size)]
    assert min(places) < 1e-4


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig"])
def test_text_is_no_sound(written, encoding):
    text = ("path;label\n" + "fan/normal_01.wav;0\n" * 500).encode(encoding)
    with pytest.raises(AudioError, match="not a sound file"):
        offkey.read(written(text))


@pytest.mark.parametrize(
    ("head", "layer"),
    [
        (b"\xff\xff\xc4\x00", "layer I "),
        (b"\xff\xfe\xc4\x00", "layer I "),
        (b"\xff\xfd\x84\x00", "layer II "),
    ],
)
def test_other_layers_are_told_by_their_frames(written, head, layer):
    for before in (b"", bytes(700)):
        with pytest.raises(UnsupportedAudioError, match=layer):
            offkey.read(written(before + (head + bytes(380)) * 5))


def test_mp3_of_free_format_is_called_so(written):
    with pytest.raises(UnsupportedAudioError, match="MP3 of free format"):
        offkey.read(written((b"\xff\xfb\x00\x00" + bytes(413)) * 9))


# ------------------------------------------------------------- Ogg


def checksum(data):
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
    return value


def page(body, table, granule, flags, number, serial=7):
    head = b"OggS\0" + bytes([flags]) + struct.pack("<qII", granule, serial, number)
    tail = bytes([len(table)]) + table + body
    return head + struct.pack("<I", checksum(head + bytes(4) + tail)) + tail


@pytest.fixture(scope="module")
def ogg(tmp_path_factory):
    """Pages of the headers, and of six seconds of sound, as body, table, granule and flags."""
    path = tmp_path_factory.mktemp("ogg") / "clip"
    soundfile.write(path, np.tile(CLIP, 6), RATE, format="OGG", subtype="VORBIS")
    content, pages, at = path.read_bytes(), [], 0
    while at < len(content):
        count = content[at + 26]
        table = content[at + 27 : at + 27 + count]
        body = content[at + 27 + count : at + 27 + count + sum(table)]
        pages.append((body, table, *struct.unpack_from("<q", content, at + 6), content[at + 5]))
        at += 27 + count + sum(table)
    headers = [entry for entry in pages if entry[2] == 0]
    return headers, pages[len(headers) :], offkey.read(path).samples


def rebuilt(headers, sound, *, end=True, shift=0, gap=0, serial=7, last=b""):
    pages = [page(*entry, number, serial) for number, entry in enumerate(headers)]
    for number, (body, table, granule, flags) in enumerate(sound):
        final = 4 if end and number == len(sound) - 1 else 0
        pages.append(
            page(body, table, granule + shift, flags & ~4 | final, len(headers) + gap + number, serial)
        )
    return b"".join(pages) + last


def test_ogg_without_the_mark_of_its_end(ogg, written):
    headers, sound, expected = ogg
    np.testing.assert_array_equal(offkey.read(written(rebuilt(headers, sound, end=False))).samples, expected)


@pytest.mark.parametrize("end", [True, False])
@pytest.mark.parametrize("shift", [1, 100_000, 1 << 40])
def test_ogg_whose_time_does_not_begin_with_0(ogg, written, shift, end):
    headers, sound, expected = ogg
    path = written(rebuilt(headers, sound, shift=shift, end=end))
    np.testing.assert_array_equal(offkey.read(path).samples, expected)
    assert offkey.info(path).frames == (expected.shape[1] if end else None)


@pytest.mark.parametrize("gap", [0, 1, 500])
def test_ogg_that_was_joined_on_the_way(ogg, written, gap):
    headers, sound, expected = ogg
    samples = offkey.read(written(rebuilt(headers, sound[1:], gap=gap))).samples
    assert 0 < samples.shape[1] < expected.shape[1]
    # The first packet only fills the decoder.
    np.testing.assert_array_equal(
        samples[:, 2048:], expected[:, expected.shape[1] - samples.shape[1] :][:, 2048:]
    )


@pytest.mark.parametrize("last", [b"TAG" + bytes(125), b"APETAGEX" + bytes(60), b"junk" * 90, bytes(5000)])
def test_what_stands_behind_ogg(ogg, written, last):
    headers, sound, expected = ogg
    np.testing.assert_array_equal(offkey.read(written(rebuilt(headers, sound, last=last))).samples, expected)
    if not last.startswith((b"TAG", b"APE")):
        with pytest.raises(AudioError, match="does not begin where it should"):
            offkey.read(written(rebuilt(headers, sound, end=False, last=last)))


def test_an_empty_page_that_says_that_it_is_the_last(ogg, written):
    headers, sound, expected = ogg
    last = page(b"", b"", -1, 4, len(headers) + len(sound))
    content = rebuilt(headers, sound, end=False) + last
    np.testing.assert_array_equal(offkey.read(written(content)).samples, expected)


@pytest.mark.parametrize(("serial", "what"), [(7, "several streams in a chain"), (8, "more than one stream")])
def test_a_chain_is_called_so(ogg, written, serial, what):
    headers, sound, _ = ogg
    content = rebuilt(headers, sound) + rebuilt(headers, sound, serial=serial)
    with pytest.raises(UnsupportedAudioError, match=what):
        offkey.read(written(content))
