"""Log-Mel spectrograms: a thin face of the Rust kernel.

The spectrogram of the paper, and those of librosa, torchaudio and the DCASE 2020 baseline, are presets of
`LogMel`.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from offkey import _native
from offkey._util import parameters
from offkey._util.arrays import floats, output
from offkey._util.parameters import Channel, Paths
from offkey._util.threads import threads
from offkey.errors import ArrayError, OffkeyWarning, ParameterError
from offkey.signal.audio import MAX_SECONDS
from offkey.signal.clip_batch import Batch, clips_of
from offkey.signal.statistics import ClipStatistics, FileStatistics

if TYPE_CHECKING:
    from offkey.recipe import Features
    from offkey.recipe_sections import Window

__all__ = ["LogMel"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogMel:
    """Log-Mel spectrogram in dB; the defaults are the paper's.

    Frames are weighted by a periodic window. The plan is made once: keep the object and call it often.
    It may be shared between threads and pickled, and never writes to its input. Bands are within 1e-3 dB of the
    definition, at any `n_fft`, from a clip's maximum down to 80 dB below it. Frames of a great range, such as those
    under a strong hum, are computed in other ways for that; which one a frame gets depends on its own samples alone,
    and so do its bands, to the bit. A clip whose samples all lie below about 1e-19 of full scale takes 7 times as long,
    near 1e-38 80 times: its powers are denormal numbers.

    Parameters
    ----------
    sample_rate : int, default 16000
        Samples per second of every clip, in Hz. Clips carry no rate: it is the caller who vouches for it.
    n_fft : int, default 1024
        Samples of a frame: an even number from 16 to 65536 without other prime factors than 2, 3 and 5, such as 400,
        480 or 1024.
    hop_length : int, default 512
        Samples from one frame to the next.
    win_length : int, optional
        Samples of the window, from 1 to `n_fft`. It stands in the middle of the frame, ``(n_fft - win_length) // 2``
        zeros before it, as in librosa and torch. Default: `n_fft`.
    window : str, default "hann"
        One period of the window that `scipy.signal.get_window` and librosa know by this name: ``"hann"``,
        ``"hamming"``, ``"blackman"``, ``"blackmanharris"``, ``"nuttall"``, ``"flattop"``, ``"bartlett"``, ``"bohman"``,
        ``"cosine"`` or ``"boxcar"``.
    n_mels : int, default 128
        Number of Mel filters. Filters narrower than the step of the spectrum hold no frequency and stay at
        the floor: as librosa does, that is a warning, which names them. If all are empty it is an error.
    f_min_hz : float, default 0
        Lower edge of the first filter.
    f_max_hz : float, optional
        Upper edge of the last filter. Default: the Nyquist frequency.
    mel_scale : {"slaney", "htk"}, default "slaney"
        ``"slaney"``: linear up to 1 kHz, logarithmic above (librosa); ``"htk"``: ``2595 log10(1 + f / 700)``.
    mel_norm : {"slaney", "none"}, default "slaney"
        ``"slaney"``: filters of equal area, their peak 2 over their width in Hz; ``"none"``: filters that
        peak at 1.
    pad_mode : {"constant", "reflect", "none"}, default "constant"
        ``"constant"`` and ``"reflect"``: frames are centred, with zeros or the mirrored clip (at least
        ``n_fft // 2 + 1`` samples) at both ends; ``"none"``: the first frame starts at the first sample, and
        what does not fill a frame is left out.
    spectrum : {"power", "magnitude"}, default "power"
        ``"power"``: filters on the squared magnitude and ``10 log10``; ``"magnitude"``: filters on the
        magnitude and ``20 log10``.
    floor : {"max", "add"}, default "max"
        What keeps the logarithm finite: ``log10(max(x, floor_value))`` or ``log10(x + floor_value)``.
    floor_value : float, default 1e-10
        From 1e-37 to 1e37.
    num_threads : int, optional
        Threads of a call that does not name its own. Default: one for each core, but one in a worker of a torch
        `DataLoader`. The result does not depend on it.

    Raises
    ------
    ParameterError
        If a parameter is outside its range.

    Examples
    --------
    >>> import numpy as np, offkey
    >>> logmel = offkey.LogMel(sample_rate=16_000, n_fft=1024, hop_length=512, n_mels=128)
    >>> batch = np.zeros((4, 160_000), np.float32)
    >>> logmel(batch).shape
    (4, 128, 313)
    >>> float(logmel(batch).max())
    -100.0
    """

    sample_rate: int = 16_000
    n_fft: int = 1024
    hop_length: int = 512
    win_length: int | None = None
    window: Window = "hann"
    n_mels: int = 128
    f_min_hz: float = 0.0
    f_max_hz: float | None = None
    mel_scale: Literal["slaney", "htk"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    pad_mode: Literal["constant", "reflect", "none"] = "constant"
    spectrum: Literal["power", "magnitude"] = "power"
    floor: Literal["max", "add"] = "max"
    floor_value: float = 1e-10
    num_threads: int | None = None

    def __post_init__(self) -> None:
        threads(self.num_threads)  # checked now; what None stands for depends on where the call is made
        settings = _settings(self)
        del settings["num_threads"]
        native = _native.LogMel(**settings)
        object.__setattr__(self, "_native", native)
        if empty := native.empty_filters():
            named = ", ".join(map(str, empty[:10])) + ", ..." * (len(empty) > 10)
            warnings.warn(
                f"LogMel: {len(empty)} of {self.n_mels} Mel filters hold no frequency of the spectrum and "
                f"stay at the floor ({named}); take a larger n_fft than {self.n_fft} or fewer n_mels",
                OffkeyWarning,
                stacklevel=3,
            )

    def __getstate__(self) -> dict[str, Any]:
        return _settings(self)

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]  # frozen: the only way in

    @classmethod
    def paper(cls, *, num_threads: int | None = None) -> LogMel:
        """Return the features of Zhang et al. (2023): 16 kHz, 1024 / 512, 128 Slaney Mels, zero padding."""
        return cls(num_threads=num_threads)

    @classmethod
    def librosa(
        cls,
        *,
        sample_rate: int = 22_050,
        n_fft: int = 2048,
        hop_length: int = 512,
        n_mels: int = 128,
        num_threads: int | None = None,
    ) -> LogMel:
        """Return what librosa (from 0.10) gives by default.

        ``power_to_db(feature.melspectrogram(y=x, sr=sample_rate, ...), top_db=None)``: Slaney scale and norm,
        zero padding, power, ``10 log10(max(x, 1e-10))``.
        """
        return cls(
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=hop_length,
            n_mels=n_mels,
            num_threads=num_threads,
        )

    @classmethod
    def torchaudio(
        cls,
        *,
        sample_rate: int = 16_000,
        n_fft: int = 400,
        hop_length: int | None = None,
        n_mels: int = 128,
        num_threads: int | None = None,
    ) -> LogMel:
        """Return what torchaudio's ``MelSpectrogram`` and ``AmplitudeToDB("power")`` give by default.

        HTK scale, no norm, reflected padding, power, ``10 log10(max(x, 1e-10))``, `hop_length` half of `n_fft`. Of 128
        filters on frames of 400 samples some hold no frequency, of which both libraries warn.
        """
        return cls(
            sample_rate=sample_rate,
            n_fft=n_fft,
            hop_length=n_fft // 2 if hop_length is None else hop_length,
            n_mels=n_mels,
            mel_scale="htk",
            mel_norm="none",
            pad_mode="reflect",
            num_threads=num_threads,
        )

    @classmethod
    def dcase_baseline(cls, *, num_threads: int | None = None) -> LogMel:
        """Return the features of the DCASE 2020 Task 2 baseline, before it stacks frames.

        ``20 / power * log10(melspectrogram + sys.float_info.epsilon)`` with 16 kHz, 1024 / 512, 128 Mels and
        power 2. The baseline pins librosa 0.6, whose padding was reflection (zeros came with 0.10).
        """
        return cls(pad_mode="reflect", floor="add", floor_value=2.0**-52, num_threads=num_threads)

    @classmethod
    def from_recipe(cls, features: Features, *, num_threads: int | None = None) -> LogMel:
        """Return the spectrogram of a recipe's section `features`; `channel` is for who reads the files."""
        names = [field.name for field in dataclasses.fields(cls) if field.name != "num_threads"]
        return cls(**{name: getattr(features, name) for name in names}, num_threads=num_threads)

    def frames(self, samples: int) -> int:
        """Return the number of frames of a clip of so many samples.

        Raises
        ------
        ArrayError
            If the clip is too short: empty, or shorter than `pad_mode` needs.
        """
        return self._kernel.frames(samples)

    def filters(self) -> npt.NDArray[np.float32]:
        """Return the filters as ``(n_mels, n_fft // 2 + 1)`` float32."""
        return self._kernel.filters()

    def peaks_hz(self) -> npt.NDArray[np.float64]:
        """Return the frequency of each filter's peak in Hz as ``(n_mels,)`` float64."""
        return self._kernel.peaks_hz()

    def __call__(
        self,
        batch: Batch,
        *,
        masks: npt.ArrayLike | None = None,
        out: npt.NDArray[np.float32] | None = None,
        num_threads: int | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return the log-Mel spectrograms of clips of equal length.

        Parameters
        ----------
        batch : (clips, samples) array, `AudioBatch`, or sequence of (samples,) arrays
            Clips of equal length: float32, full scale 1, or int16, full scale 32768. Other dtypes are refused, not
            converted.
        masks : (clips, 4) float array, optional
            Start and width in time, start and width in frequency, as fractions (starts in [0, 1), widths in [0, 1]).
            A width above 0 masks ``max(1, floor(width * size))`` bins from
            ``floor(start * (size - bins + 1))``, filled with the clip's least value. `offkey.Augmenter` makes
            them.
        out : (clips, n_mels, frames) float32, optional
            A C-contiguous array to write into; partly written after an error. Default: a new one.
        num_threads : int, optional
            Threads of this call. Default: as the plan was made.

        Returns
        -------
        (clips, n_mels, frames) float32
            In dB; `out` where it was given.

        Raises
        ------
        ArrayError
            If a clip is too short, of another length than the first, of another dtype, or has samples that
            are not finite (or above 1e12), naming clip and sample; if a mask is no fraction; if `out` does
            not fit or shares memory with the batch.
        ParameterError
            If `num_threads` is below 1.
        """
        clips = clips_of(batch, self.sample_rate)
        if not clips and not (isinstance(batch, np.ndarray) and batch.ndim == 2):
            raise ArrayError("batch: no clips; expected at least one, or an array of shape (0, samples)")
        rows = None if masks is None else floats("masks", masks, ("clips", 4))
        target = None if out is None else output(out, (len(clips), self.n_mels, "frames"))
        if not clips:
            frames = self.frames(np.shape(batch)[1])
            return np.empty((0, self.n_mels, frames), np.float32) if target is None else target
        return self._kernel.batch(clips, rows, target, self._threads(num_threads))

    def each(self, batch: Batch, *, num_threads: int | None = None) -> list[npt.NDArray[np.float32]]:
        """Return the log-Mel spectrogram of each clip of any length.

        Parameters
        ----------
        batch, num_threads
            As for a call, but lengths may differ.

        Returns
        -------
        list of (n_mels, frames) float32
            In dB.

        Raises
        ------
        ArrayError
            As a call, but lengths may differ.
        """
        return self._kernel.each(clips_of(batch, self.sample_rate), self._threads(num_threads))

    def statistics(
        self,
        batch: Batch,
        *,
        fine: LogMel | Sequence[LogMel] = (),
        rhythm: bool = False,
        num_threads: int | None = None,
    ) -> ClipStatistics:
        """Return statistics over time of clips of any length; their spectrograms are not kept.

        Parameters
        ----------
        batch, num_threads
            As for a call, but lengths may differ.
        fine : LogMel or sequence of LogMel, optional
            Further spectrograms of the same sample rate, of which the means over time are wanted too: `fine_mean`, in
            this order.
        rhythm : bool, default False
            Whether to measure the rhythm of this spectrogram too, as `offkey.rhythm` does by default.

        Returns
        -------
        ClipStatistics
            Four arrays ``(clips, n_mels)`` float32, and those that were asked for.

        Raises
        ------
        ArrayError
            As a call, but lengths may differ; also if a clip is too short for one of `fine`.
        ParameterError
            If one of `fine` has another sample rate, or half the frame rate is too low for a rhythm.
        """
        arrays = self._kernel.statistics(
            clips_of(batch, self.sample_rate), kernels("fine", fine), rhythm, self._threads(num_threads)
        )
        return ClipStatistics(*arrays)

    def from_files(
        self,
        paths: Paths,
        *,
        channel: Channel = 0,
        max_seconds: float = MAX_SECONDS,
        out: npt.NDArray[np.float32] | None = None,
        num_threads: int | None = None,
    ) -> npt.NDArray[np.float32]:
        """Return the log-Mel spectrograms of sound files of equal length, decoded and turned in one step.

        Files of another sample rate are resampled to that of the plan.

        Parameters
        ----------
        paths : iterable of path-like
            The files.
        channel : int or "mean", default 0
            The channel to take, from 0, or the mean of all.
        max_seconds : float, default 86400
            A longer recording is one that cannot be read.
        out : (files, n_mels, frames) float32, optional
            A C-contiguous array to write into; partly written after an error. Default: a new one.
        num_threads : int, optional
            Threads of this call. Default: as the plan was made.

        Returns
        -------
        (files, n_mels, frames) float32
            In dB; `out` where it was given.

        Raises
        ------
        OSError
            The system cannot read a file.
        AudioError
            A file is damaged, of another kind than offkey reads, lacks the channel, is too short, or of
            another length than the first.
        ArrayError
            There is no file, or `out` does not fit.
        ParameterError
            `channel`, `max_seconds` or `num_threads` is outside its range.
        """
        files = parameters.paths(paths)
        target = None if out is None else output(out, (len(files), self.n_mels, "frames"))
        return self._kernel.from_files(
            files,
            parameters.channel(channel),
            parameters.seconds("max_seconds", max_seconds),
            target,
            self._threads(num_threads),
        )

    def each_from_files(
        self,
        paths: Paths,
        *,
        channel: Channel = 0,
        max_seconds: float = MAX_SECONDS,
        num_threads: int | None = None,
    ) -> list[npt.NDArray[np.float32]]:
        """Return the log-Mel spectrogram of each sound file of any length.

        Parameters
        ----------
        paths, channel, max_seconds, num_threads
            As for `from_files`.

        Returns
        -------
        list of (n_mels, frames) float32
            In dB.

        Raises
        ------
        OSError, AudioError, ParameterError
            As `from_files`, but lengths may differ.
        """
        return self._kernel.each_from_files(
            parameters.paths(paths),
            parameters.channel(channel),
            parameters.seconds("max_seconds", max_seconds),
            self._threads(num_threads),
        )

    def statistics_from_files(
        self,
        paths: Paths,
        *,
        channel: Channel = 0,
        max_seconds: float = MAX_SECONDS,
        on_error: Literal["raise", "collect"] = "raise",
        fine: LogMel | Sequence[LogMel] = (),
        rhythm: bool = False,
        num_threads: int | None = None,
    ) -> FileStatistics:
        """Return statistics over time of sound files of any length; neither samples nor spectrograms are kept.

        Parameters
        ----------
        paths : iterable of path-like
            The files; those of another sample rate are resampled.
        channel : int or "mean", default 0
            The channel to take, from 0, or the mean of all.
        max_seconds : float, default 86400
            A longer recording is one that cannot be read.
        on_error : {"raise", "collect"}, default "raise"
            ``"raise"``: the error of the first file, in order, that cannot be read; ``"collect"``: go on,
            keep it in `FileStatistics.errors` and leave NaN in that file's rows.
        fine, rhythm
            As for `statistics`; each file is decoded once.
        num_threads : int, optional
            Threads of this call. Default: as the plan was made.

        Raises
        ------
        OSError, AudioError, ParameterError
            As `each_from_files` and `statistics`.
        """
        collect = parameters.choice("on_error", on_error, ("raise", "collect")) == "collect"
        arrays, errors = self._kernel.statistics_from_files(
            parameters.paths(paths),
            parameters.channel(channel),
            parameters.seconds("max_seconds", max_seconds),
            collect,
            kernels("fine", fine),
            rhythm,
            self._threads(num_threads),
        )
        return FileStatistics(ClipStatistics(*arrays), dict(errors))

    def _threads(self, num_threads: int | None) -> int | None:
        return threads(self.num_threads if num_threads is None else num_threads)

    @property
    def _kernel(self) -> _native.LogMel:
        kernel: _native.LogMel = self.__dict__["_native"]
        return kernel


def kernels(name: str, logmels: LogMel | Sequence[LogMel]) -> list[_native.LogMel]:
    """Return the kernels of one log-Mel or several.

    Raises
    ------
    ParameterError
        If there is anything else among them.
    """
    some = [logmels] if isinstance(logmels, LogMel) else logmels
    if not isinstance(some, Sequence) or not all(isinstance(logmel, LogMel) for logmel in some):
        raise ParameterError(f"{name} = {logmels!r}: expected a LogMel, or several in a sequence")
    return [logmel._kernel for logmel in some]


def _settings(logmel: LogMel) -> dict[str, Any]:
    return {field.name: getattr(logmel, field.name) for field in dataclasses.fields(logmel)}
