"""What only a GPU can show: the tests on CUDA, speed of training and scoring, a training beside the CPU's.

    python benches/gpu/check.py --out FOLDER [--device cuda] [--quick] [--parts training,scoring] [--again]

Needs no network and installs nothing from outside: `make gpu-prepare`, on a machine with a network, puts the wheel and
its few dependencies into `.gpu/`; torch and numpy must be there. Every part (`parts.py`) runs in a process of its own
under its own limit, so that a fault in one does not hide the rest. One call takes less than 9 minutes, enough for the
parts of the first sitting; call again for CUDA graphs and a type of full size, and once more for recipe `near`.
Results: FOLDER/gpu.json, FOLDER/gpu.md and a log of each part. A part that has its JSON in FOLDER/parts or in the work
folder is not run again, unless the package or the setting has changed since. `--device cpu --quick` tests the logic;
its figures mean nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import report
from parts import PARTS, ROOT, Part, Setting

WHEELS = ROOT / ".gpu"
TOTAL_S = 535  # under 9 minutes
QUICK_PATIENCE = 5  # times the limits: a quick run may share its cores with others


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / "offkey-gpu",
        help="recordings, detectors and finished parts, kept for the next call: %(default)s",
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="some of %(default)s")
    parser.add_argument("--again", action="store_true", help="run finished parts, too")
    arguments = parser.parse_args()
    arguments.parts = arguments.parts.split(",")
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"--parts {', '.join(sorted(unknown))}: expected some of {', '.join(PARTS)}")
    return arguments


def install(work: Path, device: str) -> dict[str, str]:
    """Install the wheels of `.gpu/` into the work folder; return the environment of the parts.

    They are for the Python of the CUDA machine: on a CPU the logic is tested with the package that is installed.
    """
    environment = dict(os.environ, PYTHONUNBUFFERED="1")
    wheels = sorted(WHEELS.glob("*.whl"))
    if not wheels or device == "cpu":
        if importlib.util.find_spec("offkey") is None:
            raise SystemExit(f"no wheels in {WHEELS} and no offkey installed: run `make gpu-prepare` before")
        return environment
    site = work / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*pip, "--upgrade", "--target", site, *wheels], check=True, timeout=60)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return environment


def fingerprint(setting: Setting, environment: dict[str, str]) -> str:
    """Return a hash of what the figures depend on: the package, the parts, the setting."""
    where = "import offkey; print(offkey.__path__[0])"
    command = [sys.executable, "-c", where]
    run = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    package = Path(run.stdout.strip())
    digest = hashlib.sha256(json.dumps([setting.device, setting.quick]).encode())
    files = [*package.rglob("*.py"), *package.glob("*.so"), Path(__file__).with_name("parts.py")]
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run(
    part: Part, setting: Setting, limit_s: float, environment: dict[str, str], log: Path
) -> dict[str, Any]:
    """Run a part in a process of its own, and return what it has measured until its end or its limit."""
    rows = log.with_suffix(".rows")
    rows.unlink(missing_ok=True)
    text = json.dumps(dataclasses.asdict(setting), default=str)
    command = [sys.executable, str(Path(__file__).with_name("parts.py")), part.name, text, str(rows)]
    started = time.monotonic()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(limit_s)
            status = "done" if code == 0 else f"failed with exit code {code}"
        except subprocess.TimeoutExpired:
            status = f"stopped after its limit of {limit_s:.0f} s"
        finally:
            _end(process)
    lines = rows.read_text().splitlines() if rows.exists() else []
    rows.unlink(missing_ok=True)
    return {
        "status": status,
        "seconds": time.monotonic() - started,
        "rows": [json.loads(line) for line in lines],
        "log": log.read_text(errors="replace")[-4000:],
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a part and every process that it has started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Finished:
    """The results of parts: read from the output or the work folder, written to both."""

    def __init__(self, folders: tuple[Path, ...], key: str) -> None:
        self.folders = folders
        self.key = key
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)

    def get(self, name: str) -> dict[str, Any] | None:
        for folder in self.folders:
            path = folder / f"{name}.json"
            if path.exists():
                result = json.loads(path.read_text())
                if result["fingerprint"] == self.key:
                    return result
        return None

    def put(self, name: str, result: dict[str, Any]) -> None:
        for folder in self.folders:
            path = folder / f"{name}.json"
            draft = path.with_suffix(".part")
            draft.write_text(json.dumps(result | {"fingerprint": self.key}, indent=1))
            draft.replace(path)


def is_done(part: Part, result: dict[str, Any] | None, setting: Setting) -> bool:
    there = part.leaves is None or (setting.work / part.leaves).exists()
    return result is not None and result["status"] == "done" and there


def main() -> int:
    """Run the parts and write the results after each; return 1 if any is not done."""
    arguments = parsed()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the part that runs is ended, too
    started = time.monotonic()
    out, work = arguments.out.resolve(), arguments.work.resolve()
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    setting = Setting(device=arguments.device, quick=arguments.quick, work=work / arguments.device)
    if arguments.quick:
        setting = dataclasses.replace(setting, work=work / "quick")
    patience = QUICK_PATIENCE if setting.quick else 1
    environment = install(work, setting.device)
    finished = Finished((out / "parts", setting.work / "parts"), fingerprint(setting, environment))
    results: dict[str, dict[str, Any]] = {}
    for name in arguments.parts:
        part, result = PARTS[name], finished.get(name)
        left_s = patience * TOTAL_S - (time.monotonic() - started)
        if is_done(part, result, setting) and not arguments.again:
            print(f"{name}: done before", flush=True)
        elif left_s < patience * part.limit_s:
            status = f"not run: {left_s:.0f} s were left of this call; call again"
            result = {"status": status, "seconds": 0.0, "rows": [], "log": ""}
        else:
            result = run(part, setting, patience * part.limit_s, environment, out / f"{name}.log")
            finished.put(name, result)
            print(f"{name}: {result['status']}, {result['seconds']:.0f} s", flush=True)
        results[name] = result
        report.write(out, results, setting, time.monotonic() - started)
    print((out / "gpu.md").read_text()[-9000:])
    return int(any(result["status"] != "done" for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
