"""Which clips a synthetic dataset has, and what their files are called."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Literal, get_args

import msgspec

from offkey.datasets.synthetic.premise import TOWARDS
from offkey.datasets.synthetic.scene import FAULTS, MACHINES, check_clip_format, check_far
from offkey.datasets.synthetic.signals import stream
from offkey.errors import ParameterError

__all__ = ["Job", "Layout", "Plan", "World", "eval_list", "jobs"]

Layout = Literal["dcase2020", "mimii"]

World = Literal["factory", "premise"]
"""What goes wrong: `factory`, the faults of each machine type; `premise`, what moves a machine's sound towards that of
another machine."""

_ID = re.compile(r"[0-9A-Za-z]+")


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that decides on the bytes of a synthetic dataset."""

    layout: Layout
    machines: tuple[str, ...]
    ids: tuple[str, ...]
    eval_ids: tuple[str, ...]
    clips_train: int
    clips_test_normal: int
    clips_test_anomaly: int
    seconds: float
    sample_rate: int
    snrs_db: tuple[float, ...]
    seed: int
    generator: int = 1
    """Raised whenever the same parameters come to make other sounds, so that no dataset is half old, half new."""
    world: World | msgspec.UnsetType = msgspec.UNSET
    """Left out where it is `factory`: datasets of before there were others do not name it."""
    far_db: float | msgspec.UnsetType = msgspec.UNSET
    """Left out where there is no far microphone, for the same reason."""

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """The faults of each machine type in this world."""
        return dict.fromkeys(MACHINES, TOWARDS) if self.world == "premise" else FAULTS

    @property
    def near_channels(self) -> int:
        """Microphones at the machine."""
        return 8 if self.layout == "mimii" else 1

    @property
    def machine_at_far_db(self) -> float | None:
        """How loud the machine is at the far microphone; None where there is none."""
        return None if self.far_db is msgspec.UNSET else self.far_db

    @property
    def channels(self) -> int:
        """Channels of each file."""
        return self.near_channels + (self.machine_at_far_db is not None)

    def check(self) -> None:
        """Raise ParameterError if a value is out of range."""
        if self.layout not in get_args(Layout):
            raise ParameterError(f"layout = {self.layout!r}: expected one of {', '.join(get_args(Layout))}")
        if self.world not in (msgspec.UNSET, "premise"):
            raise ParameterError(f"world = {self.world!r}: expected one of {', '.join(get_args(World))}")
        _check_names("machines", self.machines, MACHINES)
        _check_names("ids and eval_ids", self.ids + self.eval_ids, None)
        for name, least in (
            ("clips_train", 1),
            ("clips_test_normal", 0),
            ("clips_test_anomaly", 0),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ParameterError(f"{name} = {value!r}: expected a whole number of at least {least}")
        check_clip_format(self.seconds, self.sample_rate)
        check_far(self.machine_at_far_db, self.near_channels)
        if not self.snrs_db or len(set(self.snrs_db)) < len(self.snrs_db):
            raise ParameterError(f"snr_db = {self.snrs_db}: expected at least one, each once")
        if not all(-60.0 <= snr <= 60.0 for snr in self.snrs_db):
            raise ParameterError(f"snr_db = {self.snrs_db}: expected -60 to 60 dB")
        if self.layout == "dcase2020" and len(self.snrs_db) > 1:
            raise ParameterError(
                f"snr_db = {self.snrs_db}: layout 'dcase2020' has no folders for several SNRs"
            )
        if self.layout == "mimii" and self.eval_ids:
            raise ParameterError("eval_ids: layout 'mimii' has no evaluation part")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One clip to be made, and the files that it goes to (one for each SNR)."""

    files: tuple[PurePosixPath, ...]
    machine_type: str
    machine_id: str
    clip: int
    split: Literal["train", "test", ""]
    """Empty where the layout has no such folders."""
    fault: str | None
    severity: float
    original: str
    """The name that the file would have if it told its label."""


def jobs(plan: Plan) -> list[Job]:
    """Return the clips of a dataset, machine by machine, each machine's in an order that tells no label."""
    ordered = []
    for machine_type in plan.machines:
        for machine_id in plan.ids + plan.eval_ids:
            of_machine = list(_of_machine(plan, machine_type, machine_id))
            order = stream(plan.seed, machine_type, machine_id, "writing").permutation(len(of_machine))
            ordered += [of_machine[i] for i in order]
    return ordered


def eval_list(plan: Plan, clips: Sequence[Job]) -> str:
    """Return the text of `eval_data_list.csv`."""
    lines = []
    for machine_type in plan.machines:
        rows = [
            clip
            for clip in clips
            if clip.machine_type == machine_type and clip.files[0].name.startswith("id_")
        ]
        lines.append(machine_type)
        lines += [
            f"{clip.files[0].name},{clip.original},{int(clip.fault is not None)}"
            for clip in sorted(rows, key=lambda clip: clip.files)
        ]
    return "\n".join(lines) + "\n"


def _of_machine(plan: Plan, machine_type: str, machine_id: str) -> Iterator[Job]:
    counts = (plan.clips_train, plan.clips_test_normal, plan.clips_test_anomaly)
    total = sum(counts)
    # the number of a clip seeds all that is random in it: drawn without regard to split and label
    numbers = stream(plan.seed, machine_type, machine_id, "numbers").permutation(total)
    hidden = stream(plan.seed, machine_type, machine_id, "names").permutation(total - counts[0])
    faults = stream(plan.seed, machine_type, machine_id, "faults")
    kinds = plan.faults[machine_type]
    for index in range(total):
        in_test = index - counts[0]
        of_anomalies = in_test - counts[1]
        broken = of_anomalies >= 0
        if plan.layout == "mimii":
            files, original = _mimii_files(plan, machine_type, machine_id, index, of_anomalies)
        else:
            of_kind = index if in_test < 0 else of_anomalies if broken else in_test
            original = f"{'anomaly' if broken else 'normal'}_id_{machine_id}_{of_kind:08d}.wav"
            is_eval = machine_id in plan.eval_ids
            folder = PurePosixPath("eval_data" if is_eval else "dev_data", machine_type)
            name = f"id_{machine_id}_{hidden[in_test]:08d}.wav" if is_eval and in_test >= 0 else original
            files = (folder / ("train" if in_test < 0 else "test") / name,)
        yield Job(
            files=files,
            machine_type=machine_type,
            machine_id=machine_id,
            clip=int(numbers[index]),
            split="" if plan.layout == "mimii" else "train" if in_test < 0 else "test",
            fault=kinds[of_anomalies % len(kinds)] if broken else None,
            severity=float(faults.random()) if broken else 0.0,
            original=original,
        )


def _mimii_files(
    plan: Plan, machine_type: str, machine_id: str, index: int, of_anomalies: int
) -> tuple[tuple[PurePosixPath, ...], str]:
    name = f"{max(of_anomalies, 0) if of_anomalies >= 0 else index:08d}.wav"
    label = "abnormal" if of_anomalies >= 0 else "normal"
    inside = PurePosixPath(machine_type, f"id_{machine_id}", label, name)
    return tuple(PurePosixPath(f"{snr:g}_dB_{machine_type}") / inside for snr in plan.snrs_db), name


def _check_names(name: str, values: tuple[str, ...], known: tuple[str, ...] | None) -> None:
    wrong = (
        [item for item in values if item not in known]
        if known
        else [i for i in values if not _ID.fullmatch(i)]
    )
    if not values or wrong or len(set(values)) < len(values):
        expected = f"some of {', '.join(known)}" if known else "names of letters and digits"
        raise ParameterError(f"{name} = {values}: expected {expected}, each once")
