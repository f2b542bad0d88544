"""Decoding against soundfile: every coding that it writes and offkey reads, and those that offkey refuses.

PCM, float, G.711 and FLAC are equal to the bit. Vorbis and MP3 are sums of cosines that each decoder rounds
in its own way: measured 3.6e-7 (Vorbis) and 1.2e-6 (MP3) at most, tested at 2e-6 and 5e-6 of full scale.
"""

import struct

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import UnsupportedAudioError

EXACT = [
    *[("WAV", sub) for sub in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")],
    *[("WAVEX", sub) for sub in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")],
    *[("RF64", sub) for sub in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW")],
    *[("AIFF", sub) for sub in ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32")],
    *[("AIFF", sub) for sub in ("FLOAT", "DOUBLE", "ALAW", "ULAW")],
    *[("FLAC", sub) for sub in ("PCM_S8", "PCM_16", "PCM_24")],
]


@pytest.fixture(scope="module")
def samples():
    """Eight channels up to full scale, odd in length, longer than one chunk of the reader."""
    rng = np.random.default_rng(0)
    hum = 0.4 * np.sin(np.arange(20_001)[:, None] * np.linspace(0.01, 0.3, 8))
    x = hum + 0.2 * rng.standard_normal((20_001, 8))
    x[100], x[101], x[102] = -1, 1 - 2**-15, 0
    return np.clip(x, -1, 1 - 2**-15)


def assert_equal_to_soundfile(path, channels):
    expected, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio = offkey.read(path)
    assert audio.sample_rate == rate
    np.testing.assert_array_equal(audio.samples, expected.T)
    for channel in {0, channels - 1}:
        np.testing.assert_array_equal(offkey.read_batch([path], channel=channel)[0], expected[:, channel])
    # A mean of float32 values in float64, rounded once.
    mean = expected.astype(np.float64).mean(axis=1).astype(np.float32)
    np.testing.assert_allclose(offkey.read_batch([path], channel="mean")[0], mean, rtol=0, atol=1.2e-7)


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(("kind", "subtype"), EXACT)
def test_equal_to_the_bit(tmp_path, samples, kind, subtype, channels):
    path = tmp_path / "clip.bin"  # the name says nothing
    soundfile.write(path, samples[:, :channels], 16_000, format=kind, subtype=subtype)
    assert_equal_to_soundfile(path, channels)
    info, expected = offkey.info(path), soundfile.info(path)
    assert (info.sample_rate, info.channels, info.frames) == (16_000, channels, expected.frames)
    assert (info.format, info.subtype) == (expected.format.removesuffix("EX"), expected.subtype)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_big_endian_wav(tmp_path, samples, subtype):
    path = tmp_path / "rifx.wav"
    soundfile.write(path, samples[:, :2], 8000, subtype=subtype, endian="BIG")
    assert path.read_bytes()[:4] == b"RIFX"
    assert_equal_to_soundfile(path, 2)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
def test_little_endian_aiff(tmp_path, samples, subtype):
    path = tmp_path / "sowt.aiff"
    soundfile.write(path, samples[:, :2], 8000, subtype=subtype, endian="LITTLE")
    assert_equal_to_soundfile(path, 2)


@pytest.mark.parametrize("code", ["ALAW", "ULAW"])
def test_all_codes_of_g711(tmp_path, code):
    path = tmp_path / "codes.wav"
    soundfile.write(path, np.zeros(256), 8000, subtype=code)
    data = bytearray(path.read_bytes())
    start = data.index(b"data") + 8
    data[start : start + 256] = bytes(range(256))
    path.write_bytes(data)
    assert_equal_to_soundfile(path, 1)
    assert len(set(offkey.read(path).samples[0].tolist())) >= 255


@pytest.mark.parametrize("rate", [1, 7350, 8000, 44_100, 192_000, 384_000])
def test_rates_of_wav_and_aiff(tmp_path, samples, rate):
    for kind in ("WAV", "AIFF"):
        path = tmp_path / f"clip.{kind}"
        soundfile.write(path, samples[:100, 0], rate, format=kind)
        assert offkey.info(path).sample_rate == rate


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flac_of_every_compression_level(tmp_path, samples, level):
    path = tmp_path / "clip.flac"
    for subtype in ("PCM_16", "PCM_24"):
        soundfile.write(path, samples[:, :2], 48_000, subtype=subtype, compression_level=level)
        assert_equal_to_soundfile(path, 2)


def test_flac_of_silence_noise_and_full_scale(tmp_path):
    rng = np.random.default_rng(1)
    path = tmp_path / "clip.flac"
    square = np.where(np.arange(9000) % 100 < 50, 32_767, -32_768).astype(np.int16)
    noise = rng.integers(-32_768, 32_768, 9000).astype(np.int16)
    for x in (
        np.zeros(9000, np.int16),
        noise,
        square,
        np.stack([noise, noise], axis=1),
        noise[:1],
        noise[:17],
    ):
        soundfile.write(path, x, 16_000)
        expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
        np.testing.assert_array_equal(offkey.read(path).samples, expected.T)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_vorbis(tmp_path, samples, channels):
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples[:, :channels], 16_000, format="OGG", subtype="VORBIS")
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(offkey.read(path).samples, expected.T, rtol=0, atol=2e-6)
    last = offkey.read_batch([path], channel=channels - 1)[0]
    np.testing.assert_allclose(last, expected[:, -1], rtol=0, atol=2e-6)
    assert offkey.info(path) == offkey.AudioInfo(
        sample_rate=16_000, channels=channels, frames=len(samples), format="OGG", subtype="VORBIS"
    )


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_mp3(tmp_path, samples, rate, channels):
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples[:, :channels], rate, format="MP3", subtype="MPEG_LAYER_III")
    expected = soundfile.read(path, dtype="float32", always_2d=True)[0]
    np.testing.assert_allclose(offkey.read(path).samples, expected.T, rtol=0, atol=5e-6)
    info = offkey.info(path)
    assert (info.frames, info.format, info.subtype) == (len(samples), "MP3", "MPEG_LAYER_III")


def test_tags_before_mp3_and_flac(tmp_path, samples):
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 5]) + bytes(2 * 128 + 5)
    for kind in ("MP3", "FLAC"):
        plain, tagged = tmp_path / f"plain.{kind}", tmp_path / f"tagged.{kind}"
        soundfile.write(plain, samples[:, 0], 16_000, format=kind)
        tagged.write_bytes(tag + plain.read_bytes())
        np.testing.assert_array_equal(offkey.read(tagged).samples, offkey.read(plain).samples)
        assert offkey.info(tagged) == offkey.info(plain)


@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [
        ("WAV", "IMA_ADPCM", r"IMA ADPCM WAV \(format tag 0x0011\)"),
        ("WAV", "MS_ADPCM", r"Microsoft ADPCM WAV \(format tag 0x0002\)"),
        ("WAV", "GSM610", "GSM 6.10"),
        ("AIFF", "IMA_ADPCM", "AIFF with coding 'ima4'"),
        ("OGG", "OPUS", "Ogg Opus"),
        ("W64", "PCM_16", "Wave64"),
        ("AU", "PCM_16", "Sun AU"),
        ("CAF", "PCM_16", "Apple CAF"),
        ("VOC", "PCM_16", "Creative VOC"),
        ("NIST", "PCM_16", "NIST SPHERE"),
        ("SVX", "PCM_16", "Amiga 8SVX"),
    ],
)
def test_other_formats_are_refused_by_name(tmp_path, samples, kind, subtype, name):
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples[:2000, 0], 8000, format=kind, subtype=subtype)
    for call in (offkey.read, offkey.info):
        with pytest.raises(UnsupportedAudioError, match=rf"clip\.wav: .*{name}.* is not supported; convert"):
            call(path)


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypM4A ", "M4A"),
        (b"\x1a\x45\xdf\xa3", "Matroska"),
        (b"\xff\xf1\x50\x80", "AAC"),
        (b"\xff\xfd\x90\x00", "layer II"),
        (b"OggS" + bytes(22) + b"\x01\x08Speex   ", "Speex"),
        (b"RIFF\0\0\0\0AVI ", "AVI"),
        (b"wvpk", "WavPack"),
    ],
)
def test_beginnings_of_other_formats(tmp_path, head, name):
    path = tmp_path / "clip.flac"
    path.write_bytes(head + bytes(100))
    with pytest.raises(UnsupportedAudioError, match=name):
        offkey.read(path)


def test_samples_that_do_not_fill_their_container(tmp_path):
    """12 bits in 16, 20 in 24: the value stands at the top, as the format demands and libsndfile reads it."""
    for bits, width in ((12, 2), (20, 3)):
        values = np.array([0, 1, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1))])
        raw = b"".join(int(v << (8 * width - bits)).to_bytes(width, "little", signed=True) for v in values)
        raw += b"\0" * (len(raw) % 2)
        fmt = struct.pack("<HHIIHH", 1, 1, 8000, 8000 * width, width, bits)
        body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", 5 * width) + raw
        path = tmp_path / f"{bits}.wav"
        path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
        np.testing.assert_array_equal(offkey.read(path).samples[0], values / 2 ** (bits - 1))


def test_rf64_with_the_size_in_its_own_chunk(tmp_path, samples):
    """RF64 and BW64 say 0xFFFFFFFF where RIFF has sizes; what stands behind the samples is no sound."""
    pcm = (samples[:500, 0] * 32_768).astype("<i2").tobytes()
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16_000, 2, 16)
    ds64 = b"ds64" + struct.pack("<IQQQI", 28, 0, len(pcm), 500, 0)
    full = b"\xff\xff\xff\xff"
    for magic in (b"RF64", b"BW64"):
        path = tmp_path / "long.wav"
        path.write_bytes(magic + full + b"WAVE" + ds64 + fmt + b"data" + full + pcm + b"LIST\4\0\0\0abcd")
        expected = np.frombuffer(pcm, "<i2") / np.float32(32_768)
        np.testing.assert_array_equal(offkey.read(path).samples[0], expected)
        assert offkey.info(path).format == "RF64"
