"""Writing a synthetic dataset, and reading it back."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import numpy as np

from offkey._util.csv_text import to_csv
from offkey._util.files import named, write_text
from offkey._util.threads import cores
from offkey.datasets.clips import Dataset
from offkey.datasets.dcase import EVAL_LIST, dcase2020
from offkey.datasets.mimii import Split, mimii
from offkey.datasets.paths import PathLike, existing_folder
from offkey.datasets.synthetic.place import Place
from offkey.datasets.synthetic.plan import Job, Layout, Plan, World, eval_list, jobs
from offkey.datasets.synthetic.scene import MACHINES, fault_part, grid, mix
from offkey.errors import DatasetError, ParameterError

__all__ = ["MANIFEST", "PARAMETERS", "PLACES", "Written", "is_synthetic", "load", "write"]

PARAMETERS = "synthetic.json"
"""The file that says how a synthetic dataset was made."""

MANIFEST = "manifest.csv"
"""The file that says which fault each clip has, and how severe."""

PLACES = "fault_list.csv"
"""The file that says in which bands and at which times each fault is heard; older datasets have none."""

_PLACE_COLUMNS = ("file", "fault", "severity", "bands_hz", "times_s")
_COLUMNS = ("file", "machine_type", "machine_id", "split", "label", "snr_db", "fault", "severity")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What `write` did."""

    root: Path
    layout: Layout
    machines: tuple[str, ...]
    files: int
    """Sound files that the dataset has."""
    kept: int
    """How many of them were there before."""
    manifest: Path
    """A CSV file with the fault and the severity of each clip."""
    places: Path
    """A CSV file that says where and when each fault is heard: its half-power bands in Hz and times in seconds."""


def write(
    root: PathLike,
    *,
    layout: Layout = "dcase2020",
    machines: Sequence[str] = MACHINES,
    ids: Sequence[str] = ("00", "02", "04", "06"),
    eval_ids: Sequence[str] = (),
    clips_train: int = 200,
    clips_test_normal: int = 50,
    clips_test_anomaly: int = 50,
    seconds: float = 10.0,
    sample_rate: int = 16_000,
    snr_db: float | Sequence[float] = 0.0,
    world: World = "factory",
    far_db: float | None = None,
    seed: int = 0,
    resume: bool = False,
    num_workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Written:
    """Synthesise recordings of machines in one of the two public layouts.

    Parameters
    ----------
    root
        A folder that does not exist or is empty.
    layout
        ``"dcase2020"``: mono, `dev_data` and, with `eval_ids`, `eval_data` with its label list beside it.
        ``"mimii"``: 8 channels, one tree for each SNR; all normals are in one folder, and the loader
        splits them.
    machines
        Some of `MACHINES`.
    ids, eval_ids
        Machine IDs of each type; those of the evaluation part.
    clips_train, clips_test_normal, clips_test_anomaly
        Clips of each ID. Anomalies take the faults of their type in turn, with a severity uniform in [0, 1].
    seconds, sample_rate
        Duration in [1, 600] s and rate in [4000, 192000] Hz of each clip.
    snr_db
        Level of the machine against the factory; layout ``"mimii"`` takes several.
    world
        ``"factory"``: machines have the faults of their type (`FAULTS`). ``"premise"``: the same healthy recordings,
        but faults move a machine's sound towards that of another one of its type or of another type (`TOWARDS`), which
        is what networks that tell machines apart are made to hear.
    far_db
        Where it is given, files of layout ``"dcase2020"`` have two channels, near and far: the second microphone stands
        far from the machine, where the factory's noise is. How loud the machine is there against the near one, in
        [-60, 0] dB; -20 to -15 dB are some metres. The near channel is the same without it.
    seed
        The same seed makes the same files, for any number of workers. At least 0.
    resume
        Continue an interrupted dataset of the same parameters; existing files are kept.
    num_workers
        Threads; None: as many as there are processors.
    progress
        Called with the number of clips done and of all, in the calling thread.

    Returns
    -------
    Written
        The number of files, and where the list of faults is. Files appear whole or not at all.

    Raises
    ------
    DatasetError
        If `root` is a file or not empty; with `resume`, if it was made with other parameters.
    ParameterError
        If a parameter is out of range.
    """
    plan = Plan(
        layout=layout,
        machines=tuple(machines),
        ids=tuple(ids),
        eval_ids=tuple(eval_ids),
        clips_train=clips_train,
        clips_test_normal=clips_test_normal,
        clips_test_anomaly=clips_test_anomaly,
        seconds=float(seconds),
        sample_rate=sample_rate,
        snrs_db=tuple(float(snr) for snr in ((snr_db,) if isinstance(snr_db, (int, float)) else snr_db)),
        seed=seed,
        world=msgspec.UNSET if world == "factory" else world,
        far_db=msgspec.UNSET if far_db is None else float(far_db),
    )
    plan.check()
    if num_workers is not None and num_workers < 1:
        raise ParameterError(f"num_workers = {num_workers}: expected at least 1, or None")
    base = Path(root)
    _prepare(base, plan, resume)
    work = jobs(plan)
    _write_lists(base, plan, work)
    for folder in {base / file.parent for job in work for file in job.files}:
        folder.mkdir(parents=True, exist_ok=True)
    existing, places = _run(base, plan, work, num_workers or cores(), progress)
    _write_places(base, places)
    return Written(
        root=base,
        layout=layout,
        machines=plan.machines,
        files=len(work) * len(plan.snrs_db),
        kept=existing,
        manifest=base / MANIFEST,
        places=base / PLACES,
    )


def is_synthetic(root: PathLike) -> bool:
    """Return whether `write` has made a folder, or the one that it is a part of."""
    base = Path(root).resolve()
    return any((folder / PARAMETERS).is_file() for folder in (base, base.parent))


def load(root: PathLike, *, machine: str, snr_db: float | None = None, split: Split = "hitachi") -> Dataset:
    """Load a dataset that `write` made, by the loader of its layout.

    Parameters
    ----------
    root
        The folder given to `write`.
    machine
        The target type.
    snr_db
        Which SNR, in layout ``"mimii"``; may be left out if there is only one.
    split
        See `offkey.datasets.mimii`.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    DatasetError
        If it was not made by `write`, or lacks files.
    """
    base = existing_folder(root)
    plan = _read_plan(base)
    if plan.layout == "dcase2020":
        data = dcase2020(base, machine=machine)
        return data if plan.machine_at_far_db is None else data.with_channels("near", "far")
    if snr_db is None and len(plan.snrs_db) > 1:
        raise ParameterError(f"snr_db: {base} has {', '.join(f'{s:g}' for s in plan.snrs_db)} dB; name one")
    return mimii(base, machine=machine, snr_db=plan.snrs_db[0] if snr_db is None else snr_db, split=split)


def _prepare(base: Path, plan: Plan, resume: bool) -> None:
    """Make sure that the folder is empty, or holds a part of this very dataset."""
    if base.exists() and not base.is_dir():
        raise DatasetError(f"{base}: expected a folder, given a file")
    if base.exists() and any(base.iterdir()):
        if not resume:
            raise DatasetError(
                f"{base}: the folder is not empty; give a new one, or resume=True to go on with a "
                "dataset that was interrupted"
            )
        before = _read_plan(base)
        if before != plan:
            old, new = map(_values, (before, plan))
            other = ", ".join(
                f"{name} = {old[name]!r}, now {new[name]!r}" for name in old if old[name] != new[name]
            )
            raise DatasetError(f"{base}: made with other parameters: {other}")
    base.mkdir(parents=True, exist_ok=True)
    write_text(base / PARAMETERS, msgspec.json.format(msgspec.json.encode(plan)).decode() + "\n")


def _values(plan: Plan) -> dict[str, Any]:
    """Return the parameters by name, with those that a file leaves out."""
    left_out = {"world": plan.world or "factory", "far_db": plan.machine_at_far_db}
    return msgspec.structs.asdict(plan) | left_out


def _read_plan(base: Path) -> Plan:
    path = base / PARAMETERS
    if not path.is_file():
        raise DatasetError(f"{base}: no {PARAMETERS} in it, so it is no synthetic dataset")
    try:
        return msgspec.json.decode(path.read_bytes(), type=Plan)
    except msgspec.DecodeError as error:
        raise DatasetError(f"{path}: damaged: {error}") from None


def _write_lists(base: Path, plan: Plan, work: list[Job]) -> None:
    rows: list[tuple[str, ...]] = [_COLUMNS]
    for job in sorted(work, key=lambda job: job.files):
        label = "normal" if job.fault is None else "anomaly"
        for file, snr in zip(job.files, plan.snrs_db, strict=True):
            fault = (f"{snr:g}", job.fault or "", f"{job.severity:.4f}")
            rows.append((str(file), job.machine_type, job.machine_id, job.split, label, *fault))
    write_text(base / MANIFEST, to_csv(rows))
    if plan.eval_ids:
        write_text(base / EVAL_LIST, eval_list(plan, work))


def _write_places(base: Path, places: list[tuple[PurePosixPath, Job, Place]]) -> None:
    rows: list[tuple[str, ...]] = [_PLACE_COLUMNS]
    for file, job, place in sorted(places, key=lambda row: row[0]):
        bands, times = _text(place.bands_hz, digits=1), _text(place.times_s, digits=3)
        rows.append((str(file), job.fault or "", f"{job.severity:.4f}", bands, times))
    write_text(base / PLACES, to_csv(rows))


def _text(intervals: Sequence[tuple[float, float]], *, digits: int) -> str:
    return " ".join(f"{low:.{digits}f}-{high:.{digits}f}" for low, high in intervals)


def _run(
    base: Path, plan: Plan, work: list[Job], workers: int, progress: Callable[[int, int], None] | None
) -> tuple[int, list[tuple[PurePosixPath, Job, Place]]]:
    """Make all clips; return how many files were there before, and where the faults of all are heard."""
    # threads, not processes: numpy and libsndfile let go of the interpreter's lock while they work
    pool = ThreadPoolExecutor(workers, thread_name_prefix="offkey-synth")
    existing = 0
    places: list[tuple[PurePosixPath, Job, Place]] = []
    try:
        running = [pool.submit(_make, base, plan, job) for job in work]
        for done, future in enumerate(as_completed(running), start=1):
            before, of_job = future.result()
            existing += before
            places += of_job
            if progress is not None:
                progress(done, len(work))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return existing, places


def _make(base: Path, plan: Plan, job: Job) -> tuple[int, list[tuple[PurePosixPath, Job, Place]]]:
    """Make the missing files of a clip; return how many were there, and of a fault where it is heard in each."""
    clip_grid = grid(plan.seconds, plan.sample_rate)
    least = clip_grid.samples * plan.channels * 2
    missing = [i for i, file in enumerate(job.files) if not _is_whole(base / file, least)]
    wanted = missing if job.fault is None else range(len(job.files))
    places: list[tuple[PurePosixPath, Job, Place]] = []
    if wanted:
        mixed = mix(
            job.machine_type,
            job.machine_id,
            clip=job.clip,
            fault=job.fault,
            severity=job.severity,
            snrs_db=tuple(plan.snrs_db[i] for i in wanted),
            channels=plan.near_channels,
            far_db=plan.machine_at_far_db,
            grid=clip_grid,
            seed=plan.seed,
        )
        for i, sound in zip(wanted, mixed, strict=True):
            if i in missing:
                _write_wav(base / job.files[i], sound, plan.sample_rate)
        if job.fault is not None:
            part = fault_part(
                job.machine_type,
                job.machine_id,
                clip=job.clip,
                fault=job.fault,
                severity=job.severity,
                grid=clip_grid,
                seed=plan.seed,
            )
            places = [
                (file, job, Place.of(part, sound[0], plan.sample_rate))
                for file, sound in zip(job.files, mixed, strict=True)
            ]
    return len(job.files) - len(missing), places


def _is_whole(path: Path, least: int) -> bool:
    return path.is_file() and path.stat().st_size > least


def _write_wav(path: Path, sound: np.ndarray, sample_rate: int) -> None:
    import soundfile

    pcm = np.rint(sound.T * np.float32(32767.0)).astype(np.int16)
    # as in the originals: MIMII's files have the extensible header
    kind = "WAV" if pcm.shape[1] == 1 else "WAVEX"
    buffer = io.BytesIO()  # written by Python, so that a full disk is an OSError
    soundfile.write(buffer, pcm, sample_rate, format=kind, subtype="PCM_16")
    # not `atomic_path`: what can be made again needs no fsync, and thousands of those take minutes
    scratch = path.with_name(f".{path.name}.part")
    try:
        with named(path, scratch):
            scratch.write_bytes(buffer.getbuffer())
            scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
