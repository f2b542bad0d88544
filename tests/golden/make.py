"""Writes the golden files of this version: `python tests/golden/make.py`, once a release, never again for an old one.

`recordings/` has the test recordings, `VERSION/` a detector of each recipe and the scores that it gave.
"""

import json
import sys
import tempfile
from pathlib import Path

import soundfile as sf

import offkey
from offkey.datasets import synthetic

HERE = Path(__file__).parent
SECONDS = 2.0
TRAINING = {
    "training__stage1_epochs": 2,
    "training__stage2_epochs": 1,
    "training__clip_seconds": SECONDS,
    "scoring__holdout_fraction": 0.3,
}
NARROW = {
    "network__subsampling_channels": 16,
    "network__dim": 32,
    "network__ffn_dim": 64,
    "network__pooling_channels": 32,
}


def recipes() -> dict[str, offkey.Recipe]:
    """Each built-in recipe, `paper` with a narrower network so that its file is small, and one with both models."""
    paper = offkey.Recipe.named("paper").replace(**TRAINING, **NARROW)
    both = paper.replace(scoring__combine="mean", scoring__standardise_on="held_out", spectral={})
    return {
        "spectral": offkey.Recipe.named("spectral"),
        "small": offkey.Recipe.named("small").replace(**TRAINING),
        "paper": paper,
        "both": both,
        "near": offkey.Recipe.named("near").replace(features__n_mels=32, near__networks=2, near__steps=20),
    }


def main() -> None:
    """Train on synthetic fans and pumps, and write what the detectors say of other recordings."""
    folder = HERE / offkey.__version__
    if folder.exists():
        sys.exit(f"{folder} is there already: golden files are never written twice")
    folder.mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        synthetic.write(
            tree,
            machines=("fan", "pump"),
            ids=("00", "02", "04"),
            clips_train=24,
            clips_test_normal=1,
            clips_test_anomaly=1,
            seconds=SECONDS,
            seed=1,
        )
        data = offkey.datasets.dcase2020(tree, machine="fan")
        recordings = HERE / "recordings"
        if not recordings.exists():
            recordings.mkdir()
            for clip in data.test:
                samples, rate = sf.read(clip.path, dtype="int16")
                sf.write(recordings / clip.path.with_suffix(".flac").name, samples, rate, subtype="PCM_16")
        scores = {}
        for name, recipe in recipes().items():
            detector = offkey.Detector(recipe).fit(data, device="cpu", precision="float32")
            detector.save(folder / f"{name}.offkey")
            table = offkey.load(folder / f"{name}.offkey").score(recordings, device="cpu")
            scores[name] = [
                {"file": Path(row["path"]).name}
                | {key: row[key] for key in ("scored_as", "decision")}
                | {key: row[key] for key in (*table.score_names,)}
                for row in table.rows()
            ]
    (folder / "scores.json").write_text(json.dumps(scores, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
