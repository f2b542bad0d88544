"""The network as a model of normal sound: fitted, scored, saved (Zhang et al. 2023, section 2.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch

from offkey._util import ranks
from offkey._util.files import check_folder, check_writable
from offkey._util.named_arrays import prefixed, under
from offkey.datasets.training import TrainingClips
from offkey.errors import ParameterError, RecipeError
from offkey.models.attribution import Attribution, ExplainedClip
from offkey.models.base import FitOptions, InlierModel, LearnedClips, ignore, restoring
from offkey.models.network.batches import source_of
from offkey.models.network.calibrate import Calibrated, FitOutputs, calibrate, outputs_of
from offkey.models.network.checkpoint import Checkpoint
from offkey.models.network.device import Compute, resolve_device, seeded, torch_threads
from offkey.models.network.events import Note
from offkey.models.network.explain import attribution, weighted_score
from offkey.models.network.net.multitask import Model
from offkey.models.network.score import ClipOutputs, Scorer, infer, score_names, window_frames
from offkey.models.network.train import checked, train
from offkey.recipe import Recipe, Scoring, ScoringPrecision
from offkey.signal.augmenter import Augmenter

__all__ = ["NetworkModel"]


class NetworkModel(InlierModel):
    """A trained network with a Gaussian for each machine ID's embeddings; made by `fit` or `from_state`."""

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        calibrated: Calibrated,
        *,
        notes: Sequence[str],
        outputs: FitOutputs | None,
        provenance: Mapping[str, Any],
    ) -> None:
        self._recipe = recipe
        self._model = model.eval()
        self._calibrated = calibrated
        self._outputs = outputs
        self._scorer = Scorer(calibrated.gaussian, recipe.scoring, scale=_scale(model))
        self._longest = window_frames(recipe.features)
        self._precision: ScoringPrecision = "float32"
        self.score_names = score_names(model)
        self.machine_ids = calibrated.gaussian.ids
        self.standardise_on = calibrated.standardise_on
        self.held_out = calibrated.held_out
        self.pseudo_anomalies = calibrated.pseudo_anomalies
        self.notes = tuple(notes)
        self.parameters = sum(weight.numel() for weight in model.parameters())
        self.id_accuracy = calibrated.id_accuracy
        """How often a held-out normal is told to be of its own ID, mean over IDs; None if not measured."""
        self.provenance = provenance

    @staticmethod
    def check_device(device: str) -> None:
        """Refuse a device that is not there.

        Raises
        ------
        DeviceError, ParameterError
            If there is no such device, or no device can have that name.
        """
        resolve_device(device)

    @classmethod
    def check(cls, recipe: Recipe, options: FitOptions) -> None:
        """Refuse at once what `fit` would refuse after reading all clips.

        Raises
        ------
        RecipeError, ParameterError
            If the recipe has no network, sizes that do not fit each other, or an impossible augmentation.
        DeviceError
            If the device is not there.
        OSError, TrainingError
            If the checkpoint cannot be written, or what stands there is none.
        """
        _compute(recipe, options)
        network = checked(recipe, options.seed)
        Augmenter(recipe.training.augmentation, sample_rate=recipe.features.sample_rate)
        with torch.device("meta"):  # no memory, no random numbers
            Model(
                network,
                n_mels=recipe.features.n_mels,
                machine_ids=2,
                type_task=True,
                augmentation_classes=2,
            )
        if options.checkpoint is not None:
            check_folder(options.checkpoint.parent)
            options.checkpoint.parent.mkdir(parents=True, exist_ok=True)
            check_writable(options.checkpoint)
            Checkpoint(options.checkpoint, {}, levels=torch.empty(0)).check_readable()

    @classmethod
    def fit(cls, clips: TrainingClips, *, recipe: Recipe, options: FitOptions) -> Self:
        """Train on normal clips.

        On a CPU the same seed, clips and number of torch's threads give the same bytes.

        Parameters
        ----------
        clips
            Normal clips of the target type and, as pseudo-anomalies, of other types.
        recipe
            What to train, and how; must have a network.
        options
            Device, precision and the like. What follows the training is computed in float32, never in TF32.

        Raises
        ------
        RecipeError, ParameterError
            If the recipe has no network, or sizes that do not fit each other.
        DeviceError
            If the device is not there.
        TrainingError
            If no task can be trained, a loss is not finite, or the checkpoint is damaged or of another
            training.
        ArrayError
            If a clip is empty, not finite or of the wrong shape.
        """
        on_event = ignore if ranks.rank() else options.on_event
        compute = _compute(recipe, options)
        with torch_threads(options.num_threads):
            trained = train(
                clips,
                recipe=recipe,
                seed=options.seed,
                compute=compute,
                num_threads=options.num_threads,
                checkpoint=options.checkpoint,
                observer=on_event,
            )
            outputs = FitOutputs.of(trained, recipe.features)
            provenance = {
                "device": compute.device.type,
                "precision": compute.precision,
                "compiled": compute.compile,
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "losses": trained.history[-1],
            }
        calibrated = calibrate(outputs, recipe.scoring, scale=_scale(trained.model))
        for text in calibrated.notes:
            on_event(Note(text=text))
        notes = (*trained.notes, *calibrated.notes)
        return cls(recipe, trained.model, calibrated, notes=notes, outputs=outputs, provenance=provenance)

    def rescored(self, recipe: Recipe) -> Self:
        """Return the model as a fit with this recipe would have made it, which differs in `scoring` alone.

        Raises
        ------
        ParameterError
            If that takes another training, or the model comes from a file without the network's outputs.
        """
        self._check_rescoring(self._recipe.scoring, recipe.scoring)
        calibrated = self._calibrated
        if self._outputs is not None:
            calibrated = calibrate(self._outputs, recipe.scoring, scale=_scale(self._model))
        return type(self)(
            recipe,
            self._model,
            calibrated,
            notes=self.notes,  # none of them depends on it
            outputs=self._outputs,
            provenance=self.provenance,
        )

    def updated(
        self, clips: TrainingClips, *, recipe: Recipe, learned: LearnedClips, num_threads: int | None = None
    ) -> Self:
        """Return the model with further normal clips of known IDs in its Gaussians and its calibration.

        The network stays as it is. It has not seen the new clips, which therefore join those that were held out.

        Parameters
        ----------
        clips, recipe, learned, num_threads
            See `InlierModel.updated`.

        Raises
        ------
        ParameterError
            If the model comes from a file without the network's outputs.
        """
        if self._outputs is None:
            raise ParameterError(
                "update: the file of this detector was written by a version of offkey that kept too little of the "
                "training clips: fit again, to all of them"
            )
        scale, every = _scale(self._model), np.arange(len(clips.clips))
        with torch_threads(num_threads):
            source = source_of(clips, recipe, seed=0, num_threads=num_threads)
            outputs = outputs_of(self._model, source, every, longest=self._longest)
        ids = np.searchsorted(self.machine_ids, list(clips.machine_ids)).astype(np.int64)
        together = self._outputs.extended(outputs, ids, clips.groups)
        calibrated = calibrate(together, recipe.scoring, scale=scale)
        stale = calibrate(self._outputs, recipe.scoring, scale=scale).notes
        return type(self)(
            recipe,
            self._model,
            calibrated,
            notes=(*(note for note in self.notes if note not in stale), *calibrated.notes),
            outputs=together,
            provenance=self.provenance,
        )

    def _check_rescoring(self, before: Scoring, after: Scoring) -> None:
        for name in ("holdout_fraction", "holdout_clips"):
            if getattr(before, name) != getattr(after, name):
                raise ParameterError(
                    f"scoring.{name} = {getattr(after, name)}: the network was trained with "
                    f"{getattr(before, name)}; which clips are held out is a matter of training: fit again"
                )
        others = self._outputs is None or (self._outputs.others and before.holdout_fraction > 0)
        if others and (before.combine == "select") != (after.combine == "select"):
            raise ParameterError(
                f"scoring.combine = {after.combine!r}: the network was trained for {before.combine!r}; `select` holds "
                "clips of other machine types out of training, so a change to it or from it is a matter of training: "
                "fit again"
            )
        fields = ("a_arc", "covariance", "standardise_on")
        changed = [name for name in fields if getattr(before, name) != getattr(after, name)]
        if self._outputs is None and changed:
            raise ParameterError(
                f"scoring.{changed[0]} = {getattr(after, changed[0])!r}: the file of this detector was written by a "
                "version of offkey that kept too little to change it: fit again"
            )

    def scores(
        self, inputs: Sequence[np.ndarray], *, num_threads: int | None = None
    ) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Log-Mels ``(n_mels, frames)`` float32 in dB, or an array ``(clips, n_mels, frames)``. Clips
            above 30 s are cut into windows, whose scores are averaged.
        num_threads
            Threads of torch and of the kernels; all cores if None.

        Returns
        -------
        dict of str to ndarray
            For each score name ``(clips, IDs)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, or one of another shape or with values that are not finite.
        """
        return self._scorer.matrices(self._infer(inputs, num_threads), num_threads=num_threads)

    def embeddings(self, inputs: Sequence[np.ndarray], *, num_threads: int | None = None) -> np.ndarray:
        """Return the embeddings ``(clips, embedding_dim)`` float64 of log-Mels as `scores` takes them."""
        outputs = self._infer(inputs, num_threads)
        return outputs.per_clip(outputs.embeddings)

    def explain(self, clip: ExplainedClip, machine_id: str, slopes: Mapping[str, float]) -> Attribution:
        """Say where in a clip its scores against a known ID come from, each times its slope."""
        gaussian, column = self._calibrated.gaussian, self.machine_ids.index(machine_id)
        score = weighted_score(
            slopes,
            column=column,
            factor=gaussian.factor(column),
            mean=gaussian.means[column],
            angular=self._recipe.scoring.a_arc,
            scale=_scale(self._model),
        )
        return attribution(self._model, clip, score, longest=self._longest)

    def compute_on(self, device: str, precision: ScoringPrecision) -> None:
        """Score on another device, or with other numbers, from now on.

        Raises
        ------
        DeviceError
            If it is not there.
        """
        self._model.to(resolve_device(device))
        self.on_gpu = self._model.mean.device.type == "cuda"
        self._precision = precision

    def _infer(self, inputs: Sequence[np.ndarray], num_threads: int | None) -> ClipOutputs:
        with torch_threads(num_threads):
            return infer(self._model, inputs, longest=self._longest, precision=self._precision)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        weights = {name: value.cpu().contiguous().numpy() for name, value in self._model.state_dict().items()}
        calibrated, metadata = self._calibrated.state()
        arrays = prefixed("model", weights) | calibrated
        metadata |= {
            "type_task": self._model.type_head is not None,
            "augmentation_classes": self._model.augmentation_classes,
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
            "outputs": None,
        }
        if self._outputs is not None:
            outputs, metadata["outputs"] = self._outputs.state()
            arrays |= prefixed("outputs", outputs)
        return arrays, metadata

    @classmethod
    def from_state(
        cls,
        recipe: Recipe,
        arrays: dict[str, np.ndarray],
        metadata: dict[str, Any],
    ) -> Self:
        """Rebuild a model that gives the same scores, on the CPU.

        Raises
        ------
        DetectorFileError
            If arrays or metadata are missing or do not fit the recipe.
        """
        with restoring("saved network", recipe):
            return cls._rebuilt(recipe, arrays, metadata)

    @classmethod
    def _rebuilt(cls, recipe: Recipe, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Self:
        if recipe.network is None:
            raise RecipeError("it has no network")
        machine_ids = tuple(str(machine_id) for machine_id in metadata["machine_ids"])
        with seeded(
            0, torch.device("cpu")
        ):  # the first weights are replaced; the caller's generator stays as it is
            model = Model(
                recipe.network,
                n_mels=recipe.features.n_mels,
                machine_ids=len(machine_ids),
                type_task=bool(metadata["type_task"]),
                augmentation_classes=int(metadata["augmentation_classes"]),
            )
        weights = {name: torch.from_numpy(array.copy()) for name, array in under("model", arrays).items()}
        model.load_state_dict(weights)
        outputs = metadata["outputs"]
        return cls(
            recipe,
            model,
            Calibrated.from_state(arrays, metadata),
            notes=tuple(metadata["notes"]),
            outputs=None
            if outputs is None
            else FitOutputs.from_state(machine_ids, under("outputs", arrays), outputs, widths=_widths(model)),
            provenance=dict(metadata["provenance"]),
        )


def _compute(recipe: Recipe, options: FitOptions) -> Compute:
    precision = options.precision or recipe.training.precision
    return Compute.of(options.device, precision, compile=options.compile)


def _widths(model: Model) -> dict[str, int]:
    """Return the columns of the network's outputs, and how wide each is; 0: a vector."""
    widths = {"embeddings": model.embedding.out_features}
    if model.id_head is not None:
        widths["cosines"] = model.id_head.centres.shape[0]
    return widths if model.type_head is None else widths | {"type_logits": 0}


def _scale(model: Model) -> float:
    return 1.0 if model.id_head is None else model.id_head.scale
