"""The networks of `near` as a model of normal sound: fitted, scored, saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch

from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import DetectorFileError, RecipeError
from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.base import FitOptions, InlierModel, restoring
from offkey.models.near import Near
from offkey.models.near.calibrate import SCORE, Calibrated
from offkey.models.near.clips import LARGEST_GAIN, NormalClips
from offkey.models.near.deviations import DeviationSets
from offkey.models.near.explain import attribution
from offkey.models.near.features import ClipFeatures
from offkey.models.near.gate import Plan, plan
from offkey.models.near.member import ClipInputs, Member
from offkey.models.near.net import NearNet
from offkey.models.near.train import train
from offkey.models.network.alone import check_alone, checkpoint_of
from offkey.models.network.device import resolve_device, seeded, torch_threads
from offkey.models.network.events import Note
from offkey.models.spectral.folds import make_folds
from offkey.models.spectral.rhythm import rhythm_weight
from offkey.recipe import Recipe, ScoringPrecision

__all__ = ["NearModel"]

_CHUNK = 64  # clips
_SMALLEST_WEIGHT, _LARGEST_WEIGHT = 1e-6, 2.0  # of the score beside those of other models


class NearModel(InlierModel):
    """Networks that were taught by near anomalies, each without a share of the recordings.

    Made by `fit` or `from_state`.
    """

    def __init__(
        self,
        recipe: Recipe,
        members: Sequence[Member],
        calibrated: Calibrated,
        *,
        machine_ids: tuple[str, ...],
        gain: np.ndarray,
        rhythm: float,
        notes: tuple[str, ...],
        provenance: Mapping[str, Any],
    ) -> None:
        self._members = tuple(members)
        self._calibrated = calibrated
        self._gain = gain
        self._extract = ClipFeatures(recipe.features)
        self.score_names = (SCORE,)
        self.machine_ids = machine_ids
        self.standardise_on = self.held_out = calibrated.held_out
        self.weight = max(_SMALLEST_WEIGHT, _LARGEST_WEIGHT * rhythm_weight(rhythm))
        self.notes = notes
        self.provenance = provenance
        self._rhythm = rhythm
        self._precision: ScoringPrecision = "float32"
        self.parameters = sum(weight.numel() for member in members for weight in member.net.parameters())

    @classmethod
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips.

        Raises
        ------
        RecipeError, ParameterError
            If the recipe has no section `near`, or asks for what these networks do not have.
        DeviceError
            If the device is not there.
        OSError, TrainingError
            If the checkpoint cannot be written, or what stands there is none.
        """
        _settings(recipe)
        check_alone(recipe, options)

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Train on normal clips.

        On a CPU the same seed, clips and number of torch's threads give the same bytes.

        Parameters
        ----------
        clips
            Normal clips of the target type.
        recipe
            With a section `near`.
        options
            Device, seed and the like.

        Raises
        ------
        RecipeError, ParameterError, DeviceError
            As `check`.
        DatasetError
            If there are too few clips, or nothing varies over them.
        TrainingError
            If a loss is not finite, or the checkpoint is damaged or of another training.
        ArrayError
            If a clip is empty, not finite or of the wrong shape.
        """
        settings = _settings(recipe)
        device = resolve_device(options.device)
        with torch_threads(options.num_threads):
            normals = NormalClips(clips, recipe, seed=options.seed, num_threads=options.num_threads)
            chosen = plan(settings, normals.features["T"], normals.ids, normals.weights)
            folds = make_folds(
                normals.ids, normals.groups, names=normals.names, count=settings.networks, seed=options.seed
            )
            notes = (*folds.notes, chosen.note)
            for text in notes:
                options.on_event(Note(text=text))
            members, history = train(
                normals,
                chosen,
                folds,
                settings=settings,
                seed=options.seed,
                device=device,
                num_threads=options.num_threads,
                checkpoint=checkpoint_of(
                    clips,
                    Recipe(name="training", features=recipe.features, near=settings),
                    options,
                    levels=normals.levels.mean(axis=0),
                ),
                observer=options.on_event,
            )
            logits = _held_out_logits(normals, chosen, members, folds.fold)
            provenance = {
                "device": device.type,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "losses": history[-1],
            }
        calibrated = Calibrated.of(logits, normals.ids, folds.fold, normals.names, n_networks=len(members))
        return cls(
            recipe,
            members,
            calibrated,
            machine_ids=normals.names,
            gain=normals.dynamics_gain,
            rhythm=chosen.rhythm,
            notes=notes,
            provenance=provenance,
        )

    def scores(
        self, inputs: Sequence[np.ndarray], *, num_threads: int | None = None
    ) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Log-Mels ``(n_mels, frames)`` float32 in dB, or an array ``(clips, n_mels, frames)``.
        num_threads
            Threads of torch; all cores if None.

        Returns
        -------
        dict of str to ndarray
            ``a_near`` -> ``(clips, ids)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, or one of another shape or with values that are not finite.
        """
        logits = [member_logits for member_logits, _ in self._says(inputs, num_threads)]
        return {SCORE: self._calibrated.scores(np.stack(logits))}

    def embeddings(self, inputs: Sequence[np.ndarray], *, num_threads: int | None = None) -> np.ndarray:
        """Return the embeddings of all networks side by side, ``(clips, dim)`` float64.

        They are those of a clip as one of the ID that it is nearest to.

        Parameters
        ----------
        inputs, num_threads
            As for `scores`.
        """
        said = self._says(inputs, num_threads)
        nearest = self._calibrated.scores(np.stack([logits for logits, _ in said])).argmin(axis=1)
        rows = np.arange(len(nearest))
        return np.concatenate([np.nan_to_num(embedding[rows, nearest]) for _, embedding in said], axis=1)

    def explain(self, clip: ExplainedClip, machine_id: str, slopes: Mapping[str, float]) -> Attribution:
        """Say where in a clip its score against a known ID comes from, times the slope of its score."""
        return attribution(
            self._members,
            self._calibrated,
            clip,
            column=self.machine_ids.index(machine_id),
            gain=self._gain,
            slope=slopes.get(SCORE, 0.0),
        )

    def compute_on(self, device: str, precision: ScoringPrecision) -> None:
        """Score on another device, or with other numbers, from now on.

        Raises
        ------
        DeviceError
            If it is not there.
        """
        resolved = resolve_device(device)
        for member in self._members:
            member.net.to(resolved)
        self.on_gpu = resolved.type == "cuda"
        self._precision = precision

    def _says(
        self, inputs: Sequence[np.ndarray], num_threads: int | None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        first = self._members[0]
        gain = None if first.net.conformer is None else self._gain
        with torch_threads(num_threads):
            clips = ClipInputs.of(inputs, self._extract, tuple(first.deviations.sets), gain)
            return [member.says(clips, self._precision) for member in self._members]

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        arrays = prefixed("calibration", self._calibrated.state(self.machine_ids)) | {"gain": self._gain}
        for number, member in enumerate(self._members):
            weights = {k: v.cpu().contiguous().numpy() for k, v in member.net.state_dict().items()}
            arrays |= prefixed(f"net{number}", weights)
            arrays |= prefixed(f"deviations{number}", member.deviations.state())
        net = self._members[0].net
        return arrays, {
            "machine_ids": list(self.machine_ids),
            "networks": len(self._members),
            "feature_sets": list(self._members[0].deviations.sets),
            "kinds": net.kinds.out_features,
            "conformer": net.conformer is not None,
            "ids_told_apart": net.arcface is not None,
            "rhythm": self._rhythm,
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_state(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        """Rebuild a model that gives the same scores, on the CPU.

        Raises
        ------
        DetectorFileError
            If arrays or metadata are missing or do not fit the recipe.
        """
        with restoring("near", recipe):
            return cls._rebuilt(recipe, arrays, metadata)

    @classmethod
    def _rebuilt(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        names = tuple(map(str, metadata["machine_ids"]))
        n_mels, count = recipe.features.n_mels, int(metadata["networks"])
        _settings(recipe)
        if count < 1 or not metadata["feature_sets"]:
            raise DetectorFileError("near: expected at least one network, and a feature set")
        members = []
        for number in range(count):
            deviations = DeviationSets.from_state(
                under(f"deviations{number}", arrays),
                metadata["feature_sets"],
                n_ids=len(names),
                n_mels=n_mels,
            )
            with seeded(0, torch.device("cpu")):  # the first weights are replaced
                net = NearNet(
                    deviations.sizes,
                    n_mels=n_mels,
                    kinds=int(metadata["kinds"]),
                    ids=len(names) if metadata["ids_told_apart"] else 0,
                    conformer=bool(metadata["conformer"]),
                )
            weights = under(f"net{number}", arrays)
            if not all(np.isfinite(array).all() for array in weights.values()):
                raise DetectorFileError(f"near: network {number + 1} has weights that are not finite")
            net.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
            members.append(Member(net.eval(), deviations))
        gain = arrays["gain"]
        if gain.shape != (n_mels,) or not ((gain >= 0) & (gain <= LARGEST_GAIN)).all():
            raise DetectorFileError(
                f"near: gain of shape {gain.shape}; expected ({n_mels},), from 0 to {LARGEST_GAIN:g}"
            )
        return cls(
            recipe,
            members,
            Calibrated.from_state(under("calibration", arrays), names, n_networks=count),
            machine_ids=names,
            gain=gain,
            rhythm=float(metadata["rhythm"]),
            notes=tuple(map(str, metadata["notes"])),
            provenance=dict(metadata["provenance"]),
        )


def _settings(recipe: Recipe) -> Near:
    settings: Near | None = recipe.models.get("near")  # type: ignore[assignment]
    if settings is None:
        raise RecipeError(f"recipe {recipe.name!r}: expected a section `near`, given none")
    return settings


def _held_out_logits(
    normals: NormalClips, chosen: Plan, members: Sequence[Member], fold: np.ndarray
) -> np.ndarray:
    """Return the logits ``(clips, ids)`` of each clip by the network that has not seen its recording."""
    logits = np.empty((len(normals), len(normals.names)))
    for number, member in enumerate(members):
        held_out = np.flatnonzero(fold == number)
        for start in range(0, len(held_out), _CHUNK):
            rows = held_out[start : start + _CHUNK]
            logits[rows] = member.says(normals.inputs(rows, chosen))[0]
    return logits
