"""Small trees in the layouts of the two benchmarks, and recipes that are quick."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from machines import RATE, recording, write_tree
from tiny_recipe import TINY as SMALLEST

from offkey.recipe import Recipe

TINY = SMALLEST.replace(training__stage1_epochs=2, training__clip_seconds=1.0, scoring__combine="select")
SPECTRAL = Recipe.named("spectral")


def write_dcase(root: Path) -> Path:
    """Fans and pumps with IDs 00 and 02 for development, 01 for evaluation."""
    write_tree(root / "dev_data", ids=("00", "02"), train=12, test=4)
    write_tree(root / "eval_data", ids=("01",), train=12, test=4)
    lines = []
    for kind in sorted((root / "eval_data").iterdir()):
        lines.append([kind.name])
        # Normals and anomalies take turns under names that do not tell.
        files = sorted((kind / "test").iterdir(), key=lambda path: (path.stem[-8:], path.name))
        for number, path in enumerate(files):
            name = f"id_01_{number:08d}.wav"
            lines.append([name, path.name, str(int(path.name.startswith("anomaly")))])
            path.rename(path.with_name(name))
    with (root / "eval_data_list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    return root


def write_mimii(root: Path) -> Path:
    """Fans and valves of IDs 00 and 02 at -6 and 0 dB, two channels."""
    rng = np.random.default_rng(1)
    for db, level in ((-6, 0.5), (0, 1.0)):
        for m, machine in enumerate(("fan", "valve")):
            for i, machine_id in enumerate(("00", "02")):
                for label, count in (("normal", 16), ("abnormal", 4)):
                    folder = root / f"{db}_dB_{machine}" / machine / f"id_{machine_id}" / label
                    folder.mkdir(parents=True)
                    for n in range(count):
                        x = recording(rng, hum_hz=90.0 + 70 * m + 23 * i, faulty=label == "abnormal")
                        noise = 0.02 * rng.standard_normal((2, len(x))).astype(np.float32)
                        sf.write(folder / f"{n:08d}.wav", (level * x + noise).T, RATE, "PCM_16")
    return root


@pytest.fixture(scope="session")
def dcase(tmp_path_factory):
    """A DCASE 2020 tree of two types; not to be changed."""
    return write_dcase(tmp_path_factory.mktemp("dcase"))


@pytest.fixture
def own_dcase(dcase, tmp_path):
    """A copy that a test may change."""
    return Path(shutil.copytree(dcase, tmp_path / "dcase"))


@pytest.fixture(scope="session")
def mimii(tmp_path_factory):
    """A MIMII tree of two types at two ratios; not to be changed."""
    return write_mimii(tmp_path_factory.mktemp("mimii"))
