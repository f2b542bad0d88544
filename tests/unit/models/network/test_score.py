import numpy as np
import pytest
import torch
from tiny_network import RECIPE

from offkey.errors import ArrayError
from offkey.models.network.net.multitask import Model
from offkey.models.network.score import infer, window_frames
from offkey.recipe import Features


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model(RECIPE.network, n_mels=16, machine_ids=3, type_task=True, augmentation_classes=8).eval()


def random_logmels(*frames):
    random = np.random.default_rng(0)
    return [random.normal(size=(16, n)).astype(np.float32) for n in frames]


def test_clips_of_any_length_come_out_in_order(model):
    clips = random_logmels(40, 20, 40, 7, 20)
    made = infer(model, clips, longest=100)
    assert made.owners.tolist() == [0, 1, 2, 3, 4]
    for i, clip in enumerate(clips):
        with torch.inference_mode():
            alone = model(torch.from_numpy(clip[None]))
        np.testing.assert_allclose(made.embeddings[i], alone.embedding[0], atol=1e-5)
        np.testing.assert_allclose(made.cosines[i], alone.cosine[0], atol=1e-5)
        np.testing.assert_allclose(made.type_logits[i], alone.type_logit[0], atol=1e-5)


def test_long_clips_are_cut_into_windows_that_cover_them(model):
    short, long = random_logmels(30, 70)
    made = infer(model, [short, long], longest=30)
    assert made.owners.tolist() == [0, 1, 1, 1]
    parts = infer(model, [long[:, 0:30], long[:, 20:50], long[:, 40:70]], longest=30)
    np.testing.assert_allclose(made.embeddings[1:], parts.embeddings, atol=1e-5)
    expected = np.stack([made.embeddings[0], parts.embeddings.mean(axis=0)])
    np.testing.assert_allclose(made.per_clip(made.embeddings), expected, atol=1e-5)
    np.testing.assert_allclose(made.per_clip(made.type_logits)[1], parts.type_logits.mean(), atol=1e-5)


def test_a_clip_too_short_for_the_network_is_repeated(model):
    (clip,) = random_logmels(3)
    repeated = np.concatenate([clip, clip, clip[:, :1]], axis=1)
    made = infer(model, [clip], longest=30)
    np.testing.assert_allclose(made.embeddings, infer(model, [repeated], longest=30).embeddings, atol=1e-6)


def test_parts_join(model):
    clips = random_logmels(20, 70, 40)
    whole = infer(model, clips, longest=30)
    joined = infer(model, clips[:2], longest=30) + infer(model, clips[2:], longest=30)
    assert joined.owners.tolist() == whole.owners.tolist()
    np.testing.assert_allclose(joined.per_clip(joined.cosines), whole.per_clip(whole.cosines), atol=1e-5)


def test_thirty_seconds_of_the_papers_features():
    assert window_frames(Features()) == 939


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        ([], "given none"),
        ([np.zeros((16, 9)), np.zeros((12, 9))], r"clip 1: given shape \(12, 9\); expected \(16, frames\)"),
        ([np.zeros((16, 0))], r"clip 0: given shape \(16, 0\)"),
        ([np.full((16, 9), np.nan)], "clip 0: has values that are not finite"),
    ],
)
def test_refuses_what_cannot_be_scored(model, clips, message):
    with pytest.raises(ArrayError, match=message):
        infer(model, clips, longest=30)


def test_float16_says_nearly_the_same(model):
    clips = random_logmels(40, 20, 40, 7, 20)
    whole, half = infer(model, clips, longest=30), infer(model, clips, longest=30, precision="float16")
    assert not np.array_equal(half.embeddings, whole.embeddings)
    spread = np.std(whole.embeddings)
    np.testing.assert_allclose(half.embeddings, whole.embeddings, atol=0.02 * spread)
    np.testing.assert_allclose(half.cosines, whole.cosines, atol=0.01)
    np.testing.assert_allclose(half.type_logits, whole.type_logits, atol=0.02)


def test_what_float16_does_not_reach_is_computed_in_float32(model):
    clips = [clip * np.float32(1e6) for clip in random_logmels(40, 20)]
    whole, half = infer(model, clips, longest=30), infer(model, clips, longest=30, precision="float16")
    np.testing.assert_array_equal(half.embeddings, whole.embeddings)
    np.testing.assert_array_equal(half.cosines, whole.cosines)
