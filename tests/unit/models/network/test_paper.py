"""Recipe `paper` at its full size: a step of each stage, and a checkpoint from which a training goes on."""

import numpy as np
import pytest
from machines import write_tree

import offkey
from offkey import datasets
from offkey.models.network.events import CheckpointSaved, EpochEnded

# An epoch is one step: 28 clips of 10 s in the first stage, 28 + 28 in the second.
PAPER = offkey.Recipe.named("paper").replace(training__stage1_epochs=1, training__stage2_epochs=1)


@pytest.mark.long
def test_a_step_of_each_stage_and_a_checkpoint(tmp_path):
    write_tree(tmp_path / "dev_data", train=15, test=2, seconds=10.0)
    data = datasets.dcase2020(tmp_path / "dev_data", machine="fan")
    options = {"seed": 0, "device": "cpu", "precision": "float32", "num_threads": 1}
    epochs = []
    whole = offkey.Detector(PAPER).fit(
        data,
        **options,
        on_event=lambda event: epochs.append(event) if isinstance(event, EpochEnded) else None,
    )
    assert [epoch.stage for epoch in epochs] == [1, 2]
    assert all(np.isfinite(list(epoch.losses.values())).all() for epoch in epochs)
    assert set(epochs[0].losses) == {"id", "augmentation", "total"}
    assert set(epochs[1].losses) == {"id", "augmentation", "type", "total"}

    def stop(event):
        if isinstance(event, CheckpointSaved):
            raise KeyboardInterrupt

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        offkey.Detector(PAPER).fit(data, **options, checkpoint=checkpoint, on_event=stop)
    assert checkpoint.stat().st_size > 3 * 4 * 1.8e6  # 1.9 M weights, and two moments of Adam for each
    resumed = offkey.Detector(PAPER).fit(data, **options, checkpoint=checkpoint)
    scores, again = whole.score(data.test), resumed.score(data.test)
    for name in ("a_out", "a_arc", "a_maha", "anomaly_score"):
        assert np.isfinite(scores.scores(name)).all()
        np.testing.assert_array_equal(again.scores(name), scores.scores(name))
