"""Nothing but the sound of the machine tells a faulty clip: not its level, length, name, order, size or "
"time."""

import librosa
import numpy as np
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

from offkey.datasets import synthetic
from offkey.datasets.synthetic import FAULTS, MACHINES, TOWARDS, render
from offkey.datasets.synthetic.plan import Plan, jobs

pytestmark = pytest.mark.long

# faults that add impacts or fill the gaps between them: the crest of the waveform is what one would hear
IMPULSIVE = {"bearing", "contamination", "clogging", "rail_damage", "loose_belt", "sticking"}


def limit(normals, anomalies):
    """Three and a half standard errors of an AUC of 0.5 (Mann-Whitney): a fair draw stays within."""
    return 3.5 * np.sqrt((normals + anomalies + 1) / (12 * normals * anomalies))


def auc(normal, anomalous):
    return roc_auc_score(np.r_[np.zeros(len(normal)), np.ones(len(anomalous))], np.r_[normal, anomalous])


@pytest.fixture(scope="module", params=["factory", "premise"])
def written(tmp_path_factory, request):
    root = tmp_path_factory.mktemp("fair")
    synthetic.write(
        root,
        ids=("00", "02"),
        eval_ids=("01",),
        clips_train=1,
        clips_test_normal=60,
        clips_test_anomaly=60,
        seconds=1.0,
        sample_rate=8_000,
        num_workers=1,
        world=request.param,
    )
    return root


@pytest.mark.parametrize("machine", MACHINES)
def test_trivial_detectors_see_nothing(written, machine):
    test = synthetic.load(written, machine=machine).test
    labels = test.labels
    normals, anomalies = (labels == 0).sum(), (labels == 1).sum()
    sounds = [soundfile.read(p, dtype="float32")[0] for p in test.paths]
    assert len({len(s) for s in sounds}) == 1
    assert len({p.stat().st_size for p in test.paths}) == 1
    assert max(np.abs(s).max() for s in sounds) < 1.0
    statistics = {
        "RMS": [np.sqrt(np.mean(s * s)) for s in sounds],
        "mean": [s.mean() for s in sounds],
        "time of the file": [p.stat().st_mtime_ns for p in test.paths],
        "first sample": [s[0] for s in sounds],
        "last sample": [s[-1] for s in sounds],
    }
    for name, values in statistics.items():
        values = np.array(values)
        # the times within each machine, because one machine is written after the other
        ids = np.array(test.machine_ids)
        found = np.mean(
            [auc(values[(ids == i) & (labels == 0)], values[(ids == i) & (labels == 1)]) for i in set(ids)]
        )
        assert abs(found - 0.5) < limit(normals, anomalies), (machine, name, found)


def test_evaluation_names_and_clip_numbers_do_not_tell(written):
    plan = Plan(
        layout="dcase2020",
        machines=MACHINES,
        ids=("00",),
        eval_ids=("01",),
        clips_train=300,
        clips_test_normal=300,
        clips_test_anomaly=300,
        seconds=1.0,
        sample_rate=8_000,
        snrs_db=(0.0,),
        seed=0,
    )
    work = [job for job in jobs(plan) if job.split == "test"]
    broken = np.array([job.fault is not None for job in work])
    values = {
        "number": np.array([job.clip for job in work]),
        "place in the order of writing": np.arange(len(work)),
    }
    hidden = np.array([job.files[0].name.startswith("id_") for job in work])
    for name, value in values.items():
        assert abs(auc(value[~broken], value[broken]) - 0.5) < limit((~broken).sum(), broken.sum()), name
    names = np.array([int(job.files[0].stem.rsplit("_", 1)[1]) for job in work])
    found = auc(names[hidden & ~broken], names[hidden & broken])
    assert abs(found - 0.5) < limit((hidden & ~broken).sum(), (hidden & broken).sum())


@pytest.mark.parametrize(
    ("machine", "fault"), [(m, f) for m in MACHINES for f in FAULTS[m] if f not in IMPULSIVE]
)
def test_the_peak_tells_nothing_of_faults_that_are_no_impacts(machine, fault):
    count = 80
    severity = np.random.default_rng(0).random(count)

    def peaks(first, kind):
        sounds = [
            render(
                machine,
                "00",
                clip=first + i,
                fault=kind,
                severity=severity[i],
                seconds=1.0,
                sample_rate=8_000,
            )
            for i in range(count)
        ]
        return [np.abs(s).max() for s in sounds], [np.abs(s).max() / np.sqrt(np.mean(s * s)) for s in sounds]

    for normal, anomalous in zip(peaks(0, None), peaks(count, fault), strict=True):
        assert abs(auc(normal, anomalous) - 0.5) < limit(count, count)


@pytest.fixture(scope="module")
def filters():
    return librosa.filters.mel(sr=16_000, n_fft=1024, n_mels=64).astype(np.float32)


def statistics(sound, filters):
    frames = np.lib.stride_tricks.sliding_window_view(sound, 1024)[::512]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(1024).astype(np.float32))) ** 2
    logmel = 10 * np.log10(np.maximum(spectrum @ filters.T, 1e-10))
    return np.r_[logmel.mean(axis=0), np.log(np.diff(logmel, axis=0).std(axis=0) + 1e-3)]


@pytest.mark.parametrize("towards", [False, True], ids=["factory", "premise"])
@pytest.mark.parametrize("machine", MACHINES)
def test_a_simple_detector_hears_the_faults_but_not_all(machine, towards, filters):
    """Mahalanobis on mean and restlessness of the log-Mel, the covariance of the normals with a ridge."""
    normals, tested, rng = 200, 60, np.random.default_rng(0)

    def features(first, count, faults):
        return np.stack(
            [
                statistics(
                    render(
                        machine,
                        "00",
                        clip=first + i,
                        fault=faults[i % len(faults)],
                        severity=rng.random(),
                        seconds=1.5,
                    )[0],
                    filters,
                )
                for i in range(count)
            ]
        )

    train = features(0, normals, [None])
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    covariance = np.cov((train - mean) / deviation, rowvar=False)
    precision = np.linalg.inv(covariance + 0.03 * np.eye(len(mean)))

    def score(x):
        d = (x - mean) / deviation
        return np.einsum("ij,jk,ik->i", d, precision, d)

    found = auc(
        score(features(normals, tested, [None])),
        score(features(normals + tested, tested, TOWARDS if towards else FAULTS[machine])),
    )
    assert 0.62 < found < 0.99
