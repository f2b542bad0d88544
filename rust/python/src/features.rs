//! The log-Mel spectrogram and the clip statistics.

use crate::arrays::{Places, Values, describe, matrix, output};
use crate::audio::{choice_of_channel, limits};
use crate::call::{self, ArrayError, Cost};
use numpy::ndarray::Ix1;
use numpy::{PyArray1, PyArray2, PyArray3};
use offkey_core::decode::OnError;
use offkey_core::mel::{
    self, FileBatch, Floor, Mask, MelNorm, MelScale, PadMode, Samples, Spectrum, StatisticsPlan, Window,
};
use offkey_core::statistics::{self, ClipRow, ClipStatistics, Rhythm};
use offkey_core::{Error, Result};
use pyo3::prelude::*;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// Four arrays of `(clips, n_mels)`, mean, lstd, ldstd, p5; then fine_mean and rhythm where they were asked for.
pub(crate) type StatisticsArrays<'py> = (
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Option<Bound<'py, PyArray2<f32>>>,
    Option<Bound<'py, PyArray2<f32>>>,
);

/// The samples of one clip as Python holds them, borrowed until the call is over.
enum ClipArray<'py> {
    F32(Values<'py, f32, Ix1>),
    I16(Values<'py, i16, Ix1>),
}

impl<'py> ClipArray<'py> {
    fn new((index, array): (usize, &Bound<'py, PyAny>)) -> PyResult<Self> {
        let name = format!("batch[{index}]");
        if let Ok(array) = array.cast() {
            return Values::new(&name, array).map(Self::F32);
        }
        if let Ok(array) = array.cast() {
            return Values::new(&name, array).map(Self::I16);
        }
        let given = describe(array);
        Err(ArrayError::new_err(format!("{name}: {given}; expected a 1-D numpy array of float32 or int16")))
    }

    fn all(arrays: &[Bound<'py, PyAny>]) -> PyResult<Vec<Self>> {
        arrays.iter().enumerate().map(Self::new).collect()
    }

    fn samples(&self) -> Samples<'_> {
        match self {
            Self::F32(values) => Samples::F32(values),
            Self::I16(values) => Samples::I16(values),
        }
    }
}

fn samples<'a>(clips: &'a [ClipArray<'_>]) -> Vec<Samples<'a>> {
    clips.iter().map(ClipArray::samples).collect()
}

fn size(parameter: &'static str, given: i64) -> Result<usize> {
    usize::try_from(given).map_err(|_| Error::parameter(parameter, given, "a positive integer"))
}

fn choice<T: Copy>(parameter: &'static str, given: &str, choices: &[(&str, T)]) -> Result<T> {
    let found = choices.iter().find(|(name, _)| *name == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<String> = choices.iter().map(|(name, _)| format!("{name:?}")).collect();
        Error::parameter(parameter, format!("{given:?}"), format!("one of {}", names.join(", ")))
    })
}

/// Plan of a log-Mel spectrogram.
#[pyclass(frozen, module = "offkey._native")]
pub(crate) struct LogMel {
    plan: Arc<mel::LogMel>,
}

#[pymethods]
impl LogMel {
    #[new]
    #[pyo3(signature = (*, sample_rate, n_fft, hop_length, win_length, window, n_mels, f_min_hz, f_max_hz, mel_scale, mel_norm, pad_mode, spectrum, floor, floor_value))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn new(
        py: Python<'_>,
        sample_rate: i64,
        n_fft: i64,
        hop_length: i64,
        win_length: Option<i64>,
        window: &str,
        n_mels: i64,
        f_min_hz: f64,
        f_max_hz: Option<f64>,
        mel_scale: &str,
        mel_norm: &str,
        pad_mode: &str,
        spectrum: &str,
        floor: &str,
        floor_value: f64,
    ) -> PyResult<Self> {
        let settings = || {
            let sample_rate = u32::try_from(sample_rate)
                .map_err(|_| Error::parameter("sample_rate", sample_rate, "a positive integer in Hz"))?;
            Ok(mel::Settings {
                sample_rate,
                n_fft: size("n_fft", n_fft)?,
                hop_length: size("hop_length", hop_length)?,
                win_length: win_length.map(|length| size("win_length", length)).transpose()?,
                window: choice("window", window, &Window::NAMES)?,
                n_mels: size("n_mels", n_mels)?,
                f_min_hz,
                f_max_hz: f_max_hz.unwrap_or(f64::from(sample_rate) / 2.0),
                mel_scale: choice(
                    "mel_scale",
                    mel_scale,
                    &[("slaney", MelScale::Slaney), ("htk", MelScale::Htk)],
                )?,
                mel_norm: choice(
                    "mel_norm",
                    mel_norm,
                    &[("slaney", MelNorm::Slaney), ("none", MelNorm::None)],
                )?,
                pad_mode: choice(
                    "pad_mode",
                    pad_mode,
                    &[
                        ("constant", PadMode::Constant),
                        ("reflect", PadMode::Reflect),
                        ("none", PadMode::None),
                    ],
                )?,
                spectrum: choice(
                    "spectrum",
                    spectrum,
                    &[("power", Spectrum::Power), ("magnitude", Spectrum::Magnitude)],
                )?,
                floor: choice("floor", floor, &[("max", Floor::Max), ("add", Floor::Add)])?,
                floor_value,
            })
        };
        let plan = call::run(py, Cost::SMALL, |_| settings().and_then(mel::LogMel::new))?;
        Ok(Self { plan: Arc::new(plan) })
    }

    /// Number of frames of a clip of so many samples.
    fn frames(&self, samples: i64) -> PyResult<usize> {
        size("samples", samples).and_then(|samples| self.plan.frames(samples)).map_err(call::exception)
    }

    /// Indices of the filters that hold no frequency of the spectrum.
    fn empty_filters(&self) -> Vec<usize> {
        self.plan.empty_filters()
    }

    /// The filters, `(n_mels, n_fft // 2 + 1)`.
    fn filters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let bins = self.plan.settings().n_fft / 2 + 1;
        matrix(py, self.plan.filters(), [self.plan.n_mels(), bins])
    }

    /// Frequency of each filter's peak.
    fn peaks_hz<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        PyArray1::from_slice(py, self.plan.peaks_hz())
    }

    /// Log-Mel spectrograms of clips of equal length, `(clips, n_mels, frames)`.
    fn batch<'py>(
        &self,
        py: Python<'py>,
        clips: Vec<Bound<'py, PyAny>>,
        masks: Option<&Bound<'py, PyArray2<f32>>>,
        out: Option<Bound<'py, PyArray3<f32>>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let clips = ClipArray::all(&clips)?;
        let clips = samples(&clips);
        let frames = mel::common_frames(&self.plan, &clips).map_err(call::exception)?;
        let masks = masks.map(mask_rows).transpose()?;
        let out = output(py, out, [clips.len(), self.plan.n_mels(), frames])?;
        let mut places = Places::new("out", &out)?;
        let places = &mut *places;
        call::run(py, self.cost(&clips), |cancel| {
            mel::batch(&self.plan, &clips, masks.as_deref(), places, num_threads, cancel)
        })?;
        Ok(out)
    }

    /// Log-Mel spectrograms of clips of any length, each `(n_mels, frames)`.
    fn each<'py>(
        &self,
        py: Python<'py>,
        clips: Vec<Bound<'py, PyAny>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Vec<Bound<'py, PyArray2<f32>>>> {
        let clips = ClipArray::all(&clips)?;
        let clips = samples(&clips);
        let each = |cancel: &_| mel::each(&self.plan, &clips, num_threads, cancel);
        let all = call::run(py, self.cost(&clips), each)?;
        self.matrices(py, all)
    }

    /// Statistics over time of clips of any length, `(clips, n_mels)` each.
    fn statistics<'py>(
        &self,
        py: Python<'py>,
        clips: Vec<Bound<'py, PyAny>>,
        fine: Vec<Bound<'py, Self>>,
        rhythm: bool,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<StatisticsArrays<'py>> {
        let clips = ClipArray::all(&clips)?;
        let clips = samples(&clips);
        let plan = self.statistics_plan(&fine, rhythm)?;
        let work = |cancel: &_| mel::statistics(&plan, &clips, num_threads, cancel);
        let statistics = call::run(py, self.cost(&clips), work)?;
        statistics_arrays(py, statistics, clips.len(), &plan.missing())
    }

    /// Log-Mel spectrograms of files of equal length, `(files, n_mels, frames)`.
    #[allow(clippy::wrong_self_convention)] // the name that Python users read
    fn from_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
        max_seconds: f64,
        out: Option<Bound<'py, PyArray3<f32>>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let (channel, limits) = (choice_of_channel(channel), limits(max_seconds));
        let open = |cancel: &_| FileBatch::open(&self.plan, &paths, channel, limits, cancel);
        let files = call::run(py, Cost::UNKNOWN, open)?;
        let out = output(py, out, [paths.len(), self.plan.n_mels(), files.frames()])?;
        let mut places = Places::new("out", &out)?;
        let places = &mut *places;
        call::run(py, Cost::UNKNOWN, |cancel| files.process_into(places, num_threads, cancel))?;
        Ok(out)
    }

    /// Log-Mel spectrogram of each file of any length, `(n_mels, frames)`.
    fn each_from_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
        max_seconds: f64,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Vec<Bound<'py, PyArray2<f32>>>> {
        let (channel, limits) = (choice_of_channel(channel), limits(max_seconds));
        let each =
            |cancel: &_| mel::each_from_files(&self.plan, &paths, channel, limits, num_threads, cancel);
        let all = call::run(py, Cost::UNKNOWN, each)?;
        self.matrices(py, all)
    }

    /// Statistics over time of files of any length; with `collect`, NaN for files that cannot be read.
    #[allow(clippy::too_many_arguments)] // those of one Python call
    fn statistics_from_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
        max_seconds: f64,
        collect: bool,
        fine: Vec<Bound<'py, Self>>,
        rhythm: bool,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<FileStatistics<'py>> {
        let plan = self.statistics_plan(&fine, rhythm)?;
        let (channel, limits) = (choice_of_channel(channel), limits(max_seconds));
        let on_error = if collect { OnError::Keep } else { OnError::Stop };
        let files = call::run(py, Cost::UNKNOWN, |cancel| {
            mel::statistics_from_files(&plan, &paths, channel, limits, on_error, num_threads, cancel)
        })?;
        let missing = plan.missing();
        let mut statistics = ClipStatistics::default();
        let mut errors = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            statistics.push(file.as_ref().unwrap_or(&missing));
            if let Err(error) = file {
                errors.push((index, call::exception(error).into_value(py).into_any()));
            }
        }
        Ok((statistics_arrays(py, statistics, paths.len(), &missing)?, errors))
    }
}

impl LogMel {
    /// The plan, for work that outlives the call.
    pub(crate) fn plan(&self) -> Arc<mel::LogMel> {
        Arc::clone(&self.plan)
    }

    /// A transform of each frame, and as much again for the rest.
    fn cost(&self, clips: &[Samples<'_>]) -> Cost {
        let settings = self.plan.settings();
        let frames = clips.iter().map(|clip| clip.len() / settings.hop_length + 1).sum();
        Cost::of(frames, 4 * settings.n_fft * settings.n_fft.ilog2() as usize)
    }

    fn statistics_plan<'a>(
        &'a self,
        fine: &'a [Bound<'_, Self>],
        rhythm: bool,
    ) -> PyResult<StatisticsPlan<'a>> {
        let fine = fine.iter().map(|fine| &*fine.get().plan).collect();
        StatisticsPlan::new(&self.plan, fine, rhythm).map_err(call::exception)
    }

    /// Spectrograms of any number of frames as arrays.
    fn matrices<'py>(&self, py: Python<'py>, all: Vec<Vec<f32>>) -> PyResult<Vec<Bound<'py, PyArray2<f32>>>> {
        let n_mels = self.plan.n_mels();
        all.into_iter()
            .map(|values| {
                let frames = values.len() / n_mels;
                matrix(py, values, [n_mels, frames])
            })
            .collect()
    }
}

/// Statistics of files, and the exceptions of those that could not be read, by position.
type FileStatistics<'py> = (StatisticsArrays<'py>, Vec<(usize, Py<PyAny>)>);

/// Statistics over time of given log-Mel spectrograms, `(clips, n_mels, frames)`.
#[pyfunction]
fn clip_statistics<'py>(
    py: Python<'py>,
    logmels: &Bound<'py, PyArray3<f32>>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<StatisticsArrays<'py>> {
    let values = Values::new("logmels", logmels)?;
    let &[clips, n_mels, frames] = values.shape() else { unreachable!("an array of three axes") };
    let values = &*values;
    let statistics = call::run(py, Cost::of(values.len(), 32), |cancel| {
        statistics::given(values, n_mels, frames, num_threads, cancel)
    })?;
    statistics_arrays(py, statistics, clips, &ClipRow::missing(n_mels, 0, 0))
}

/// Rhythms of given log-Mel spectrograms, `(clips, n_mels, frames)`, as `(clips, rates * bands)`.
#[pyfunction]
#[pyo3(signature = (logmels, *, frame_rate_hz, bands, rates, lowest_hz, num_threads))]
fn rhythm<'py>(
    py: Python<'py>,
    logmels: &Bound<'py, PyArray3<f32>>,
    frame_rate_hz: f64,
    bands: i64,
    rates: i64,
    lowest_hz: f64,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let sizes = || Ok((size("bands", bands)?, size("rates", rates)?));
    let (bands, rates) = sizes().map_err(call::exception)?;
    let rhythm = Rhythm::new(frame_rate_hz, bands, rates, lowest_hz).map_err(call::exception)?;
    let values = Values::new("logmels", logmels)?;
    let &[clips, n_mels, frames] = values.shape() else { unreachable!("an array of three axes") };
    let values = &*values;
    let rhythms = call::run(py, Cost::of(values.len(), 32), |cancel| {
        statistics::rhythms(values, n_mels, frames, &rhythm, num_threads, cancel)
    })?;
    matrix(py, rhythms, [clips, rhythm.size()])
}

/// Refuse a length of frames that there is not, and name the nearest.
#[pyfunction]
fn check_n_fft(n_fft: i64) -> PyResult<()> {
    size("n_fft", n_fft).and_then(mel::check_n_fft).map_err(call::exception)
}

fn mask_rows(masks: &Bound<'_, PyArray2<f32>>) -> PyResult<Vec<Mask>> {
    let masks = Values::new("masks", masks)?;
    match masks.shape() {
        [_, 4] => Ok(masks.as_chunks::<4>().0.to_vec()),
        shape => Err(ArrayError::new_err(format!("masks: shape {shape:?}; expected (clips, 4)"))),
    }
}

/// The arrays of so many clips; any row says how wide they are.
pub(crate) fn statistics_arrays<'py>(
    py: Python<'py>,
    statistics: ClipStatistics,
    clips: usize,
    row: &ClipRow,
) -> PyResult<StatisticsArrays<'py>> {
    let ClipStatistics { mean, lstd, ldstd, p5, fine_mean, rhythm } = statistics;
    let n_mels = row.bands.len();
    let optional = |values, width: usize| (width > 0).then(|| matrix(py, values, [clips, width])).transpose();
    Ok((
        matrix(py, mean, [clips, n_mels])?,
        matrix(py, lstd, [clips, n_mels])?,
        matrix(py, ldstd, [clips, n_mels])?,
        matrix(py, p5, [clips, n_mels])?,
        optional(fine_mean, row.fine_mean.len())?,
        optional(rhythm, row.rhythm.len())?,
    ))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check_n_fft, module)?)?;
    module.add_function(wrap_pyfunction!(clip_statistics, module)?)?;
    module.add_function(wrap_pyfunction!(rhythm, module)?)?;
    module.add_class::<LogMel>()
}
