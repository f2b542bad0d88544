"""How much longer `import offkey` takes than `import numpy`, each in a fresh process."""

import subprocess
import sys

import pytest


@pytest.mark.benchmark(group="import", min_rounds=10)
@pytest.mark.parametrize("module", ["offkey", "numpy"])
def test_import(benchmark, module):
    benchmark(lambda: subprocess.run([sys.executable, "-c", f"import {module}"], check=True))
