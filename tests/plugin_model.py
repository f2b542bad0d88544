"""A model of normal sound from outside the package: the distance of a clip's levels from those of its ID's clips."""

import numpy as np

from offkey.models import InlierModel, Section, register
from offkey.scoring.calibration import Calibration


class Distance(Section, frozen=True):
    power: float = 2.0


class DistanceModel(InlierModel):
    score_names = ("a_distance",)

    def __init__(self, power, machine_ids, means, held_out):
        self.machine_ids, self.standardise_on, self.held_out = machine_ids, held_out, held_out
        self.parameters = means.size
        self._power, self._means = power, means

    @classmethod
    def fit(cls, clips, *, recipe, options):
        levels, ids = clips.statistics().mean, np.array(clips.machine_ids)
        names = tuple(sorted(set(clips.machine_ids)))
        means = np.stack([levels[ids == name].mean(axis=0) for name in names])
        of_clip = means[np.searchsorted(names, ids)]
        scores = (np.abs(levels - of_clip) ** recipe.distance.power).mean(axis=1).astype(np.float64)
        held_out = Calibration(
            kind="training",
            indices=np.arange(len(ids)),
            machine_ids=tuple(clips.machine_ids),
            scores={"a_distance": scores},
        )
        return cls(recipe.distance.power, names, means, held_out)

    def scores(self, inputs, *, num_threads=None):
        away = np.abs(inputs.mean[:, None, :] - self._means) ** self._power
        return {"a_distance": away.mean(axis=2).astype(np.float64)}

    def state(self):
        arrays = {"means": self._means, "indices": self.held_out.indices, **self.held_out.scores}
        return arrays, {"ids": list(self.machine_ids), "clips": list(self.held_out.machine_ids)}

    @classmethod
    def from_state(cls, recipe, arrays, metadata):
        held_out = Calibration(
            kind="training",
            indices=arrays["indices"],
            machine_ids=tuple(metadata["clips"]),
            scores={"a_distance": arrays["a_distance"]},
        )
        return cls(recipe.distance.power, tuple(metadata["ids"]), arrays["means"], held_out)


register("distance", section=Distance, score_names=("a_distance",), inputs="statistics", model=DistanceModel)
