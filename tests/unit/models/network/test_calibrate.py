"""Calibration scores of held-out clips are those of new normal clips: on embeddings whose law is known."""

import numpy as np
import pytest

from offkey.models.network.calibrate import Calibrated, FitOutputs, calibrate
from offkey.models.network.score import ClipOutputs, Scorer
from offkey.recipe import Scoring
from offkey.scoring.gaussian import Gaussian

IDS, DIM = ("00", "02", "04", "06"), 32


def outputs(embeddings):
    clips = len(embeddings)
    return ClipOutputs(
        clips=clips,
        owners=np.arange(clips),
        embeddings=embeddings,
        cosines=embeddings[:, : len(IDS)] / 20,
        type_logits=embeddings[:, -1],
    )


class Simulated:
    """Embeddings of IDs around their own means; those of clips that the network was trained on lie closer together."""

    def __init__(self, seed, *, train=40, held_out=20, clips_a_recording=1):
        self.random = np.random.default_rng(seed)
        self.means = 3 * self.random.normal(size=(len(IDS), DIM))
        self.scales = self.random.uniform(0.3, 1.5, DIM)
        ids = np.repeat(np.arange(len(IDS)), train + held_out)
        place = np.tile(np.arange(train + held_out), len(IDS))
        parts = {"train": np.flatnonzero(place < train), "held_out": np.flatnonzero(place >= train)}
        recordings = np.arange(len(ids)) // clips_a_recording
        self.fitted = FitOutputs(
            machine_ids=IDS,
            ids=ids,
            recordings=recordings,
            positions=parts,
            outputs={
                "train": outputs(self.embeddings(ids[parts["train"]], spread=0.5)),
                "held_out": outputs(
                    self.embeddings(ids[parts["held_out"]], recordings=recordings[parts["held_out"]])
                ),
            },
            others=False,
        )

    def embeddings(self, ids, *, spread=1.0, recordings=None):
        """Clips of one recording have three quarters of their variance in common."""
        noise = self.random.normal(size=(len(ids), DIM))
        if recordings is not None and len(np.unique(recordings)) < len(recordings):
            _, which = np.unique(recordings, return_inverse=True)
            noise = 0.5 * noise + np.sqrt(0.75) * self.random.normal(size=(which.max() + 1, DIM))[which]
        return self.means[ids] + spread * self.scales * noise


def p_values(calibration, scores, same_id):
    """The share of an ID's calibration scores, with the clip's own, that are as large as a clip's."""
    return (1 + np.sum(same_id & (calibration >= scores[:, None]), axis=1)) / (1 + same_id.sum(axis=1))


@pytest.mark.parametrize(
    ("clips_a_recording", "held_out", "off"), [(1, 20, 0.04), (2, 40, 0.04), (5, 20, 0.1)]
)
def test_a_new_normal_clip_scores_as_a_calibration_clip_does(clips_a_recording, held_out, off):
    p = {"own": [], "in the Gaussians": []}
    for seed in range(12):
        simulated = Simulated(seed, held_out=held_out, clips_a_recording=clips_a_recording)
        fitted = simulated.fitted
        calibrated = calibrate(fitted, Scoring(), scale=16.0)
        scorer = Scorer(calibrated.gaussian, Scoring(), scale=16.0)
        fresh = np.repeat(np.arange(len(IDS)), 100)
        scores = scorer.matrices(outputs(simulated.embeddings(fresh)))["a_maha"][np.arange(len(fresh)), fresh]
        held = fitted.ids[fitted.positions["held_out"]]
        seen = scorer.matrices(fitted.outputs["held_out"])["a_maha"][np.arange(len(held)), held]
        same = held[None, :] == fresh[:, None]
        p["own"].append(p_values(calibrated.held_out.scores["a_maha"], scores, same))
        p["in the Gaussians"].append(p_values(seen, scores, same))
    p = {name: np.concatenate(values) for name, values in p.items()}
    # Off by little: Gaussians without one of four or twenty recordings are a little poorer than those of all.
    assert p["own"].mean() == pytest.approx((held_out + 2) / (2 * held_out + 2), abs=off)
    assert (p["own"] <= 0.05).mean() == pytest.approx(0.05, abs=0.025)
    # The same clips, scored by Gaussians that they are part of, are told from new ones.
    assert p["in the Gaussians"].mean() < 0.4
    assert (p["in the Gaussians"] <= 0.05).mean() > 0.1


def test_the_recordings_own_clips_leave_the_gaussians_with_it():
    simulated = Simulated(0, train=20, held_out=10, clips_a_recording=5)
    fitted = simulated.fitted
    calibrated = calibrate(fitted, Scoring(covariance="oas"), scale=16.0)
    embeddings = np.empty((len(fitted.ids), DIM))
    for part, positions in fitted.positions.items():
        embeddings[positions] = fitted.outputs[part].embeddings
    ids = np.array(IDS)[fitted.ids]
    assert len(calibrated.held_out.indices) == 40
    for i, score in zip(calibrated.held_out.indices, calibrated.held_out.scores["a_maha"], strict=True):
        rest = fitted.recordings != fitted.recordings[i]
        gaussian = Gaussian.fit(embeddings[rest], ids[rest], covariance="oas")
        # Of other IDs recordings leave the Gaussians too, which are those of these IDs alone.
        assert score == pytest.approx(gaussian.mahalanobis_to(embeddings[[i]], [ids[i]])[0], rel=1e-9)


def test_what_is_in_the_file_does_not_name_recordings():
    fitted = Simulated(1).fitted
    arrays, metadata = fitted.state()
    assert arrays["recordings"].dtype == np.int64
    widths = {"embeddings": DIM, "cosines": len(IDS), "type_logits": 0}
    arrays = {name: array.copy() for name, array in arrays.items()}
    restored = FitOutputs.from_state(IDS, arrays, metadata, widths=widths)
    np.testing.assert_array_equal(restored.recordings, fitted.recordings)


def test_held_out_clips_have_scores_against_every_id_also_in_a_file():
    fitted = Simulated(2).fitted
    calibrated = calibrate(fitted, Scoring(), scale=16.0)
    matrix = calibrated.held_out.against_all["a_maha"]
    assert matrix.shape == (80, 4)
    assert (matrix.argmin(axis=1) == fitted.ids[fitted.positions["held_out"]]).all()
    restored = Calibrated.from_state(*calibrated.state())
    for name, values in calibrated.held_out.against_all.items():
        np.testing.assert_array_equal(restored.held_out.against_all[name], values)
    arrays, metadata = calibrated.state()
    arrays = {name: array for name, array in arrays.items() if "against_all" not in name}
    with pytest.raises(KeyError, match="held_out_against_all"):
        Calibrated.from_state(arrays, metadata)
    del metadata["held_out"]["against_all"]  # as in files of format 2
    assert Calibrated.from_state(arrays, metadata).held_out.against_all is None
