"""What `import offkey` loads, how long it takes, and what works without the extras."""

import json
import subprocess
import sys

import numpy as np
import soundfile as sf
from machines import RATE, recording

import offkey


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_loads_numpy_and_no_other_third_party_package():
    code = """
import sys, json
before = set(sys.modules)
import offkey
tops = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
print(json.dumps(sorted(tops - {"offkey"})))
"""
    assert set(json.loads(run(code))) <= {"numpy"}


def test_every_public_name_resolves_and_is_listed():
    assert set(offkey.__all__) <= set(dir(offkey))
    assert {*offkey._MODULES, *offkey._NAMES, "__version__"} == set(offkey.__all__)
    for name in offkey.__all__:
        assert getattr(offkey, name) is not None


def test_import_executes_little():
    # Import time itself is a matter for benches/; what it is made of is not: a handful of modules.
    code = "import sys, numpy; n = len(sys.modules); import offkey; print(len(sys.modules) - n)"
    assert int(run(code)) <= 5


def test_the_kernels_and_spectral_work_without_torch_and_matplotlib():
    code = """
import sys
for name in ("torch", "matplotlib", "sklearn", "scipy", "librosa", "pyarrow", "jinja2", "ray"):
    sys.modules[name] = None
import offkey
for name in offkey.__all__:
    getattr(offkey, name)
import offkey.cli, offkey.models.spectral, offkey.scoring, offkey.evaluation
print("ok")
"""
    assert run(code).strip() == "ok"


def test_a_detector_is_trained_and_scores_where_there_is_no_fcntl(tmp_path):
    """As on Windows: a detector is trained with a cache of decoded clips, saved, loaded, and scores."""
    rng = np.random.default_rng(0)
    (tmp_path / "recordings").mkdir()
    for n in range(8):
        sf.write(tmp_path / "recordings" / f"{n}.wav", recording(rng, hum_hz=90.0), RATE, "PCM_16")
    code = f"""
import os, sys
sys.modules["fcntl"] = None
os.chdir({str(tmp_path)!r})
import offkey, offkey.cli
for name in offkey.__all__:
    getattr(offkey, name)
import offkey.datasets.cache
detector = offkey.Detector().fit(offkey.datasets.folder("recordings"), cache="cache")
detector.save("a.offkey")
print(len(offkey.load("a.offkey").score("recordings")))
"""
    assert run(code).strip() == "8"
