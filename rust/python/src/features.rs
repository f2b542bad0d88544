//! The log-Mel spectrogram and the clip statistics.

use crate::arrays::{output, row_major, row_major_mut, writable};
use crate::call::{self, ArrayError};
use numpy::PyReadonlyArray3;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use offkey_core::decode::{ChannelChoice, OnError};
use offkey_core::mel::{self, FileBatch, Floor, Mask, MelNorm, MelScale, PadMode, Samples, Spectrum};
use offkey_core::par::Cancel;
use offkey_core::statistics::{self, BandStatistics, ClipStatistics};
use offkey_core::{Error, Result};
use pyo3::prelude::*;
use std::num::NonZeroUsize;
use std::path::PathBuf;

/// A call with fewer samples than this ends so soon that hearing Ctrl-C is not worth a thread.
const SHORT_CALL: usize = 1 << 22;

/// Four arrays of `(clips, n_mels)`: mean, lstd, ldstd, p5.
type StatisticsArrays<'py> = (
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
);

/// The samples of one clip as Python holds them.
enum Clip<'py> {
    F32(PyReadonlyArray1<'py, f32>),
    I16(PyReadonlyArray1<'py, i16>),
}

impl<'py> Clip<'py> {
    fn new(index: usize, array: &Bound<'py, PyAny>) -> PyResult<Self> {
        let clip = if let Ok(array) = array.extract() {
            Self::F32(array)
        } else if let Ok(array) = array.extract() {
            Self::I16(array)
        } else {
            let kind = array.get_type().name()?;
            return Err(ArrayError::new_err(format!(
                "batch[{index}]: {kind}; expected a 1-D numpy array of float32 or int16"
            )));
        };
        clip.samples().map(|_| ()).ok_or_else(|| {
            ArrayError::new_err(format!("batch[{index}]: expected an array that is contiguous and aligned"))
        })?;
        Ok(clip)
    }

    fn samples(&self) -> Option<Samples<'_>> {
        match self {
            Self::F32(array) => array.as_slice().ok().map(Samples::F32),
            Self::I16(array) => array.as_slice().ok().map(Samples::I16),
        }
    }
}

/// The clips of a batch, borrowed until the call is over.
struct Batch<'py>(Vec<Clip<'py>>);

impl<'py> Batch<'py> {
    fn new(arrays: &[Bound<'py, PyAny>]) -> PyResult<Self> {
        let clips = arrays.iter().enumerate().map(|(index, array)| Clip::new(index, array));
        Ok(Self(clips.collect::<PyResult<_>>()?))
    }

    fn samples(&self) -> Vec<Samples<'_>> {
        self.0.iter().filter_map(Clip::samples).collect()
    }
}

/// Run with the GIL released, on a thread of its own if it may take long.
fn run<T: Send>(py: Python<'_>, size: usize, work: impl FnOnce(&Cancel) -> Result<T> + Send) -> PyResult<T> {
    if size < SHORT_CALL { call::short(py, || work(&Cancel::default())) } else { call::long(py, work) }
}

fn total(clips: &[Samples<'_>]) -> usize {
    clips.iter().map(Samples::len).sum()
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
    plan: mel::LogMel,
}

#[pymethods]
impl LogMel {
    #[new]
    #[pyo3(signature = (*, sample_rate, n_fft, hop_length, n_mels, f_min_hz, f_max_hz, mel_scale, mel_norm, pad_mode, spectrum, floor, floor_value))]
    #[allow(clippy::too_many_arguments)] // keywords of one Python call
    fn new(
        sample_rate: i64,
        n_fft: i64,
        hop_length: i64,
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
        let plan = settings().and_then(mel::LogMel::new).map_err(call::exception)?;
        Ok(Self { plan })
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
        masks: Option<PyReadonlyArray2<'py, f32>>,
        out: Option<Bound<'py, PyArray3<f32>>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let batch = Batch::new(&clips)?;
        let clips = batch.samples();
        let frames = mel::common_frames(&self.plan, &clips).map_err(call::exception)?;
        let masks = masks.as_ref().map(mask_rows).transpose()?;
        let out = output(py, out, [clips.len(), self.plan.n_mels(), frames])?;
        let mut target = writable("out", &out)?;
        let target = row_major_mut("out", &mut target)?;
        run(py, total(&clips), |cancel| {
            mel::batch(&self.plan, &clips, masks.as_deref(), target, num_threads, cancel)
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
        let batch = Batch::new(&clips)?;
        let clips = batch.samples();
        let all = run(py, total(&clips), |cancel| mel::each(&self.plan, &clips, num_threads, cancel))?;
        self.matrices(py, all)
    }

    /// Statistics over time of clips of any length, `(clips, n_mels)` each.
    fn statistics<'py>(
        &self,
        py: Python<'py>,
        clips: Vec<Bound<'py, PyAny>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<StatisticsArrays<'py>> {
        let batch = Batch::new(&clips)?;
        let clips = batch.samples();
        let statistics =
            run(py, total(&clips), |cancel| mel::statistics(&self.plan, &clips, num_threads, cancel))?;
        statistics_arrays(py, statistics, [clips.len(), self.plan.n_mels()])
    }

    /// Log-Mel spectrograms of files of equal length, `(files, n_mels, frames)`.
    #[allow(clippy::wrong_self_convention)] // the name that Python users read
    fn from_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
        out: Option<Bound<'py, PyArray3<f32>>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Bound<'py, PyArray3<f32>>> {
        let channel = choice_of_channel(channel);
        let files = call::long(py, |cancel| FileBatch::open(&self.plan, &paths, channel, cancel))?;
        let out = output(py, out, [paths.len(), self.plan.n_mels(), files.frames()])?;
        let mut target = writable("out", &out)?;
        let target = row_major_mut("out", &mut target)?;
        call::long(py, |cancel| files.process_into(target, num_threads, cancel))?;
        Ok(out)
    }

    /// Log-Mel spectrogram of each file of any length, `(n_mels, frames)`.
    fn each_from_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<Vec<Bound<'py, PyArray2<f32>>>> {
        let channel = choice_of_channel(channel);
        let all =
            call::long(py, |cancel| mel::each_from_files(&self.plan, &paths, channel, num_threads, cancel))?;
        self.matrices(py, all)
    }

    /// Statistics over time of files of any length; with `collect`, NaN for files that cannot be read.
    fn statistics_from_files<'py>(
        &self,
        py: Python<'py>,
        paths: Vec<PathBuf>,
        channel: Option<usize>,
        collect: bool,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<FileStatistics<'py>> {
        let channel = choice_of_channel(channel);
        let on_error = if collect { OnError::Keep } else { OnError::Stop };
        let files = call::long(py, |cancel| {
            mel::statistics_from_files(&self.plan, &paths, channel, on_error, num_threads, cancel)
        })?;
        let n_mels = self.plan.n_mels();
        let mut statistics = ClipStatistics::with_capacity(files.len() * n_mels);
        let mut errors = Vec::new();
        for (index, file) in files.into_iter().enumerate() {
            match file {
                Ok(bands) => statistics.extend(&bands),
                Err(error) => {
                    statistics.extend(&vec![BandStatistics::MISSING; n_mels]);
                    errors.push((index, call::exception(error).into_value(py).into_any()));
                }
            }
        }
        Ok((statistics_arrays(py, statistics, [paths.len(), n_mels])?, errors))
    }
}

impl LogMel {
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

fn choice_of_channel(channel: Option<usize>) -> ChannelChoice {
    channel.map_or(ChannelChoice::Mean, ChannelChoice::One)
}

/// Statistics over time of given log-Mel spectrograms, `(clips, n_mels, frames)`.
#[pyfunction]
pub(crate) fn clip_statistics<'py>(
    py: Python<'py>,
    logmels: PyReadonlyArray3<'py, f32>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<StatisticsArrays<'py>> {
    let dims = logmels.dims();
    let (clips, n_mels, frames) = (dims[0], dims[1], dims[2]);
    let values = row_major("logmels", &logmels)?;
    let statistics =
        run(py, values.len(), |cancel| statistics::given(values, n_mels, frames, num_threads, cancel))?;
    statistics_arrays(py, statistics, [clips, n_mels])
}

fn mask_rows(masks: &PyReadonlyArray2<'_, f32>) -> PyResult<Vec<Mask>> {
    let values = row_major("masks", masks)?;
    let (rows, columns) = (masks.dims()[0], masks.dims()[1]);
    if columns != 4 {
        return Err(ArrayError::new_err(format!("masks: shape ({rows}, {columns}); expected (clips, 4)")));
    }
    Ok(values.as_chunks::<4>().0.to_vec())
}

fn matrix(py: Python<'_>, values: Vec<f32>, shape: [usize; 2]) -> PyResult<Bound<'_, PyArray2<f32>>> {
    values.into_pyarray(py).reshape(shape)
}

fn statistics_arrays(
    py: Python<'_>,
    statistics: ClipStatistics,
    shape: [usize; 2],
) -> PyResult<StatisticsArrays<'_>> {
    let ClipStatistics { mean, lstd, ldstd, p5 } = statistics;
    Ok((
        matrix(py, mean, shape)?,
        matrix(py, lstd, shape)?,
        matrix(py, ldstd, shape)?,
        matrix(py, p5, shape)?,
    ))
}
