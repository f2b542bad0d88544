"""The network as a model of normal sound: fitted, scored, saved (Zhang et al. 2023, section 2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from offkey._util import ranks
from offkey._util.files import check_writable
from offkey.datasets.training_clips import TrainingClips
from offkey.errors import DetectorFileError, OffkeyError, RecipeError
from offkey.models.network import score
from offkey.models.network.checkpoint import Checkpoint
from offkey.models.network.device import Compute, Device, Precision, resolve_device, seeded
from offkey.models.network.events import Note, Observer, ignore
from offkey.models.network.net.multitask import Model
from offkey.models.network.score import ClipOutputs, infer, window_frames
from offkey.models.network.train import checked, train
from offkey.recipe import Recipe
from offkey.scoring.calibration import Calibration, PseudoAnomalies
from offkey.scoring.gaussian import Gaussian
from offkey.signal.augmenter import Augmenter

__all__ = ["NetworkModel"]


class NetworkModel:
    """A trained network with a Gaussian for each machine ID's embeddings; made by `fit` or `from_state`.

    Follows the protocol `offkey.models.base.InlierModel`.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Model,
        gaussian: Gaussian,
        *,
        machine_ids: Sequence[str],
        standardise_on: Calibration,
        held_out: Calibration,
        pseudo_anomalies: PseudoAnomalies | None,
        notes: Sequence[str],
        id_accuracy: float | None,
    ) -> None:
        self._recipe = recipe
        self._model = model.eval()
        self._gaussian = gaussian
        self._scorer = score.Scorer(model, gaussian, recipe)
        self._longest = window_frames(recipe.features)
        self.machine_ids = tuple(machine_ids)
        self.standardise_on = standardise_on
        self.held_out = held_out
        self.pseudo_anomalies = pseudo_anomalies
        self.notes = tuple(notes)
        self.id_accuracy = id_accuracy
        """How often a held-out normal is told to be of its own ID, mean over IDs; None if not measured."""

    @property
    def score_names(self) -> tuple[str, ...]:
        """Those of `a_out`, `a_arc` and `a_maha` whose task could be trained."""
        return score.score_names(self._model)

    @property
    def parameters(self) -> int:
        """How many weights were trained, those of the heads among them."""
        return sum(weight.numel() for weight in self._model.parameters())

    @staticmethod
    def check(
        recipe: Recipe,
        *,
        device: Device = "auto",
        precision: Precision = "auto",
        checkpoint: Path | None = None,
    ) -> None:
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
        Compute.of(device, precision)
        network = checked(recipe, 0)
        Augmenter(recipe.training.augmentation, sample_rate=recipe.features.sample_rate)
        with torch.device("meta"):  # no memory, no random numbers
            Model(
                network,
                n_mels=recipe.features.n_mels,
                machine_ids=2,
                type_task=True,
                augmentation_classes=2,
            )
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            check_writable(checkpoint)
            Checkpoint(checkpoint, {}, levels=torch.empty(0)).check_readable()

    @classmethod
    def fit(
        cls,
        clips: TrainingClips,
        *,
        recipe: Recipe,
        seed: int = 0,
        device: Device = "auto",
        precision: Precision = "auto",
        compile: bool = False,  # noqa: A002
        num_threads: int | None = None,
        checkpoint: Path | None = None,
        on_event: Observer = ignore,
    ) -> Self:
        """Train on normal clips.

        Parameters
        ----------
        clips
            Normal clips of the target type and, as pseudo-anomalies, of other types.
        recipe
            What to train, and how; must have a network.
        seed
            Every random choice follows from it. On a CPU the same seed, clips and number of torch's
            threads give the same bytes.
        device
            `auto`, `cpu` or `cuda`.
        precision
            `float32`; `bfloat16`: the encoder's products and convolutions in it, weights, pooling, embedding, heads
            and losses in float32; `auto`: bfloat16 where the device multiplies in it by itself. Scoring is always
            in float32, never in TF32.
        compile
            Put the network through `torch.compile`: a start of a minute or more, for faster steps on a GPU.
        num_threads
            Threads of the kernels that make the batches; all cores if None. The result does not depend on it.
        checkpoint
            A file that is written after each epoch. If it is there already, training goes on from it, to the
            result of an uninterrupted run.
        on_event
            Called with each event (see `offkey.models.network.events`).

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
        on_event = ignore if ranks.rank() else on_event
        trained = train(
            clips,
            recipe=recipe,
            seed=seed,
            compute=Compute.of(device, precision, compile=compile),
            num_threads=num_threads,
            checkpoint=checkpoint,
            observer=on_event,
        )
        made = score.calibrate(trained, recipe)
        for text in made.notes:
            on_event(Note(text=text))
        return cls(
            recipe,
            trained.model,
            made.gaussian,
            machine_ids=trained.machine_ids,
            standardise_on=made.standardise_on,
            held_out=made.held_out,
            pseudo_anomalies=made.pseudo_anomalies,
            notes=(*trained.notes, *made.notes),
            id_accuracy=made.id_accuracy,
        )

    def scores(self, inputs: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
        """Score clips against every known ID.

        Parameters
        ----------
        inputs
            Log-Mels ``(n_mels, frames)`` float32 in dB, or an array ``(clips, n_mels, frames)``. Clips
            above 30 s are cut into windows, whose scores are averaged.

        Returns
        -------
        dict of str to ndarray
            For each score name ``(clips, IDs)`` float64, higher = more anomalous.

        Raises
        ------
        ArrayError
            If there is no clip, or one of another shape or with values that are not finite.
        """
        return self._scorer.matrices(self._outputs(inputs))

    def embeddings(self, inputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the embeddings ``(clips, embedding_dim)`` float64 of log-Mels as `scores` takes them."""
        outputs = self._outputs(inputs)
        return outputs.per_clip(outputs.embeddings)

    def use_device(self, device: Device) -> None:
        """Compute on another device from now on.

        Raises
        ------
        DeviceError
            If it is not there.
        """
        self._model.to(resolve_device(device))

    def _outputs(self, inputs: Sequence[np.ndarray]) -> ClipOutputs:
        return infer(self._model, inputs, longest=self._longest)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays for safetensors and plain data for JSON: all that `from_state` needs."""
        weights = {name: value.cpu().contiguous().numpy() for name, value in self._model.state_dict().items()}
        arrays = _prefixed("model", weights) | _prefixed("gaussian", self._gaussian.state())
        metadata: dict[str, Any] = {
            "machine_ids": list(self.machine_ids),
            "type_task": self._model.type_head is not None,
            "augmentation_classes": self._model.augmentation_classes,
            "notes": list(self.notes),
            "id_accuracy": self.id_accuracy,
            "pseudo_anomalies": None,
        }
        for name, part in (("standardise_on", self.standardise_on), ("held_out", self.held_out)):
            arrays |= _prefixed(name, part.scores) | {f"{name}.indices": part.indices}
            metadata[name] = {"kind": part.kind, "machine_ids": list(part.machine_ids)}
        if self.pseudo_anomalies is not None:
            arrays |= _prefixed("pseudo_anomalies", self.pseudo_anomalies.scores)
            metadata["pseudo_anomalies"] = {"machine_ids": list(self.pseudo_anomalies.machine_ids)}
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
        try:
            return cls._rebuilt(recipe, arrays, metadata)
        except DetectorFileError:
            raise
        except KeyError as error:
            raise DetectorFileError(f"saved network: has no {error}") from None
        except (AttributeError, TypeError, ValueError, RuntimeError, OffkeyError) as error:
            raise DetectorFileError(f"saved network: does not fit recipe {recipe.name!r}: {error}") from None

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
        weights = {name: torch.from_numpy(array.copy()) for name, array in _under("model", arrays).items()}
        model.load_state_dict(weights)
        pseudo = metadata["pseudo_anomalies"]
        return cls(
            recipe,
            model,
            Gaussian.from_state(_under("gaussian", arrays), ids=machine_ids),
            machine_ids=machine_ids,
            standardise_on=_calibration("standardise_on", arrays, metadata),
            held_out=_calibration("held_out", arrays, metadata),
            pseudo_anomalies=None
            if pseudo is None
            else PseudoAnomalies(
                machine_ids=tuple(pseudo["machine_ids"]), scores=_under("pseudo_anomalies", arrays)
            ),
            notes=tuple(metadata["notes"]),
            id_accuracy=metadata["id_accuracy"],
        )


def _calibration(name: str, arrays: dict[str, np.ndarray], metadata: dict[str, Any]) -> Calibration:
    scores = _under(name, arrays)
    return Calibration(
        kind=metadata[name]["kind"],
        indices=scores.pop("indices"),
        machine_ids=tuple(metadata[name]["machine_ids"]),
        scores=scores,
    )


def _prefixed(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _under(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    start = f"{prefix}."
    return {name.removeprefix(start): array for name, array in arrays.items() if name.startswith(start)}
