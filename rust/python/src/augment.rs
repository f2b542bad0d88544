//! Augmentations: single effects on one clip, and the augmenter of batches.

use crate::arrays::row_major;
use crate::call;
use numpy::ndarray::{Array1, Array2};
use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use offkey_core::augment::{self, Class, Key, Ranges, Shape};
use offkey_core::rng::Stream;
use offkey_core::{Error, Result};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

type Samples<'py> = Bound<'py, PyArray1<f32>>;
type LogMel<'py> = Bound<'py, PyArray2<f32>>;

#[pyfunction]
#[pyo3(signature = (samples, *, snr_db, seed))]
fn white_noise<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    snr_db: f64,
    seed: u64,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let out = call::short(py, || augment::white_noise(samples, snr_db, &mut Stream::new(&[seed])))?;
    Ok(out.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (samples, *, fade_in, fade_out, shape))]
fn fade<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    fade_in: usize,
    fade_out: usize,
    shape: &str,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let work = || augment::fade(samples, fade_in, fade_out, Shape::from_name(shape)?);
    Ok(call::short(py, work)?.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (samples, *, shift))]
fn time_shift<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    shift: i64,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    Ok(call::short(py, || augment::time_shift(samples, shift))?.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (samples, *, rate, sample_rate))]
fn time_stretch<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    rate: f64,
    sample_rate: u32,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let out = call::long(py, |cancel| augment::time_stretch(samples, rate, sample_rate, cancel))?;
    Ok(out.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (samples, *, semitones, sample_rate))]
fn pitch_shift<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    semitones: f64,
    sample_rate: u32,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let out = call::long(py, |cancel| augment::pitch_shift(samples, semitones, sample_rate, cancel))?;
    Ok(out.into_pyarray(py))
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width))]
fn time_mask<'py>(
    py: Python<'py>,
    logmel: PyReadonlyArray2<'py, f32>,
    start: usize,
    width: usize,
) -> PyResult<LogMel<'py>> {
    let shape = (logmel.dims()[0], logmel.dims()[1]);
    let logmel = row_major("logmel", &logmel)?;
    let work = || augment::time_mask(logmel, shape.1, start..start.saturating_add(width));
    matrix(py, call::short(py, work)?, shape)
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width))]
fn frequency_mask<'py>(
    py: Python<'py>,
    logmel: PyReadonlyArray2<'py, f32>,
    start: usize,
    width: usize,
) -> PyResult<LogMel<'py>> {
    let shape = (logmel.dims()[0], logmel.dims()[1]);
    let logmel = row_major("logmel", &logmel)?;
    let work = || augment::frequency_mask(logmel, shape.1, start..start.saturating_add(width));
    matrix(py, call::short(py, work)?, shape)
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
        let make = || augment::Augmenter::new(parse_classes(&classes)?, ranges, sample_rate);
        call::short(py, make).map(Self)
    }

    #[pyo3(signature = (batch, *, seed, epoch, clips, occurrences, num_threads))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)] // named in Python
    fn apply<'py>(
        &self,
        py: Python<'py>,
        batch: PyReadonlyArray2<'py, f32>,
        seed: u64,
        epoch: u64,
        clips: PyReadonlyArray1<'py, u64>,
        occurrences: PyReadonlyArray1<'py, u64>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<i64>>)> {
        let (rows, samples) = (batch.dims()[0], batch.dims()[1]);
        let batch = row_major("batch", &batch)?;
        let keys = keys(seed, epoch, row_major("clips", &clips)?, row_major("occurrences", &occurrences)?)?;
        let done = call::long(py, |cancel| self.0.apply_batch(batch, samples, &keys, num_threads, cancel))?;
        let row = |(time, frequency): (augment::Band, augment::Band)| {
            [time.start, time.width, frequency.start, frequency.width]
        };
        let masks = done.masks.into_iter().flat_map(row).collect();
        Ok((
            matrix(py, done.samples, (rows, samples))?,
            matrix(py, masks, (rows, 4))?,
            indices(py, done.classes),
        ))
    }
}

#[pyfunction]
#[pyo3(signature = (logmels, classes, *, mask_fraction, seed, epoch, clips, occurrences, num_threads))]
#[allow(clippy::too_many_arguments, clippy::type_complexity)] // named in Python
fn augment_logmels<'py>(
    py: Python<'py>,
    logmels: PyReadonlyArray3<'py, f32>,
    classes: Vec<String>,
    mask_fraction: f64,
    seed: u64,
    epoch: u64,
    clips: PyReadonlyArray1<'py, u64>,
    occurrences: PyReadonlyArray1<'py, u64>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<(Bound<'py, PyArray3<f32>>, Bound<'py, PyArray1<i64>>)> {
    let shape = [0, 1, 2].map(|axis| logmels.dims()[axis]);
    let logmels = row_major("logmels", &logmels)?;
    let keys = keys(seed, epoch, row_major("clips", &clips)?, row_major("occurrences", &occurrences)?)?;
    let (out, classes) = call::long(py, |cancel| {
        let classes = parse_classes(&classes)?;
        augment::augment_logmels(logmels, shape, &classes, mask_fraction, &keys, num_threads, cancel)
    })?;
    let out = PyArray1::from_vec(py, out).reshape(shape)?;
    Ok((out, indices(py, classes)))
}

fn parse_classes(names: &[String]) -> Result<Vec<Class>> {
    names.iter().map(|name| Class::from_name(name)).collect()
}

fn keys(seed: u64, epoch: u64, clips: &[u64], occurrences: &[u64]) -> PyResult<Vec<Key>> {
    if clips.len() != occurrences.len() {
        let given = format!("{} for {} clips", occurrences.len(), clips.len());
        return Err(call::exception(Error::array("occurrences", given, "one for each clip")));
    }
    let pairs = clips.iter().zip(occurrences);
    Ok(pairs.map(|(&clip, &occurrence)| Key { seed, epoch, clip, occurrence }).collect())
}

fn matrix(py: Python<'_>, values: Vec<f32>, shape: (usize, usize)) -> PyResult<Bound<'_, PyArray2<f32>>> {
    let array = Array2::from_shape_vec(shape, values);
    let array = array.map_err(|error| Error::array("output", error.to_string(), "a matrix"));
    Ok(array.map_err(call::exception)?.into_pyarray(py))
}

fn indices(py: Python<'_>, values: Vec<usize>) -> Bound<'_, PyArray1<i64>> {
    values.into_iter().map(|i| i as i64).collect::<Array1<i64>>().into_pyarray(py)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(white_noise, module)?)?;
    module.add_function(wrap_pyfunction!(fade, module)?)?;
    module.add_function(wrap_pyfunction!(time_shift, module)?)?;
    module.add_function(wrap_pyfunction!(time_stretch, module)?)?;
    module.add_function(wrap_pyfunction!(pitch_shift, module)?)?;
    module.add_function(wrap_pyfunction!(time_mask, module)?)?;
    module.add_function(wrap_pyfunction!(frequency_mask, module)?)?;
    module.add_function(wrap_pyfunction!(augment_logmels, module)?)?;
    module.add_class::<Augmenter>()
}
