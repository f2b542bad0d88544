"""What holds for every synthetic clip and every dataset table."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import dcase_names, touch

from offkey.datasets import dcase2020, folder
from offkey.datasets.synthetic import FAULTS, MACHINES, TOWARDS, render
from offkey.datasets.synthetic.plan import Plan, jobs

machine_and_fault = st.sampled_from([(m, f) for m in MACHINES for f in (None, *FAULTS[m], *TOWARDS)])


@settings(max_examples=25, deadline=None)
@given(
    kind=machine_and_fault,
    machine_id=st.text(min_size=1, max_size=4),
    clip=st.integers(0, 10**6),
    severity=st.floats(0, 1),
    snr_db=st.none() | st.floats(-20, 20),
    microphones=st.sampled_from([(1, None), (2, None), (3, None), (1, -60.0), (1, -17.5), (1, 0.0)]),
    samples=st.integers(4_000, 9_001),
    seed=st.integers(0, 2**40),
)
def test_every_clip_is_finite_inside_and_the_same_again(
    kind, machine_id, clip, severity, snr_db, microphones, samples, seed
):
    channels, far_db = microphones
    options = {
        "clip": clip,
        "fault": kind[1],
        "severity": severity,
        "snr_db": snr_db,
        "channels": channels,
        "far_db": far_db,
        "seconds": samples / 4_000,
        "sample_rate": 4_000,
        "seed": seed,
    }
    sound = render(kind[0], machine_id, **options)
    assert sound.shape == (channels + (far_db is not None), samples)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert 0 < np.abs(sound).max() <= 1.0
    np.testing.assert_array_equal(sound, render(kind[0], machine_id, **options))


@given(
    layout=st.sampled_from(["dcase2020", "mimii"]),
    train=st.integers(1, 6),
    normal=st.integers(0, 6),
    anomaly=st.integers(0, 6),
    evaluation=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_a_plan_names_every_file_and_every_clip_once(layout, train, normal, anomaly, evaluation, seed):
    plan = Plan(
        layout=layout,
        machines=("fan", "valve"),
        ids=("00", "02"),
        eval_ids=("01",) if evaluation and layout == "dcase2020" else (),
        clips_train=train,
        clips_test_normal=normal,
        clips_test_anomaly=anomaly,
        seconds=1.0,
        sample_rate=8_000,
        snrs_db=(-6.0, 0.0) if layout == "mimii" else (0.0,),
        seed=seed,
    )
    plan.check()
    work = jobs(plan)
    machines = 2 * (2 + len(plan.eval_ids))
    assert len(work) == machines * (train + normal + anomaly)
    files = [file for job in work for file in job.files]
    assert len(set(files)) == len(files) == len(work) * len(plan.snrs_db)
    assert len({(job.machine_type, job.machine_id, job.clip) for job in work}) == len(work)
    assert sum(job.fault is not None for job in work) == machines * anomaly


@settings(max_examples=20, deadline=None)
@given(
    train=st.integers(1, 4),
    normal=st.integers(0, 3),
    anomaly=st.integers(0, 3),
    ids=st.sets(st.sampled_from(["00", "01", "02", "A7"]), min_size=1),
)
def test_loaders_count_what_is_there(tmp_path_factory, train, normal, anomaly, ids):
    root = touch(
        tmp_path_factory.mktemp("tree"),
        dcase_names("fan", sorted(ids), train=train, normal=normal, anomaly=anomaly),
    )
    data = dcase2020(root, machine="fan")
    assert len(data.train) == train * len(ids)
    assert (data.test.labels == 0).sum() == normal * len(ids)
    assert (data.test.labels == 1).sum() == anomaly * len(ids)
    same = folder(root, pattern="{machine_type}/{split}/{label}_id_{machine_id}_*.wav")
    assert set(same.clips) == set(data.clips)
