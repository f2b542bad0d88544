"""Whatever a user holds goes through pickle, copy and a process that was spawned, after use as well as before."""

import copy
import dataclasses
import inspect
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import offkey
from offkey import benchmark, datasets, errors, explain, metrics, models, recipe, report
from offkey.datasets.survey import SurveyKey, Surveyor
from offkey.evaluation.protocols import Labelled
from offkey.models.network import Network
from offkey.models.spectral import Spectral
from offkey.scoring.combine import Selection
from offkey.scoring.drift import Drift
from offkey.scoring.false_discovery import Discoveries
from offkey.scoring.null import NullDistributions
from offkey.scoring.standardize import Standardizer

RNG = np.random.default_rng(0)
GOLDEN = Path(__file__).parents[1] / "golden"
CLIPS = RNG.uniform(-0.5, 0.5, (4, 8_000)).astype(np.float32)
ROWS = RNG.normal(size=(40, 6))
NULL = NullDistributions.fit(ROWS[:, 0], ["a", "b"] * 20)


def public_classes(module):
    """The classes that a module names, and those of the modules that it names."""
    classes = set()
    for value in (getattr(module, name) for name in module.__all__):
        if inspect.isclass(value) and value.__module__.startswith("offkey."):
            classes.add(value)
        elif isinstance(value, ModuleType) and value.__name__.startswith("offkey."):
            classes |= public_classes(value) if hasattr(value, "__all__") else set()
    return classes


# An open file, the callbacks of one call, and the bases of others.
NEVER_KEPT = {offkey.audio.AudioBlocks, models.base.FitOptions, models.InlierModel, recipe.Section}
PUBLIC = sorted(
    (public_classes(offkey) | public_classes(recipe) | {Network, Spectral}) - NEVER_KEPT,
    key=lambda cls: cls.__qualname__,
)


def clip(label):
    path = Path("fan") / f"{label}.wav"
    return datasets.Clip(path=path, machine_type="fan", machine_id="00", split="test", label=label, group="g")


def survey():
    counted = Surveyor()
    header = offkey.AudioInfo(sample_rate=16_000, channels=1, frames=16_000, format="WAV", subtype="PCM_16")
    counted.add(SurveyKey("fan", "00", "train", 0), header)
    return counted.survey(layout="folder", root=Path("fan"))


def run(cls, **more):
    clips = datasets.Clips([clip(0)])
    data = datasets.Dataset(machine="fan", clips=clips)
    setting = benchmark.runs.Setting("fan")
    made = benchmark.runs.Run(
        setting=setting, recipe=recipe.Recipe.named("spectral"), seed=0, data=data, root=Path()
    )
    return cls(run=made, number=1, runs=2, **more)


def used_gaussian():
    gaussian = offkey.Gaussian.fit(ROWS, ["a", "b"] * 20)
    gaussian.mahalanobis(ROWS)
    return gaussian


def used_detector():
    pytest.importorskip("torch")
    detector = offkey.load(GOLDEN / "0.1.0" / "both.offkey")
    detector.score(GOLDEN / "recordings", device="cpu")
    return detector


def used(plan, *arguments, **keywords):
    plan(CLIPS, *arguments, **keywords)
    return plan


def table():
    return offkey.ScoreTable(
        path=[f"{i}.wav" for i in range(8)],
        machine_type=["fan"] * 8,
        machine_id=["00"] * 8,
        anomaly_score=[0, 1, 2, 5, 3, 4, 6, 7],
        label=[0, 0, 0, 0, 1, 1, 1, 1],
    )


def training_clips():
    return datasets.TrainingClips(
        inputs="audio", clips=list(CLIPS), machine_ids=["00"] * 4, groups=["a", "b", "c", "d"]
    )


def trends():
    p_values = [0.5] * 20 + [1 / 241] * 40
    scores = offkey.ScoreTable(
        path=[f"2026-01-{1 + n // 24:02d}T{n % 24:02d}-00-00.wav" for n in range(60)],
        anomaly_score=[1.0] * 60,
        threshold=[2.0] * 60,
        p_value=p_values,
        calibration=["own"] * 60,
        calibration_clips=[240] * 60,
    )
    return offkey.monitoring.trend(scores, run_length=100)


VALUES = np.array([1.0, 2.0])
STRETCH = explain.Stretch(start_s=0.0, end_s=1.0, share=1.0)
INSTANCES = {
    "Alarm": lambda: trends().machines[0].alarms[0],
    "Audio": lambda: offkey.Audio(samples=CLIPS[0], sample_rate=16_000, path=Path("a.wav")),
    "AudioBatch": lambda: offkey.audio.AudioBatch(
        list(CLIPS[:2]),
        sample_rate=16_000,
        paths=[Path("a.wav"), Path("b.wav")],
        errors={1: errors.AudioError("b.wav: empty")},
    ),
    "AudioInfo": lambda: offkey.AudioInfo(
        sample_rate=16_000, channels=1, frames=None, format="WAV", subtype="PCM_16"
    ),
    "Augmentation": recipe.Augmentation,
    "Augmenter": lambda: used(offkey.Augmenter.paper(num_threads=2), seed=0),
    "Band": lambda: explain.Band(low_hz=50.0, high_hz=60.0, share=1.0, stretches=(STRETCH,)),
    "Benchmark": lambda: benchmark.Benchmark(suite="mimii", records=(), missing=(), failures=(), runs=0),
    "Clip": lambda: clip(1),
    "PassedOver": lambda: datasets.PassedOver(path=Path("a.wav"), why="does not match", kind="layout"),
    "ClipStatistics": lambda: offkey.LogMel().statistics(CLIPS),
    "Clips": lambda: datasets.Clips([clip(0), clip(1)]),
    "Dataset": lambda: datasets.Dataset(machine="fan", clips=datasets.Clips([clip(0)])),
    "Detector": used_detector,
    "Discoveries": lambda: Discoveries(
        rate=0.1,
        recordings=2,
        called=1,
        least_findable=1,
        smallest_p=0.01,
        decisions=np.array([1, 0], np.int8),
    ),
    "Drift": lambda: Drift(
        machine_id="00", recordings=20, calibration_clips=60, p_value=0.5, share=0.5, below=9, higher=True
    ),
    "Evaluation": lambda: offkey.evaluate(table(), resamples=10),
    "Explanation": lambda: offkey.load(GOLDEN / "0.1.0" / "spectral.offkey").explain(
        GOLDEN / "recordings" / "anomaly_id_00_00000000.flac"
    ),
    "Features": recipe.Features,
    "Gaussian": used_gaussian,
    "Labelled": lambda: Labelled(
        machine_types=["fan"], machine_ids=["00"], labels=np.zeros(1, np.int8), groups=["1.wav"]
    ),
    "Judged": lambda: NULL.judge([1.0, 2.0], ["a", "b"], rate=0.1),
    "LearnedClips": lambda: models.LearnedClips(
        machine_ids=("00", "02"),
        groups=np.arange(2),
        indices=np.arange(1),
        statistics=offkey.LogMel().statistics(CLIPS[:1]),
    ),
    "LogMel": lambda: used(offkey.LogMel(n_mels=64, num_threads=2)),
    "LogMelArrays": lambda: datasets.LogMelArrays(
        logmels=np.zeros((2, 4, 5), np.float32), machine_ids=("00", "02")
    ),
    "MachineTrend": lambda: trends().machines[0],
    "Nearest": lambda: explain.Nearest(path="a.wav", distance=0.5),
    "Network": Network,
    "NullDistribution": lambda: NULL.of("a", rate=0.1),
    "NullDistributions": lambda: NULL,
    "Panel": lambda: report.Panel(
        title="fan",
        scores=VALUES,
        labels=np.array([0, 1]),
        machine_ids=("00", "00"),
        points=np.zeros((2, 2)),
        points_of="embeddings",
    ),
    "RayCluster": lambda: offkey.RayCluster(address="auto", workers=2, cpus=4, gpus=0.5),
    "Recipe": lambda: recipe.Recipe.named("paper"),
    "RocCurve": lambda: metrics.roc_curve([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]),
    "RunEnded": lambda: run(benchmark.RunEnded, record=None, again=False, error="no memory"),
    "RunStarted": lambda: run(benchmark.RunStarted),
    "ScoreTable": table,
    "Scoring": recipe.Scoring,
    "Selection": lambda: Selection("select", ("a_arc",), 0.9, {("a_arc",): 0.9}),
    "Spectral": Spectral,
    "Standardizer": lambda: Standardizer(("00", "02"), VALUES, VALUES),
    "Stretch": lambda: STRETCH,
    "Survey": survey,
    "SurveyKey": lambda: survey().rows[0].key,
    "SurveyRow": lambda: survey().rows[0],
    "Times": lambda: offkey.monitoring.Times(values=np.array(["2026-11-27T12"], "M8[us]"), source="names"),
    "Trends": trends,
    "Training": recipe.Training,
    "TrainingClips": training_clips,
    "Written": lambda: datasets.synthetic.Written(
        root=Path("x"),
        layout="mimii",
        machines=("fan",),
        files=1,
        kept=0,
        manifest=Path("x/manifest.csv"),
        places=Path("x/fault_list.csv"),
    ),
}


def instance(cls):
    if issubclass(cls, Exception):
        return cls("fan.wav: what was given; what was expected")
    return INSTANCES[cls.__name__]()


def content(value):
    """What an object consists of, in kinds that compare by value."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: content(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [content(item) for item in value]
    if isinstance(value, Exception):
        return type(value), value.args
    if dataclasses.is_dataclass(value):
        return {field.name: content(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if type(value).__module__.startswith("torch"):
        return content(value.numpy(force=True)) if hasattr(value, "numpy") else type(value)
    if type(value).__module__.startswith("offkey."):
        return type(value), content(value.__reduce_ex__(4)[:3])
    return value


def test_every_public_class_has_an_instance_here():
    names = [cls.__name__ for cls in PUBLIC if not issubclass(cls, Exception)]
    assert sorted(names) == sorted(INSTANCES)


@pytest.mark.parametrize("cls", PUBLIC, ids=lambda cls: cls.__name__)
def test_public_objects_can_be_pickled_and_copied(cls):
    original = instance(cls)
    expected = content(original)
    for again in (pickle.loads(pickle.dumps(original)), copy.copy(original), copy.deepcopy(original)):
        assert type(again) is cls
        assert content(again) == expected
    assert content(original) == expected


def test_used_objects_work_in_a_spawned_process():
    gaussian, logmel, augmenter, detector = map(
        instance, (offkey.Gaussian, offkey.LogMel, offkey.Augmenter, offkey.Detector)
    )
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        distances = pool.submit(gaussian.mahalanobis, ROWS)
        spectrograms = pool.submit(logmel, CLIPS)
        augmented = pool.submit(augmenter, CLIPS, seed=1)
        scores = pool.submit(detector.score, GOLDEN / "recordings", device="cpu")
        np.testing.assert_array_equal(distances.result(), gaussian.mahalanobis(ROWS))
        np.testing.assert_array_equal(spectrograms.result(), logmel(CLIPS))
        np.testing.assert_array_equal(augmented.result().samples, augmenter(CLIPS, seed=1).samples)
        assert scores.result() == detector.score(GOLDEN / "recordings", device="cpu")
