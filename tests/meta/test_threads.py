"""Kernels let other Python threads run, and leave the cores of a `DataLoader` to its workers."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

import offkey
from offkey._util import threads as calls
from offkey.scoring.gaussian import Gaussian
from offkey.signal import augment
from offkey.signal.near_anomalies import near_anomalies

BATCH = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 16_000)).astype(np.float32)
LOGMELS = np.random.default_rng(2).normal(-40, 5, (2, 128, 313)).astype(np.float32)
ROWS = np.random.default_rng(1).normal(size=(2000, 16)).astype(np.float32)
LOGMEL = offkey.LogMel(num_threads=1)
GAUSSIAN = Gaussian.fit(ROWS, ["a"] * len(ROWS))
PATHS = []

KERNELS = {
    "logmel": lambda: LOGMEL(BATCH),
    "statistics": lambda: LOGMEL.statistics(BATCH),
    "files": lambda: LOGMEL.from_files(PATHS),
    "read_batch": lambda: offkey.read_batch(PATHS, num_threads=2),
    "augmenter": lambda: offkey.Augmenter(num_threads=1)(BATCH, seed=0),
    "effect": lambda: augment.pitch_shift(BATCH[0], semitones=2),
    "near_anomalies": lambda: near_anomalies(LOGMELS, deviation_db=np.ones(128), seeds=[0, 1], num_threads=1),
    "mahalanobis": lambda: GAUSSIAN.mahalanobis(ROWS, num_threads=1),
}


@pytest.fixture(scope="module", autouse=True)
def paths(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "clip.wav"
    soundfile.write(path, BATCH[0], 16_000)
    PATHS.append(path)


@pytest.fixture
def no_switches():
    """Python threads no longer take turns: another one runs only when this one lets go of the lock itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.usefixtures("no_switches")
def test_another_thread_runs_during_a_kernel(name):
    """It hears the other thread's call begin, and is heard before a long row of calls is over."""
    limit, begun, heard, calls_made = 3000, threading.Event(), threading.Event(), []

    def work():
        begun.set()
        while not heard.is_set() and len(calls_made) < limit:
            KERNELS[name]()
            calls_made.append(name)

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait()
    heard.set()
    worker.join()
    assert len(calls_made) < limit


class Threads:
    """A dataset of what a call stands for in the process that loads it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        spectrogram = offkey.LogMel.paper()(BATCH)  # a batch of two, which would take two threads
        return calls.threads(None) or 0, float(spectrogram.sum())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_worker_of_a_dataloader_uses_one_thread(workers):
    data = pytest.importorskip("torch.utils.data")
    expected = float(offkey.LogMel.paper()(BATCH).sum())
    loader = data.DataLoader(Threads(), batch_size=None, num_workers=workers, timeout=60 * (workers > 0))
    for threads, total in loader:
        assert threads == (1 if workers else 0)
        assert total == expected


NO_THREADS = """
import hashlib, sys
import numpy as np
import offkey
batch = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 16_000)).astype(np.float32)
rows = np.random.default_rng(1).normal(size=(20_000, 100)).astype(np.float32)
gaussian = offkey.Gaussian.fit(rows, ["a", "b"] * 10_000, num_threads=4)
results = [
    offkey.Augmenter.paper()(batch, seed=0, num_threads=4).samples,
    offkey.LogMel.paper()(batch, num_threads=4),
    offkey.LogMel(n_fft=16_384, hop_length=16)(batch[:1]),
    *offkey.read_batch(sys.argv[1:] * 3, num_threads=4),
    gaussian.covariances,
    gaussian.mahalanobis(rows, num_threads=4),
]
print(hashlib.sha256(b"".join(np.ascontiguousarray(result) for result in results)).hexdigest())
"""


def test_calls_do_their_work_where_no_thread_can_be_started():
    """A stack of 128 TiB is more than the system has room for, as are threads where their number is limited."""
    digests = []
    for stack in ({}, {"RUST_MIN_STACK": str(1 << 47)}):
        command = [sys.executable, "-c", NO_THREADS, *map(str, PATHS)]
        run = subprocess.run(command, env=os.environ | stack, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        digests.append(run.stdout)
    assert digests[0] == digests[1]


def test_an_array_that_another_call_writes_to_is_said_to_be_that():
    clips = np.random.default_rng(0).uniform(-0.5, 0.5, (8, 160_000)).astype(np.float32)
    out = np.zeros_like(clips)
    stretch = offkey.Augmenter(offkey.recipe.Augmentation(classes=("time_stretch",)), num_threads=1)

    def write():
        while True:
            try:
                return stretch(clips, seed=0, out=out)
            except offkey.errors.ArrayError:  # the other thread reads at this moment
                continue

    worker = threading.Thread(target=write)
    worker.start()
    refused = set()
    while worker.is_alive():
        time.sleep(0.002)  # without a pause the worker would never find the array unused
        try:
            LOGMEL(out[:1])
        except offkey.errors.ArrayError as error:
            refused.add(str(error))
    worker.join()
    assert refused == {
        "batch[0]: another call writes to it; expected an array that stays as it is until the call is over"
    }


@pytest.mark.parametrize("name", ["spectral", "both"])
def test_every_kernel_that_scores_is_told_how_many_threads(monkeypatch, name):
    if name != "spectral":
        pytest.importorskip("torch")
    golden = Path(__file__).parents[1] / "golden"
    detector = offkey.load(golden / "0.1.0" / f"{name}.offkey")
    detector.score(golden / "recordings", device="cpu")  # all modules are loaded
    asked = []

    def record(num_threads):
        if (
            sys._getframe(1).f_code.co_name != "__post_init__"
        ):  # there a default is checked, and nothing computed
            asked.append(num_threads)
        return calls.threads(num_threads)

    for module in [module for name, module in sys.modules.items() if name.startswith("offkey.")]:
        if vars(module).get("threads") is calls.threads and module is not calls:
            monkeypatch.setattr(module, "threads", record)
    detector.score(golden / "recordings", device="cpu", num_threads=1)
    assert len(asked) >= 2
    assert set(asked) == {1}
