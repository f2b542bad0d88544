"""A detector: features, models of normal sound, standardisation, combination and thresholds in one saved file."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from offkey.confirmation import check_max_rate, confirmed
from offkey.datasets import Clips, Dataset, LogMelArrays
from offkey.datasets.passed_over import notes_on
from offkey.datasets.recordings import Recordings
from offkey.datasets.source import Progress
from offkey.datasets.training import read_training_clips
from offkey.detector_scoring import ScoringDetector
from offkey.errors import DatasetError, OffkeyWarning
from offkey.fitted import Fitted
from offkey.models.base import FitOptions, check_fit, ignore, kinds_of, statistics_plan
from offkey.recipe import Precision
from offkey.score_file import JUDGED
from offkey.scores import ScoreTable
from offkey.signal.audio import MAX_SECONDS
from offkey.training_record import KeepStatistics, kept_clips
from offkey.updating import check_record, new_normals, updated, without_anomalous

if TYPE_CHECKING:
    from offkey.explain.explanation import Explanation

__all__ = ["Detector", "Recordings", "load"]


class Detector(ScoringDetector):
    """Learns how machines of one type sound when they work, and scores how far a recording is from that.

    Parameters
    ----------
    recipe
        What to compute and how, or the name of a built-in recipe; the default, `spectral`, needs no torch and is
        fitted in seconds.

    Raises
    ------
    RecipeError
        If there is no recipe of that name.

    Examples
    --------
    >>> import offkey
    >>> offkey.Detector().recipe.name
    'spectral'
    """

    def fit(
        self,
        data: Dataset | LogMelArrays,
        *,
        seed: int = 0,
        device: str = "auto",
        precision: Precision | None = None,
        compile: bool = False,  # noqa: A002
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
        cache: str | os.PathLike[str] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        keep_statistics: KeepStatistics = 200,
        keep_broken: bool = False,
        on_progress: Progress | None = None,
        on_event: Callable[[Any], None] | None = None,
    ) -> Self:
        """Learn from the normal training clips of `data`; its test clips and their labels are never looked at.

        Parameters
        ----------
        data
            Recordings, or log-Mel arrays made elsewhere.
        seed
            Every random choice follows from it.
        device
            `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`, for the network.
        precision
            What the network is trained with, in place of the recipe's: `float32`, `bfloat16` (weights and losses stay
            float32), or `auto`: bfloat16 where the hardware supports it.
        compile
            Put the network through `torch.compile` while it trains.
        max_seconds
            A longer recording is left out, as one that cannot be read; by default 24 hours.
        num_threads
            Threads of the kernels and of torch; all cores if None. Recipe `spectral` does not depend on it; a network
            trained on a CPU does, by rounding (docs/training.md).
        cache
            A folder where the decoded training clips are kept for the next fit; see `offkey.datasets.cache`. Worth it
            where decoding takes long: many channels, another rate, a slow disk.
        checkpoint
            A file that the network writes after each epoch; a fit that was interrupted goes on from it.
        keep_statistics
            Of how many training clips of each ID the clip statistics are kept in the detector, a seeded choice; 0 for
            none, or `"all"`. With 128 Mel bins each takes 3.5 kB of its file.
        keep_broken
            Whether to learn from clips that are silent, constant or clipped throughout too. By default they are left
            out: a model to which silence is healthy misses faults.
        on_progress
            Called with (done, total) recordings of the target type while they are read.
        on_event
            Called with the events of `offkey.models.network.events` while the network trains.

        Returns
        -------
        Detector
            Itself.

        Raises
        ------
        DatasetError
            If there are too few normal clips to learn from, or more than half of a type cannot be read or are broken.
        DeviceError
            If the device is not there.
        MissingExtraError
            If the recipe has a network and torch is not installed.
        ParameterError
            If a parameter, or a size in the recipe, is outside its range.
        TrainingError
            If the checkpoint is of another training, or there is nothing for the network to learn.

        Warns
        -----
        OffkeyWarning
            If recordings cannot be read or are broken, and are left out; if something that may be a recording was
            passed over (`Dataset.passed_over`); or if recordings are odd (clipped, far quieter or louder than the rest,
            with gaps, the same as another, coded otherwise): once for each kind.
        """
        options = FitOptions(
            seed=seed,
            device=device,
            precision=precision,
            compile=compile,
            num_threads=num_threads,
            checkpoint=None if checkpoint is None else Path(checkpoint),
            on_event=on_event or ignore,
        )
        check_fit(self.recipe, data, options)
        kept_clips((), keep=keep_statistics, seed=seed)
        kinds = kinds_of(self.recipe)
        clips = read_training_clips(
            data,
            features=self.recipe.features,
            plan=statistics_plan(self.recipe),
            clip_seconds=self.recipe.training.clip_seconds,
            statistics=keep_statistics != 0 or any(kind.inputs == "statistics" for kind in kinds),
            moments=any(kind.inputs == "logmels" for kind in kinds),
            others=any(kind.others for kind in kinds),
            keep_broken=keep_broken,
            max_seconds=max_seconds,
            num_threads=num_threads,
            cache=None if cache is None else Path(cache),
            on_progress=on_progress,
        )
        self._state = Fitted.of(self.recipe, data, clips, options, keep_statistics=keep_statistics)
        self.unread = clips.left_out
        clips.warn(stacklevel=2)
        unread = [passed for passed in data.passed_over if passed.unread] if isinstance(data, Dataset) else []
        for note in notes_on(unread):
            warnings.warn(note, OffkeyWarning, stacklevel=2)
        return self

    def confirm(
        self,
        recordings: Recordings | ScoreTable,
        *,
        max_false_alarm_rate: float,
        sample_rate: int | None = None,
        machine_id: str | None = None,
        device: str = "auto",
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
        on_progress: Progress | None = None,
    ) -> Self:
        """Return the detector with thresholds that confirmed anomalies exceed.

        The threshold of each ID is put just below the smallest anomaly score of its confirmed anomalies. It is never
        raised, and never lowered so far that more than `max_false_alarm_rate` of healthy recordings would exceed it.
        P-values and the thresholds of unknown IDs stay as they are. The new thresholds decide wherever `score` is not
        asked for a rate; they are kept apart from all else, in `confirmed` and in the file.

        Parameters
        ----------
        recordings
            Of confirmed faults, as `score` takes them; or what `score` gave for them.
        max_false_alarm_rate
            The largest share of a machine's healthy recordings that may be called anomalous, above the detector's own
            and below 1.
        sample_rate, machine_id, device, max_seconds, num_threads, on_progress
            As for `score`.

        Returns
        -------
        Detector
            A new one; the models' parameters are shared. The last event of its `history` has the thresholds before and
            after, and their false-alarm rates.

        Raises
        ------
        DatasetError
            If a recording is labelled normal, or none of a known ID can be scored.
        ParameterError
            If the rate is outside its range, scores are of another detector, or the detector is not fitted.
        FileNotFoundError, DeviceError, ArrayError
            As for `score`.

        Warns
        -----
        OffkeyWarning
            As for `score`; and if confirmed anomalies stay below the threshold, because it may go no lower; if it stays
            as it is, because they exceed it already; or if their ID is not known.

        Examples
        --------
        >>> sharper = detector.confirm("faults", max_false_alarm_rate=0.1)  # doctest: +SKIP
        >>> sharper.history[-1].false_alarm_rates  # doctest: +SKIP
        {'00': 0.0705}
        """
        max_rate = check_max_rate(self._fitted(), max_false_alarm_rate)
        table = (
            recordings
            if isinstance(recordings, ScoreTable)
            else self.score(
                recordings,
                sample_rate=sample_rate,
                machine_id=machine_id,
                device=device,
                max_seconds=max_seconds,
                num_threads=num_threads,
                on_progress=on_progress,
            )
        )
        state, notes = confirmed(self._fitted(), table, max_rate=max_rate)
        for note in notes:
            warnings.warn(note, OffkeyWarning, stacklevel=2)
        return self._with(state)

    def update(
        self,
        recordings: Recordings,
        *,
        machine_id: str | None = None,
        force: bool = False,
        device: str = "auto",
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
        on_progress: Progress | None = None,
    ) -> Self:
        """Return the detector with further healthy recordings in its means, covariances and calibration.

        The choices of the fit and the weights of a network stay as they are, so that it takes seconds. Recordings are
        read as in a training: long ones are cut, and those that are broken, or have been learned already, are left out.
        What the models make of them, docs/training.md tells. Thresholds that `confirm` has lowered keep their
        false-alarm rates, and become other scores.

        Parameters
        ----------
        recordings
            Of healthy machines that the detector knows: files, folders or patterns as `score` takes them, `Clips`, the
            training clips of a `Dataset`, or `LogMelArrays`.
        machine_id
            The ID of all of them; by default it is read as in `score`.
        force
            Learn recordings too that the detector calls anomalous, because they are known to be healthy. By default
            they are left out.
        device
            `auto`, `cpu`, `cuda`, or one GPU such as `cuda:1`, for the network.
        max_seconds
            A longer recording is left out, as one that cannot be read; by default 24 hours.
        num_threads
            Threads of the kernels and of torch; all cores if None.
        on_progress
            Called with (done, total) recordings, once while they are scored and once while they are read.

        Returns
        -------
        Detector
            A new one. The last event of its `history` has the clips of each ID and the thresholds before and after.

        Raises
        ------
        DatasetError
            If there are no recordings, one is labelled anomalous or of an ID that the detector does not know, more than
            half cannot be read or are broken, or none is left to learn from.
        ParameterError
            If recordings are no files, or a model has to be fitted again: one of another package that cannot be
            updated, or of a file that kept too little.
        FileNotFoundError, DeviceError
            As for `score`.

        Warns
        -----
        OffkeyWarning
            Which recordings are called anomalous, cannot be read, are broken, odd, or have been learned already.

        Examples
        --------
        >>> newer = detector.update("healthy/2026-06")  # doctest: +SKIP
        >>> newer.history[-1].clips  # doctest: +SKIP
        {'00': 24, '02': 24}
        """
        check_record(self._fitted())
        data, passed_over = new_normals(self._fitted(), recordings, machine_id=machine_id)
        notes: tuple[str, ...] = ()
        if not force:
            table = self._scored_quietly(data, device, max_seconds, num_threads, on_progress)
            data, notes = without_anomalous(self._fitted(), data, table)
        self._compute_on(device)
        state, clips, of_reading = updated(
            self._fitted(), data, max_seconds=max_seconds, num_threads=num_threads, on_progress=on_progress
        )
        clips.warn(stacklevel=2)
        for note in (*notes, *of_reading, *notes_on(passed_over)):
            warnings.warn(note, OffkeyWarning, stacklevel=2)
        newer = self._with(state)
        newer.unread = clips.left_out
        return newer

    def _scored_quietly(
        self,
        data: Dataset | LogMelArrays,
        device: str,
        max_seconds: float,
        num_threads: int | None,
        on_progress: Progress | None,
    ) -> ScoreTable:
        """Score recordings that are to be learned: what is to be said of them is said when they are read."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OffkeyWarning)
            return self.score(
                data.clips if isinstance(data, Dataset) else data,
                device=device,
                max_seconds=max_seconds,
                num_threads=num_threads,
                on_progress=on_progress,
            )

    def explain(
        self,
        recording: Recordings,
        *,
        sample_rate: int | None = None,
        machine_id: str | None = None,
        false_alarm_rate: float | None = None,
        device: str = "auto",
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
    ) -> Explanation:
        """Say where in a recording its score comes from, and how it differs from healthy ones: docs/explain.md.

        Parameters
        ----------
        recording
            One, as `score` takes it; of a long one the worst window is explained.
        sample_rate, machine_id, false_alarm_rate, device, max_seconds, num_threads
            As for `score`.

        Returns
        -------
        Explanation
            A map over time and frequency, bands, stretches, the nearest healthy recordings, and sentences.

        Raises
        ------
        ParameterError
            If there are several recordings, or no model of the detector can explain its score; else as for `score`.
        DatasetError
            If the recording has no score: it cannot be read, or there is no sound in it.
        ArrayError
            If it is a log-Mel.
        FileNotFoundError, DeviceError
            As for `score`.

        Warns
        -----
        OffkeyWarning
            If the recording was resampled, or its ID is not known.

        Examples
        --------
        >>> explanation = detector.explain("monday.wav")  # doctest: +SKIP
        >>> print(explanation.to_text())  # doctest: +SKIP
        """
        self._compute_on(device)
        source = self._source(
            recording,
            sample_rate=sample_rate,
            machine_id=machine_id,
            max_seconds=max_seconds,
            keep_samples=True,
        )
        from offkey.explain.explained import explained  # who scores explains nothing

        explanation, notes = explained(self._fitted(), source, rate=false_alarm_rate, num_threads=num_threads)
        for note in notes:
            warnings.warn(note, OffkeyWarning, stacklevel=2)
        return explanation

    def score_oracle(
        self,
        test: Clips,
        *,
        device: str = "auto",
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
    ) -> ScoreTable:
        """Score labelled test clips by the combination of scores that their own labels rank best.

        It peeks, and so is no result: for comparison with tables of papers that chose by test data.

        Parameters
        ----------
        test
            Clips of known IDs with labels of both classes.
        device, max_seconds, num_threads
            As for `score`.

        Returns
        -------
        ScoreTable
            As `score` gives it, but for `anomaly_score`; without thresholds, p-values and decisions.

        Raises
        ------
        DatasetError
            If a clip cannot be read, or its ID or its label is not known.
        """
        table = self.score(test, device=device, max_seconds=max_seconds, num_threads=num_threads)
        for row in table.rows():
            if row["error"] or row["label"] is None or row["machine_id"] not in self.machine_ids:
                reason = row["error"] or "its label or its ID is not known"
                raise DatasetError(f"oracle: {row['path']}: {reason}; expected labelled clips of known IDs")
        fusion = self._fitted().fusion
        raw = {name: table.scores(name) for name in fusion.score_names}
        ids = [str(machine_id) for machine_id in table.machine_id]
        _, scores = fusion.oracle(raw, ids, table.label)
        rows = [
            row | {"anomaly_score": score} | dict.fromkeys(("decision", *JUDGED))
            for row, score in zip(table.rows(), scores.tolist(), strict=True)
        ]
        return ScoreTable.from_rows(rows)


def load(path: str | os.PathLike[str]) -> Detector:
    """Read a saved detector: the same as `Detector.load`."""
    return Detector.load(path)
