"""No test label chooses anything: with all of them shuffled, every file that train and score write is the same."""

import csv
import json
import shutil

import numpy as np
import pytest
from machines import write_tree
from safetensors import safe_open
from safetensors.numpy import save_file
from tiny_recipe import N_MELS

from offkey.cli import run

RECIPES = {
    "spectral": {
        "features": {"n_mels": N_MELS},
        "spectral": {"check": True},
        "scoring": {"combine": "a_spectral"},
    },
    "network": {
        "network": {"subsampling_channels": 4, "blocks": 1, "dim": 16, "heads": 2, "ffn_dim": 32},
        "training": {"stage1_epochs": 2, "stage2_epochs": 2, "clip_seconds": 1.0},
        "scoring": {"combine": "select", "holdout_fraction": 0.2},
    },
}
SHUFFLES = ("all the other way round", "drawn")


def shuffled(labels, how):
    if how == "drawn":
        return np.random.default_rng(5).permutation(labels).tolist()
    return [1 - label for label in labels]


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def without_times(metrics, checkpoint):
    """Write both again without what tells how long the training took."""
    lines = map(json.loads, metrics.read_text().splitlines())
    metrics.write_text(str([(line["epoch"], line["losses"]) for line in lines]))
    with safe_open(checkpoint, framework="numpy") as file:
        header = json.loads(file.metadata()["offkey_checkpoint"])
        tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    del header["spent_s"]
    save_file(tensors, checkpoint, {"offkey_checkpoint": json.dumps(header)})


def detected(data, out, recipe, *options):
    """Train and score by the command line; return every byte that was written."""
    out.mkdir()
    text = json.dumps(RECIPES[recipe] | {"name": recipe})
    (out / "recipe.json").write_text(text)
    detector, chosen = out / "fan.offkey", ["--machine", "fan", "--seed", "1", *options]
    arguments = ["train", data, "--recipe", out / "recipe.json", "--out", detector, *chosen]
    if "network" in RECIPES[recipe]:
        arguments += ["--metrics", out / "metrics.jsonl", "--checkpoint", out / "checkpoint"]
    assert run([str(a) for a in arguments]) == 0
    if "network" in RECIPES[recipe]:
        without_times(out / "metrics.jsonl", out / "checkpoint")
    assert run([str(a) for a in ("score", detector, data / "clips", "--out", out / "scores.csv")]) == 0
    return files(out)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Clips whose names tell nothing, and their rows of a manifest."""
    root = tmp_path_factory.mktemp("peek")
    tree = write_tree(root / "tree", train=12, test=5)
    (root / "data" / "clips").mkdir(parents=True)
    rows = []
    for number, path in enumerate(sorted(tree.rglob("*.wav"))):
        name = f"clips/{path.parts[-3]}_id_{path.stem.split('_')[2]}_{number:04d}.wav"
        shutil.copyfile(path, root / "data" / name)
        label = int(path.name.startswith("anomaly"))
        machine_id = path.stem.split("_")[2]
        rows.append([name, path.parts[-3], machine_id, path.parts[-2], label])
    return root / "data", rows


@pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")
@pytest.mark.parametrize("recipe", RECIPES)
def test_labels_of_test_clips_change_no_byte(clips, tmp_path, recipe):
    data, rows = clips
    manifest = data / "manifest.csv"

    def write(labels):
        given = iter(labels)
        with manifest.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["file", "machine_type", "machine_id", "split", "label"])
            writer.writerows([*row[:4], next(given) if row[3] == "test" else row[4]] for row in rows)

    truth = [row[4] for row in rows if row[3] == "test"]
    write(truth)
    written = detected(data, tmp_path / "truth", recipe, "--manifest", manifest)
    network = {"metrics.jsonl", "checkpoint"} if "network" in RECIPES[recipe] else set()
    assert set(written) == {"fan.offkey", "recipe.json", "scores.csv"} | network
    for how in SHUFFLES:
        labels = shuffled(truth, how)
        assert labels != truth
        write(labels)
        assert detected(data, tmp_path / how.replace(" ", "-"), recipe, "--manifest", manifest) == written


@pytest.mark.filterwarnings("ignore::offkey.errors.OffkeyWarning")
def test_names_that_tell_the_label_choose_nothing(tmp_path):
    """In DCASE 2020 the names of test files tell the label: the same recordings under exchanged names."""
    trees = [tmp_path / "a" / "dev_data", tmp_path / "b" / "dev_data"]
    for tree in trees:
        write_tree(tree, train=12, test=5)
    for path in sorted((trees[1] / "fan" / "test").glob("normal_*")):
        other = path.with_name(path.name.replace("normal", "anomaly"))
        normal, anomaly = path.read_bytes(), other.read_bytes()
        path.write_bytes(anomaly)
        other.write_bytes(normal)
    scores = []
    for tree in trees:
        out = tree.parent
        for recipe in RECIPES:
            detector = out / f"{recipe}.offkey"
            (out / "recipe.json").write_text(json.dumps(RECIPES[recipe] | {"name": recipe}))
            arguments = ["train", tree, "--machine", "fan", "--recipe", out / "recipe.json", "-o", detector]
            assert run([str(a) for a in arguments]) == 0
            assert run([str(a) for a in ("score", detector, tree / "fan" / "test", "-o", out / "s.csv")]) == 0
            with (out / "s.csv").open(newline="") as file:
                found = {tree.joinpath(row["path"]).read_bytes(): row for row in csv.DictReader(file)}
            scores.append({key: row | {"path": ""} for key, row in found.items()})
    for recipe in RECIPES:
        first, second = (tree.parent / f"{recipe}.offkey" for tree in trees)
        assert first.read_bytes() == second.read_bytes()
    assert scores[0] == scores[2]
    assert scores[1] == scores[3]
