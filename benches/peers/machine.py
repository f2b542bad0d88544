"""What the figures depend on: processor, clock, versions, date."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from peers import floor

ROOT = Path(__file__).resolve().parents[2]
PEERS = (
    "audioflux",
    "audiomentations",
    "librosa",
    "miniaudio",
    "mkl_fft",
    "numpy",
    "python-stretch",
    "scikit-learn",
    "scipy",
    "soundfile",
    "soxr",
    "sphn",
    "torch",
    "torchaudio",
)


def version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """Its model, from /proc/cpuinfo where there is one."""
    try:
        found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def clock() -> str:
    try:
        return f"{floor.clock_ghz():.2f} GHz measured"
    except ImportError as error:
        return f"not measured: {error}"


def rustc() -> str:
    try:
        return subprocess.run(
            ["rustc", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not installed"


def wheel_bytes() -> dict[str, int]:
    """Of the newest wheel in dist, which `make wheel` builds."""
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    return {wheels[-1].name: wheels[-1].stat().st_size} if wheels else {}


def describe() -> dict[str, Any]:
    """Everything, ready for JSON."""
    from offkey import _native

    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "clock": clock(),
        "simd": _native.SIMD_LEVEL,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rustc": rustc(),
        "offkey": _native.__version__,
        "extension_bytes": Path(_native.__file__).stat().st_size,
        "wheel_bytes": wheel_bytes(),
        "peers": {package: version(package) for package in PEERS},
    }
