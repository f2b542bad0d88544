//! Sound files and resampling.

use crate::arrays::{Places, Values, matrix};
use crate::call::{self, ArrayError, Cost};
use crate::clip_arrays::ClipArrays;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyUntypedArrayMethods};
use offkey_core::decode::{
    self, Blocks, ChannelChoice, Clip, Limits, OnError, PlacedClip, ReadBuffer, Reader,
};
use offkey_core::resample::Resampler;
use pyo3::prelude::*;
use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `(sample_rate, channels, frames or None, format, subtype)` of a file's header.
#[pyfunction]
fn audio_info(
    py: Python<'_>,
    path: PathBuf,
) -> PyResult<(u32, usize, Option<u64>, &'static str, &'static str)> {
    let info =
        call::run(py, Cost::SMALL, |_| READ_BUFFER.with_borrow_mut(|buffer| decode::info(&path, buffer)))?;
    Ok((info.sample_rate, info.channels, info.frames, info.format.name(), info.subtype))
}

thread_local!(static READ_BUFFER: RefCell<ReadBuffer> = RefCell::default());

/// One channel by its number, or else the mean of all.
pub(crate) fn choice_of_channel(channel: Option<usize>) -> ChannelChoice {
    channel.map_or(ChannelChoice::Mean, ChannelChoice::One)
}

pub(crate) fn limits(max_seconds: f64) -> Limits {
    Limits { max_seconds, ..Limits::default() }
}

/// A file on this thread, if it is soon read: a thread of its own would take as long as a small file does.
fn read_if_short(py: Python<'_>, reader: &Reader, path: &Path) -> PyResult<Option<Clip>> {
    call::run(py, Cost::SMALL, |_| READ_BUFFER.with_borrow_mut(|buffer| reader.read_if_short(path, buffer)))
}

/// `(samples, channels, sample_rate)`: the channels one after the other.
#[pyfunction]
fn read_audio(
    py: Python<'_>,
    path: PathBuf,
    sample_rate: Option<u32>,
    max_seconds: f64,
) -> PyResult<(Bound<'_, PyArray1<f32>>, usize, u32)> {
    let reader =
        call::run(py, Cost::SMALL, |_| Reader::new(ChannelChoice::All, sample_rate, limits(max_seconds)))?;
    let clip = match read_if_short(py, &reader, &path)? {
        Some(clip) => clip,
        None => {
            call::run(py, Cost::UNKNOWN, |cancel| reader.read(&path, &mut ReadBuffer::default(), cancel))?
        }
    };
    Ok((clip.samples.into_pyarray(py), clip.channels, clip.sample_rate))
}

/// One file of a batch: `(samples, sample_rate, source_rate)`, or the exception that it caused.
type BatchItem<'py> = (Bound<'py, PyArray1<f32>>, u32, u32, Option<Py<PyAny>>);

/// `(samples, sample_rate, source_rate, None)` of each file, or, with `collect`, `(no samples, 0, 0, exception)`; the
/// samples are a row of `out` each, where it is given.
#[pyfunction]
#[allow(clippy::too_many_arguments)] // those of one Python call
fn read_audio_batch<'py>(
    py: Python<'py>,
    paths: Vec<PathBuf>,
    channel: Option<usize>,
    sample_rate: Option<u32>,
    max_seconds: f64,
    collect: bool,
    out: Option<Bound<'py, PyArray2<f32>>>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<Vec<BatchItem<'py>>> {
    let (choice, limits) = (choice_of_channel(channel), limits(max_seconds));
    let reader = call::run(py, Cost::SMALL, |_| Reader::new(choice, sample_rate, limits))?;
    // An error is met again below, and raised or kept there.
    if let ([path], None) = (paths.as_slice(), &out)
        && let Ok(Some(clip)) = read_if_short(py, &reader, path)
    {
        let Clip { sample_rate, source_rate, samples, .. } = clip;
        return Ok(vec![(samples.into_pyarray(py), sample_rate, source_rate, None)]);
    }
    let on_error = if collect { OnError::Keep } else { OnError::Stop };
    let read = |places: Vec<&mut [f32]>, filled| {
        call::run(py, Cost::UNKNOWN, |cancel| {
            reader.read_batch(&paths, places, filled, on_error, num_threads, cancel)
        })
    };
    if let Some(out) = out {
        let &[rows, samples] = out.shape() else { unreachable!("an array of two axes") };
        if rows != paths.len() || samples == 0 {
            let given = format!("out: shape ({rows}, {samples})");
            return Err(ArrayError::new_err(format!("{given}; expected ({}, samples)", paths.len())));
        }
        let mut places = Places::new("out", &out)?;
        let clips = read(places.chunks_exact_mut(samples).collect(), true)?;
        return clips
            .into_iter()
            .enumerate()
            .map(|(row, clip)| item(py, clip, |_| Ok(out.get_item(row)?.cast_into()?)))
            .collect();
    }
    let lengths =
        call::run(py, Cost::UNKNOWN, |cancel| reader.expected_lengths(&paths, num_threads, cancel))?;
    let arrays = ClipArrays::new(py, &lengths)?;
    let clips = {
        let mut blocks = arrays.blocks()?;
        read(arrays.places(&mut blocks), false)?
    };
    let items = clips.into_iter().enumerate();
    items.map(|(index, clip)| item(py, clip, |count| arrays.clip(index, count))).collect()
}

/// One file of a batch; those of its samples that lie in an array already are `placed` there.
fn item<'py>(
    py: Python<'py>,
    clip: offkey_core::Result<PlacedClip>,
    placed: impl FnOnce(usize) -> PyResult<Bound<'py, PyArray1<f32>>>,
) -> PyResult<BatchItem<'py>> {
    match clip {
        Ok(PlacedClip { clip, placed: None }) => {
            Ok((clip.samples.into_pyarray(py), clip.sample_rate, clip.source_rate, None))
        }
        Ok(PlacedClip { clip, placed: Some(count) }) => {
            Ok((placed(count)?, clip.sample_rate, clip.source_rate, None))
        }
        Err(error) => {
            let exception = call::exception(error).into_value(py).into_any();
            Ok((Vec::new().into_pyarray(py), 0, 0, Some(exception)))
        }
    }
}

/// One channel of a file, block by block.
#[pyclass(frozen, module = "offkey._native")]
struct AudioBlocks(Mutex<Blocks>);

#[pymethods]
impl AudioBlocks {
    #[new]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        channel: Option<usize>,
        sample_rate: Option<u32>,
    ) -> PyResult<Self> {
        let choice = choice_of_channel(channel);
        call::run(py, Cost::UNKNOWN, |cancel| Blocks::open(&path, choice, sample_rate, cancel))
            .map(|blocks| Self(Mutex::new(blocks)))
    }

    /// Samples a second of the blocks, and of the file itself.
    #[getter]
    fn rates(&self) -> (u32, u32) {
        let blocks = self.blocks();
        (blocks.sample_rate(), blocks.source_rate())
    }

    /// The next samples, `size` of them or fewer at the end; `None` behind it.
    fn next<'py>(&self, py: Python<'py>, size: usize) -> PyResult<Option<Bound<'py, PyArray1<f32>>>> {
        let block = call::run(py, Cost::UNKNOWN, |cancel| self.blocks().next(size, cancel))?;
        Ok(block.map(|samples| samples.into_pyarray(py)))
    }
}

impl AudioBlocks {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A planned conversion between two rates.
#[pyclass(frozen, module = "offkey._native", name = "Resampler")]
struct RateConverter(Resampler);

#[pymethods]
impl RateConverter {
    #[new]
    fn new(py: Python<'_>, from_rate: u32, to_rate: u32) -> PyResult<Self> {
        call::run(py, Cost::SMALL, |_| Resampler::new(from_rate, to_rate)).map(Self)
    }

    /// (channels, samples) at the one rate to the other.
    fn process<'py>(
        &self,
        py: Python<'py>,
        samples: &Bound<'py, PyArray2<f32>>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let samples = Values::new("samples", samples)?;
        let &[channels, frames] = samples.shape() else { unreachable!("an array of two axes") };
        let size = samples.len().max(channels.saturating_mul(self.0.len(frames as u64) as usize));
        let samples = &*samples;
        let work = |cancel: &_| self.0.process_channels(samples, channels, cancel);
        let out = call::run(py, Cost::of(size, OPERATIONS), work)?;
        matrix(py, out, [channels, self.0.len(frames as u64) as usize])
    }
}

/// What each sample that goes in or comes out of a conversion takes.
const OPERATIONS: usize = 100;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(audio_info, module)?)?;
    module.add_function(wrap_pyfunction!(read_audio, module)?)?;
    module.add_function(wrap_pyfunction!(read_audio_batch, module)?)?;
    module.add_class::<AudioBlocks>()?;
    module.add_class::<RateConverter>()
}
