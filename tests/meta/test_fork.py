"""Kernels with threads work in a forked child after the parent used them; Ctrl-C ends a long call."""

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile

import offkey


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"{i}.wav" for i in range(12)]
    for path in paths:
        soundfile.write(path, rng.uniform(-1, 1, 4000), 16_000)
    return paths


def digest(paths):
    """Use threads of every kind of kernel; small, since a pipe that is full would block the child."""
    batch = np.stack(list(offkey.read_batch(paths, sample_rate=11_025, num_threads=4)))
    augmented = offkey.Augmenter.paper(num_threads=2)(batch, seed=0).samples
    logmels = offkey.LogMel(num_threads=2)(augmented)
    return hashlib.sha256(batch.tobytes() + augmented.tobytes() + logmels.tobytes()).hexdigest()


def child(paths, queue):
    queue.put(digest(paths))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_reads_augments_and_transforms(files):
    expected = digest(files)  # the parent has used its threads
    context = multiprocessing.get_context("fork")
    for _ in range(2):
        queue = context.SimpleQueue()
        process = context.Process(target=child, args=(files, queue))
        process.start()
        process.join(60)
        assert process.exitcode == 0, "the forked child hangs or died"
        assert queue.get() == expected
    assert digest(files) == expected


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
def test_threads_are_kept_from_call_to_call_and_few_of_them():
    """Also where several Python threads call at the same time."""
    code = """
import os, threading, time
import numpy as np
import offkey

def threads():
    return {int(name) for name in os.listdir("/proc/self/task")}

logmel, clips = offkey.LogMel.paper(num_threads=2), np.zeros((8, 16_000), np.float32)
before = threads()
logmel(clips)
kept = threads() - before
for _ in range(100):
    logmel(clips)
assert threads() - before == kept, (kept, threads() - before)
assert len(kept) == 1, kept
callers = [threading.Thread(target=lambda: [logmel(clips) for _ in range(20)]) for _ in range(16)]
for caller in callers:
    caller.start()
for caller in callers:
    caller.join()
for _ in range(100):  # those of a pool that is not kept end by themselves
    if len(threads() - before) <= 4:
        break
    time.sleep(0.1)
assert len(threads() - before) <= 4, threads() - before
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


LONG_CALLS = {
    "read_batch": "offkey.read_batch(paths * 20, sample_rate=44_100, num_threads=2)",
    "from_files": "slow.from_files(paths, num_threads=2)",
    "statistics_from_files": "slow.statistics_from_files(paths, num_threads=2)",
    "one_long_clip": "slow(np.zeros((1, 100_000_000), np.float32))",
    "whiten": "_native.whiten(np.eye(5000)[None])",
    "quadratic_forms": "_native.QuadraticForms(np.zeros((1, 6000)), np.triu(np.ones((1, 6000, 6000))))",
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("call", LONG_CALLS.values(), ids=LONG_CALLS)
def test_ctrl_c_ends_a_long_call(files, call):
    """10,000 files would take a minute; the process must end by KeyboardInterrupt soon after the signal."""
    code = f"""
import signal, sys
import numpy as np
import offkey
from offkey import _native
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in what runs in the background
paths = sys.argv[1:] * 10_000
slow = offkey.LogMel(sample_rate=44_100, n_fft=16_384, hop_length=64, n_mels=8)
print("begin", flush=True)
try:
    {call}
    print("done", flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""
    command = [sys.executable, "-c", code, *map(str, files[:1])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "begin\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=120)  # a limit for a hang, not a measure of speed
        finally:
            process.kill()
    assert out == "interrupted\n"
    assert process.returncode == 0


ONE_PASS = {
    "white_noise": "augment.white_noise(clip, snr_db=6.0, seed=1, out=out)",
    "time_shift": "augment.time_shift(clip, samples=7, out=out)",
    "fade": "augment.fade(clip, fade_in=0, fade_out=len(clip), out=clip)",
    "time_mask": "augment.time_mask(clip[None], start=0, width=len(clip))",
    "counts_from": "_native.counts_from(doubles, doubles)",
}


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads as Linux shows them")
@pytest.mark.parametrize("call", ONE_PASS.values(), ids=ONE_PASS)
def test_a_signal_is_heard_while_one_pass_over_a_very_long_array_is_under_way(call):
    """Not when it is over: the handler sees the thread that does the work."""
    code = f"""
import os, signal, sys
import numpy as np
from offkey import _native
from offkey.signal import augment

def threads():
    return len(os.listdir("/proc/self/task"))

def stop(*_):
    raise KeyboardInterrupt(threads())

signal.signal(signal.SIGALRM, stop)
for length in (1 << 24, 1 << 26, 1 << 28):  # until it takes longer than the machine needs to look for signals
    clip, out = np.zeros(length, np.float32), np.zeros(length, np.float32)
    doubles, before = np.zeros(length), threads()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        {call}
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt as error:
        if error.args[0] > before:
            sys.exit(0)
sys.exit("the call answers when it is over")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
