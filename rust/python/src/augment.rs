//! Augmentations: single effects on one clip, and the augmenter of batches.

use crate::arrays::{Places, Values, indices, matrix, output};
use crate::call::{self, Cost};
use numpy::ndarray::Dimension;
use numpy::{IntoPyArray, PyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyUntypedArrayMethods};
use offkey_core::augment::{self, Class, Key, Ranges, Shape};
use offkey_core::par::Cancel;
use offkey_core::rng::Stream;
use offkey_core::{Error, Result};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

type Samples<'py> = Bound<'py, PyArray1<f32>>;
type Matrix<'py> = Bound<'py, PyArray2<f32>>;

/// Operations for each sample of effects that pass over a clip once, drawing noise at the most.
const PASS: usize = 10;
/// Operations for each sample of a stretch or a shift in pitch.
const STRETCH: usize = 250;

#[pyfunction]
#[pyo3(signature = (samples, *, snr_db, seed, out=None))]
fn white_noise<'py>(
    py: Python<'py>,
    samples: &Samples<'py>,
    snr_db: f64,
    seed: u64,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = &*Values::new("samples", samples)?;
    let stream = &mut Stream::new(&[seed]);
    match out {
        None => new(py, samples, PASS, |_| augment::white_noise(samples, snr_db, stream)),
        Some(out) => write(py, out, PASS, |out, _| augment::white_noise_into(samples, snr_db, stream, out)),
    }
}

#[pyfunction]
#[pyo3(signature = (samples, *, fade_in, fade_out, shape))]
fn fade<'py>(
    py: Python<'py>,
    samples: &Samples<'py>,
    fade_in: usize,
    fade_out: usize,
    shape: &str,
) -> PyResult<Samples<'py>> {
    let samples = &*Values::new("samples", samples)?;
    new(py, samples, PASS, |_| augment::fade(samples, fade_in, fade_out, Shape::from_name(shape)?))
}

#[pyfunction]
#[pyo3(signature = (samples, *, fade_in, fade_out, shape))]
fn fade_in_place<'py>(
    py: Python<'py>,
    samples: Samples<'py>,
    fade_in: usize,
    fade_out: usize,
    shape: &str,
) -> PyResult<Samples<'py>> {
    write(py, samples, PASS, |samples, _| {
        augment::fade_in_place(samples, fade_in, fade_out, Shape::from_name(shape)?)
    })
}

#[pyfunction]
#[pyo3(signature = (samples, *, shift, out=None))]
fn time_shift<'py>(
    py: Python<'py>,
    samples: &Samples<'py>,
    shift: i64,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = &*Values::new("samples", samples)?;
    match out {
        None => new(py, samples, PASS, |_| augment::time_shift(samples, shift)),
        Some(out) => write(py, out, PASS, |out, _| augment::time_shift_into(samples, shift, out)),
    }
}

#[pyfunction]
#[pyo3(signature = (samples, *, rate, sample_rate, out=None))]
fn time_stretch<'py>(
    py: Python<'py>,
    samples: &Samples<'py>,
    rate: f64,
    sample_rate: u32,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = &*Values::new("samples", samples)?;
    match out {
        None => new(py, samples, STRETCH, |cancel| augment::time_stretch(samples, rate, sample_rate, cancel)),
        Some(out) => write(py, out, STRETCH, |out, cancel| {
            augment::time_stretch_into(samples, rate, sample_rate, out, cancel)
        }),
    }
}

#[pyfunction]
#[pyo3(signature = (samples, *, semitones, sample_rate, out=None))]
fn pitch_shift<'py>(
    py: Python<'py>,
    samples: &Samples<'py>,
    semitones: f64,
    sample_rate: u32,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = &*Values::new("samples", samples)?;
    match out {
        None => {
            new(py, samples, STRETCH, |cancel| augment::pitch_shift(samples, semitones, sample_rate, cancel))
        }
        Some(out) => write(py, out, STRETCH, |out, cancel| {
            augment::pitch_shift_into(samples, semitones, sample_rate, out, cancel)
        }),
    }
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn time_mask<'py>(
    py: Python<'py>,
    logmel: &Matrix<'py>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<Matrix<'py>> {
    let logmel = Values::new("logmel", logmel)?;
    let &[n_mels, n_frames] = logmel.shape() else { unreachable!("an array of two axes") };
    let (frames, logmel) = (start..start.saturating_add(width), &*logmel);
    let work = |_: &_| augment::time_mask(logmel, n_frames, frames, value);
    matrix(py, call::run(py, Cost::of(logmel.len(), PASS), work)?, [n_mels, n_frames])
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn time_mask_in_place<'py>(
    py: Python<'py>,
    logmel: Matrix<'py>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<Matrix<'py>> {
    let n_frames = logmel.shape()[1];
    let frames = start..start.saturating_add(width);
    write(py, logmel, PASS, |logmel, _| augment::time_mask_in_place(logmel, n_frames, frames, value))
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn frequency_mask<'py>(
    py: Python<'py>,
    logmel: &Matrix<'py>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<Matrix<'py>> {
    let logmel = Values::new("logmel", logmel)?;
    let &[n_mels, n_frames] = logmel.shape() else { unreachable!("an array of two axes") };
    let (bins, logmel) = (start..start.saturating_add(width), &*logmel);
    let work = |_: &_| augment::frequency_mask(logmel, n_frames, bins, value);
    matrix(py, call::run(py, Cost::of(logmel.len(), PASS), work)?, [n_mels, n_frames])
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn frequency_mask_in_place<'py>(
    py: Python<'py>,
    logmel: Matrix<'py>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<Matrix<'py>> {
    let n_frames = logmel.shape()[1];
    let bins = start..start.saturating_add(width);
    write(py, logmel, PASS, |logmel, _| augment::frequency_mask_in_place(logmel, n_frames, bins, value))
}

/// A clip made of another, at so many operations for each sample.
fn new<'py>(
    py: Python<'py>,
    samples: &[f32],
    each: usize,
    work: impl FnOnce(&Cancel) -> Result<Vec<f32>> + Send,
) -> PyResult<Samples<'py>> {
    Ok(call::run(py, Cost::of(samples.len(), each), work)?.into_pyarray(py))
}

/// Write into an array, at so many operations for each of its numbers, and give it back.
fn write<'py, D: Dimension>(
    py: Python<'py>,
    out: Bound<'py, PyArray<f32, D>>,
    each: usize,
    work: impl FnOnce(&mut [f32], &Cancel) -> Result<()> + Send,
) -> PyResult<Bound<'py, PyArray<f32, D>>> {
    let mut places = Places::new("out", &out)?;
    let (places, cost) = (&mut *places, Cost::of(out.len(), each));
    call::run(py, cost, |cancel| work(places, cancel))?;
    Ok(out)
}

/// An augmenter of batches with its plans.
#[pyclass(frozen, module = "offkey._native")]
pub(crate) struct Augmenter(augment::Augmenter);

#[pymethods]
impl Augmenter {
    #[allow(clippy::too_many_arguments)] // named in Python
    #[new]
    #[pyo3(signature = (
        classes, *, sample_rate, snr_db, shift_s, stretch_rate, pitch_semitones, mask_fraction
    ))]
    fn new(
        py: Python<'_>,
        classes: Vec<String>,
        sample_rate: u32,
        snr_db: (f64, f64),
        shift_s: (f64, f64),
        stretch_rate: (f64, f64),
        pitch_semitones: (f64, f64),
        mask_fraction: f64,
    ) -> PyResult<Self> {
        let ranges = Ranges { snr_db, shift_s, stretch_rate, pitch_semitones, mask_fraction };
        let plan = |_: &_| augment::Augmenter::new(parse_classes(&classes)?, ranges, sample_rate);
        call::run(py, Cost::SMALL, plan).map(Self)
    }

    #[pyo3(signature = (batch, *, seed, epoch, clips, occurrences, out, num_threads))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)] // named in Python
    fn apply<'py>(
        &self,
        py: Python<'py>,
        batch: &Bound<'py, PyArray2<f32>>,
        seed: u64,
        epoch: u64,
        clips: &Bound<'py, PyArray1<u64>>,
        occurrences: &Bound<'py, PyArray1<u64>>,
        out: Option<Bound<'py, PyArray2<f32>>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<i64>>)> {
        let batch = Values::new("batch", batch)?;
        let &[rows, samples] = batch.shape() else { unreachable!("an array of two axes") };
        let keys = keys(seed, epoch, clips, occurrences)?;
        let out = output(py, out, [rows, samples])?;
        let mut places = Places::new("out", &out)?;
        let (batch, places) = (&*batch, &mut *places);
        let applied = call::run(py, Cost::of(batch.len(), STRETCH), |cancel| {
            self.0.apply_batch(batch, samples, &keys, places, num_threads, cancel)
        })?;
        let row = |(time, frequency): (augment::Band, augment::Band)| {
            [time.start, time.width, frequency.start, frequency.width]
        };
        let masks = applied.masks.into_iter().flat_map(row).collect();
        Ok((out, matrix(py, masks, [rows, 4])?, indices(py, applied.classes)))
    }
}

#[pyfunction]
#[pyo3(signature = (logmels, classes, *, mask_fraction, seed, epoch, clips, occurrences, num_threads))]
#[allow(clippy::too_many_arguments, clippy::type_complexity)] // named in Python
fn augment_logmels<'py>(
    py: Python<'py>,
    logmels: &Bound<'py, PyArray3<f32>>,
    classes: Vec<String>,
    mask_fraction: f64,
    seed: u64,
    epoch: u64,
    clips: &Bound<'py, PyArray1<u64>>,
    occurrences: &Bound<'py, PyArray1<u64>>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<(Bound<'py, PyArray3<f32>>, Bound<'py, PyArray1<i64>>)> {
    let logmels = Values::new("logmels", logmels)?;
    let shape: [usize; 3] = logmels.shape().try_into().expect("an array of three axes");
    let (keys, logmels) = (keys(seed, epoch, clips, occurrences)?, &*logmels);
    let (out, classes) = call::run(py, Cost::of(logmels.len(), PASS), |cancel| {
        let classes = parse_classes(&classes)?;
        augment::augment_logmels(logmels, shape, &classes, mask_fraction, &keys, num_threads, cancel)
    })?;
    let out = PyArray1::from_vec(py, out).reshape(shape)?;
    Ok((out, indices(py, classes)))
}

fn parse_classes(names: &[String]) -> Result<Vec<Class>> {
    names.iter().map(|name| Class::from_name(name)).collect()
}

fn keys(
    seed: u64,
    epoch: u64,
    clips: &Bound<'_, PyArray1<u64>>,
    occurrences: &Bound<'_, PyArray1<u64>>,
) -> PyResult<Vec<Key>> {
    let (clips, occurrences) = (Values::new("clips", clips)?, Values::new("occurrences", occurrences)?);
    if clips.len() != occurrences.len() {
        let given = format!("{} for {} clips", occurrences.len(), clips.len());
        return Err(call::exception(Error::array("occurrences", given, "one for each clip")));
    }
    let pairs = clips.iter().zip(occurrences.iter());
    Ok(pairs.map(|(&clip, &occurrence)| Key { seed, epoch, clip, occurrence }).collect())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(white_noise, module)?)?;
    module.add_function(wrap_pyfunction!(fade, module)?)?;
    module.add_function(wrap_pyfunction!(fade_in_place, module)?)?;
    module.add_function(wrap_pyfunction!(time_shift, module)?)?;
    module.add_function(wrap_pyfunction!(time_stretch, module)?)?;
    module.add_function(wrap_pyfunction!(pitch_shift, module)?)?;
    module.add_function(wrap_pyfunction!(time_mask, module)?)?;
    module.add_function(wrap_pyfunction!(time_mask_in_place, module)?)?;
    module.add_function(wrap_pyfunction!(frequency_mask, module)?)?;
    module.add_function(wrap_pyfunction!(frequency_mask_in_place, module)?)?;
    module.add_function(wrap_pyfunction!(augment_logmels, module)?)?;
    module.add_class::<Augmenter>()
}
