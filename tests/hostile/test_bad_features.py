"""Bad parameters and bad arrays: each refused by name, and nothing done."""

import re
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import offkey
from offkey.errors import ArrayError, AudioError, ParameterError

CLIP = np.random.default_rng(0).uniform(-1, 1, 4000).astype(np.float32)


@pytest.fixture(scope="module")
def logmel():
    return offkey.LogMel.paper()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"n_fft": 1001},
            r"n_fft = 1001: expected an even number from 16 to 65536 without other prime factors than 2, 3 and 5; "
            r"the nearest: 1000, 1024$",
        ),
        ({"n_fft": 375}, r"n_fft = 375: expected an even number .* nearest: 360, 384$"),
        ({"n_fft": 8}, r"n_fft = 8: expected an even number .* nearest: 16$"),
        ({"n_fft": 131_072}, r"n_fft = 131072: expected an even number .* nearest: 65536$"),
        ({"n_fft": 0}, r"n_fft = 0: expected an even number .* nearest: 16$"),
        ({"n_fft": -1024}, r"n_fft = -1024: expected a positive integer"),
        ({"hop_length": 0}, r"hop_length = 0: expected 1 to"),
        ({"hop_length": -512}, r"hop_length = -512: expected"),
        ({"win_length": 0}, r"win_length = 0: expected 1 to n_fft = 1024$"),
        ({"win_length": 1025}, r"win_length = 1025: expected 1 to n_fft = 1024$"),
        ({"win_length": -1}, r"win_length = -1: expected a positive integer"),
        ({"win_length": 400.0}, r"win_length"),
        ({"window": "hanning"}, r'window = "hanning": expected one of "hann", "hamming", .*"boxcar"$'),
        ({"window": None}, r"window"),
        ({"n_mels": 0}, r"n_mels = 0: expected 1 to 8192"),
        ({"n_mels": 10**6}, r"n_mels = 1000000: expected 1 to 8192"),
        ({"sample_rate": 0}, r"sample_rate = 0: expected"),
        ({"sample_rate": 2**40}, r"sample_rate = 1099511627776: expected"),
        ({"f_min_hz": -1.0}, r"f_min_hz = -1: expected 0 up to, .* 8000"),
        ({"f_min_hz": 8000.0}, r"f_min_hz = 8000: expected"),
        ({"f_min_hz": float("nan")}, r"f_min_hz = NaN: expected"),
        ({"f_max_hz": 8001.0}, r"f_max_hz = 8001: expected above f_min_hz = 0 and at most .* 8000"),
        ({"f_min_hz": 500.0, "f_max_hz": 500.0}, r"f_max_hz = 500: expected above f_min_hz = 500"),
        ({"f_min_hz": 1000.0, "f_max_hz": 1002.0, "n_mels": 3}, r"n_fft = 1024: .*not one of the 3 filters"),
        ({"mel_scale": "bark"}, r'mel_scale = "bark": expected one of "slaney", "htk"'),
        ({"mel_norm": None}, r"mel_norm"),
        ({"pad_mode": "edge"}, r'pad_mode = "edge": expected one of "constant", "reflect", "none"'),
        ({"spectrum": "energy"}, r'spectrum = "energy": expected one of'),
        ({"floor": "clip"}, r'floor = "clip": expected one of'),
        ({"floor_value": 0.0}, r"floor_value = 0: expected 1e-37 to 1e37"),
        ({"floor_value": float("inf")}, r"floor_value = inf: expected"),
        ({"num_threads": 0}, r"num_threads = 0: expected 1 to 1024"),
        ({"num_threads": -2}, r"num_threads = -2: expected 1 to 1024"),
    ],
)
def test_parameters(arguments, message):
    with pytest.raises((ParameterError, TypeError), match=message):
        offkey.LogMel(**arguments)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (CLIP, r"batch: shape \(4000,\); expected \(clips, samples\); for one clip give clip\[None\]"),
        (CLIP.reshape(2, 2, 1000), r"batch: shape \(2, 2, 1000\); expected \(clips, samples\)"),
        (CLIP[None].astype(np.float64), r"batch\[0\]: float64; expected float32"),
        ([CLIP, CLIP.astype(np.int32)], r"batch\[1\]: int32; expected float32"),
        ([CLIP.astype(">f4")], r"batch\[0\]: >f4; expected float32"),
        ([CLIP, CLIP.astype(np.float16)], r"batch\[1\]: float16"),
        ([CLIP, CLIP > 0], r"batch\[1\]: bool"),
        ([CLIP, CLIP + 1j], r"batch\[1\]: complex"),
        ([[0.1, 0.2]], r"batch\[0\]: float64"),
        ([CLIP, "clip.wav"], r"batch\[1\]: shape \(\)"),
        ([CLIP, None], r"batch\[1\]: shape \(\)"),
        ([CLIP, CLIP[None]], r"batch\[1\]: shape \(1, 4000\); expected \(samples,\)"),
        ([0.5, 0.5], r"batch\[0\]: shape \(\); expected \(samples,\); for one clip give \[clip\]"),
        ([], r"batch: no clips"),
        ([CLIP, CLIP[:100]], r"batch\[1\]: 100 samples; expected 4000 as batch\[0\] has, .* `each`"),
        ([CLIP[:0]], r"batch\[0\]: 0 samples; expected at least 1 sample"),
        (np.empty((3, 0), np.float32), r"batch\[0\]: 0 samples"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_batches(logmel, batch, message):
    with pytest.raises(ArrayError, match=message):
        logmel(batch)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e12])
@pytest.mark.parametrize("position", [0, 1, 511, 2048, 3999])
def test_samples_that_are_no_sound(logmel, bad, position):
    clips = np.stack([CLIP] * 3)
    clips[1, position] = bad
    for call in (logmel, logmel.each, logmel.statistics):
        with pytest.raises(
            ArrayError, match=rf"batch\[1\]: .* at position {position}; expected finite samples"
        ):
            call(clips)
    assert np.isfinite(logmel(clips[[0, 2]])).all()


def test_the_first_bad_clip_is_named_for_any_number_of_threads():
    clips = np.stack([CLIP] * 8)
    clips[3, 10] = clips[6, 5] = np.nan
    for threads in (1, 2, 5):
        with pytest.raises(ArrayError, match=r"batch\[3\]: NaN at position 10"):
            offkey.LogMel(num_threads=threads)(clips)


def test_clips_too_short_for_their_padding():
    with pytest.raises(ArrayError, match=r"batch\[0\]: 512 samples; expected at least 513 samples to mirror"):
        offkey.LogMel(pad_mode="reflect")([CLIP[:512]])
    with pytest.raises(
        ArrayError, match=r"batch\[1\]: 1023 samples; expected at least 1024 samples to fill one"
    ):
        offkey.LogMel(pad_mode="none").each([CLIP, CLIP[:1023]])
    with pytest.raises(ArrayError, match="0 samples; expected at least 1"):
        offkey.LogMel().frames(0)
    with pytest.raises(ParameterError, match="samples = -5"):
        offkey.LogMel().frames(-5)


def test_a_batch_read_at_another_rate(logmel):
    batch = offkey.AudioBatch([CLIP], sample_rate=44_100, paths=["a.wav"])
    for call in (logmel, logmel.each, logmel.statistics):
        with pytest.raises(ArrayError, match=r"batch: 44100 Hz; expected 16000 Hz"):
            call(batch)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.zeros(4, np.float32), r"masks: shape \(4,\)"),
        (np.zeros((2, 3), np.float32), r"masks: shape \(2, 3\)"),
        (np.zeros((2, 4), np.int64), r"masks: .* int64"),
        (np.zeros((3, 4), np.float32), r"masks: 3 rows; expected one for each of 2 clips"),
        (np.array([[0, 0, 0, 0], [1, 0, 0, 0]], np.float32), r"masks\[1\]"),
        (np.array([[0, 1.5, 0, 0], [0, 0, 0, 0]], np.float32), r"masks\[0\]"),
        (np.array([[0, 0, -0.1, 0], [0, 0, 0, 0]], np.float32), r"masks\[0\]"),
        (np.array([[0, 0, 0, np.nan], [0, 0, 0, 0]], np.float32), r"masks\[0\]"),
    ],
)
def test_masks_that_are_no_fractions_are_refused_by_row(logmel, masks, message):
    with pytest.raises(ArrayError, match=message):
        logmel([CLIP, CLIP], masks=masks)


@pytest.mark.parametrize(
    ("logmels", "message"),
    [
        (np.zeros((3, 4), np.float32), r"logmels: shape \(3, 4\)"),
        (np.zeros((1, 3, 4), np.int16), r"logmels: .* int16"),
        (np.zeros((1, 3, 0), np.float32), r"logmels: 3 Mel bands, 0 frames"),
        (np.zeros((1, 0, 4), np.float32), r"logmels: 0 Mel bands, 4 frames"),
        (
            np.where(np.arange(24).reshape(2, 3, 4) == 18, np.nan, 0),
            r"logmels\[1\]: NaN at frame 2 of Mel band 1",
        ),
        (np.full((1, 1, 1), -np.inf, np.float32), r"logmels\[0\]: -inf at frame 0"),
    ],
)
def test_log_mels_without_statistics_are_refused_by_position(logmels, message):
    with pytest.raises(ArrayError, match=message):
        offkey.clip_statistics(logmels)
    with pytest.raises(ArrayError, match=message):
        offkey.rhythm(logmels, frame_rate_hz=31.25)
    with pytest.raises(ParameterError, match="num_threads = 0"):
        offkey.clip_statistics(np.zeros((1, 1, 1), np.float32), num_threads=0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"frame_rate_hz": 0}, "frame_rate_hz = 0"),
        ({"frame_rate_hz": np.nan}, "frame_rate_hz = NaN"),
        ({"frame_rate_hz": 0.8}, "lowest_hz = 0.4: expected above 0 and below half the frame rate, 0.4 Hz"),
        ({"bands": 0}, "bands = 0"),
        ({"bands": 32.0}, "bands = 32.0: expected an integer"),
        ({"rates": -1}, "rates = -1"),
        ({"rates": 8193}, "rates = 8193"),
        ({"lowest_hz": 0.0}, "lowest_hz = 0"),
        ({"lowest_hz": np.inf}, "lowest_hz = inf"),
        ({"num_threads": 0}, "num_threads = 0"),
    ],
)
def test_parameters_of_a_rhythm_are_named(parameters, message):
    with pytest.raises(ParameterError, match=message):
        offkey.rhythm(np.zeros((1, 4, 8), np.float32), **{"frame_rate_hz": 31.25} | parameters)


def test_a_finer_spectrogram_that_does_not_fit_is_refused(logmel, tmp_path):
    path = write(tmp_path / "clip.wav", CLIP)
    for call, clips in ((logmel.statistics, [CLIP]), (logmel.statistics_from_files, [path])):
        with pytest.raises(ParameterError, match="fine = a log-Mel of 22050 Hz: expected one of 16000 Hz"):
            call(clips, fine=offkey.LogMel.librosa())
        with pytest.raises(ParameterError, match="fine = 256: expected a LogMel"):
            call(clips, fine=256)
        with pytest.raises(ParameterError, match="expected a LogMel, or several in a sequence"):
            call(clips, fine=[logmel, None])
        with pytest.raises(
            (ArrayError, AudioError), match="4000 samples; expected at least 8192 samples to fill one"
        ):
            call(clips, fine=offkey.LogMel(n_fft=8192, pad_mode="none"))
    slow = offkey.LogMel(hop_length=20_000)
    with pytest.raises(
        ParameterError, match=r"lowest_hz = 0.4: expected above 0 and below half the frame rate"
    ):
        slow.statistics([CLIP], rhythm=True)


def write(path, samples, rate=16_000):
    soundfile.write(path, samples, rate, subtype="FLOAT")
    return path


def test_files_that_give_no_log_mel_are_refused_by_name(logmel, tmp_path):
    good, short = write(tmp_path / "good.wav", CLIP), write(tmp_path / "short.wav", CLIP[:300])
    broken = tmp_path / "broken.wav"
    broken.write_bytes(good.read_bytes()[:30])
    calls = (logmel.from_files, logmel.each_from_files, logmel.statistics_from_files)
    for call in calls:
        with pytest.raises(FileNotFoundError, match=r"missing\.wav"):
            call([good, tmp_path / "missing.wav"])
        with pytest.raises(AudioError, match=r"broken\.wav"):
            call([good, broken, good])
        with pytest.raises(AudioError, match=r"good\.wav"):
            call([good], channel=3)
        with pytest.raises(ParameterError, match="channel = -1"):
            call([good], channel=-1)
        with pytest.raises(ParameterError, match="channel = 'left'"):
            call([good], channel="left")
        with pytest.raises(ParameterError, match=r"paths = '.*good\.wav': expected a list"):
            call(str(good))
    with pytest.raises(
        AudioError, match=r"short\.wav: 300 samples at 16000 Hz; expected 4000 as .*good\.wav has"
    ):
        logmel.from_files([good, good, short])
    reflecting = offkey.LogMel(pad_mode="reflect")
    with pytest.raises(AudioError, match=r"short\.wav: 300 samples; expected at least 513 samples to mirror"):
        reflecting.each_from_files([good, short])
    with pytest.raises(ArrayError, match="paths: no files"):
        logmel.from_files([])
    with pytest.raises(ParameterError, match="on_error = 'ignore'"):
        logmel.statistics_from_files([good], on_error="ignore")


@pytest.mark.skipif(sys.platform != "linux", reason="a limit of memory as Linux has it")
def test_spectrograms_that_do_not_fit_into_memory_are_refused(tmp_path):
    """A short hop makes 10 GB of spectrogram out of 19 seconds: an error, of its file if there is one."""
    path = write(tmp_path / "long.wav", np.zeros(300_000, np.float32))
    code = """
import resource, sys
import numpy as np
import offkey
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
logmel = offkey.LogMel(n_fft=65_536, hop_length=1, n_mels=8192, num_threads=1)
clip = np.zeros(300_000, np.float32)
files = sys.argv[1:]
for call in (
    lambda: logmel.each([clip]),
    lambda: logmel.statistics([clip]),
    lambda: logmel(clip[None]),
    lambda: logmel.each_from_files(files),
    lambda: print("collected", *logmel.statistics_from_files(files, on_error="collect").errors.values()),
):
    try:
        call()
    except (MemoryError, offkey.errors.OffkeyError) as error:
        print(type(error).__name__, error)
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    refusals = done.stdout.splitlines()
    too_large = r"\d+ bytes would be needed, more than fit into memory; expected a shorter clip"
    starts = (
        rf"ArrayError batch\[0\]: {too_large}",
        rf"ArrayError batch\[0\]: {too_large}",
        ".*MemoryError",
        rf"AudioError .*long\.wav: {too_large}",
        rf"collected .*long\.wav: {too_large}",
    )
    for start, refusal in zip(starts, refusals, strict=True):
        assert re.match(start, refusal)
