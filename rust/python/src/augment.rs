//! Augmentations: single effects on one clip, and the augmenter of batches.

use crate::arrays::{output, row_major, row_major_mut, writable};
use crate::call;
use numpy::ndarray::{Array1, Array2, Dimension};
use numpy::{
    IntoPyArray, PyArray, PyArray1, PyArray2, PyArray3, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyReadonlyArray3,
};
use offkey_core::augment::{self, Class, Key, Ranges, Shape};
use offkey_core::par::Cancel;
use offkey_core::rng::Stream;
use offkey_core::{Error, Result};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

type Samples<'py> = Bound<'py, PyArray1<f32>>;
type LogMel<'py> = Bound<'py, PyArray2<f32>>;

/// Samples up to which a stretch runs on this thread: it takes a quarter of a second at most.
const SHORT: usize = 1 << 20;

#[pyfunction]
#[pyo3(signature = (samples, *, snr_db, seed, out=None))]
fn white_noise<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    snr_db: f64,
    seed: u64,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let stream = &mut Stream::new(&[seed]);
    match out {
        None => Ok(call::short(py, || augment::white_noise(samples, snr_db, stream))?.into_pyarray(py)),
        Some(out) => write(py, out, |out| augment::white_noise_into(samples, snr_db, stream, out)),
    }
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
#[pyo3(signature = (samples, *, fade_in, fade_out, shape))]
fn fade_in_place<'py>(
    py: Python<'py>,
    samples: Samples<'py>,
    fade_in: usize,
    fade_out: usize,
    shape: &str,
) -> PyResult<Samples<'py>> {
    write(py, samples, |samples| augment::fade_in_place(samples, fade_in, fade_out, Shape::from_name(shape)?))
}

#[pyfunction]
#[pyo3(signature = (samples, *, shift, out=None))]
fn time_shift<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    shift: i64,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    match out {
        None => Ok(call::short(py, || augment::time_shift(samples, shift))?.into_pyarray(py)),
        Some(out) => write(py, out, |out| augment::time_shift_into(samples, shift, out)),
    }
}

#[pyfunction]
#[pyo3(signature = (samples, *, rate, sample_rate, out=None))]
fn time_stretch<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    rate: f64,
    sample_rate: u32,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let into = |out: &mut [f32], cancel: &Cancel| {
        augment::time_stretch_into(samples, rate, sample_rate, out, cancel)
    };
    match out {
        None => {
            let work = |cancel: &Cancel| augment::time_stretch(samples, rate, sample_rate, cancel);
            Ok(stoppable(py, samples.len(), work)?.into_pyarray(py))
        }
        Some(out) => write_stoppable(py, out, samples.len(), into),
    }
}

#[pyfunction]
#[pyo3(signature = (samples, *, semitones, sample_rate, out=None))]
fn pitch_shift<'py>(
    py: Python<'py>,
    samples: PyReadonlyArray1<'py, f32>,
    semitones: f64,
    sample_rate: u32,
    out: Option<Samples<'py>>,
) -> PyResult<Samples<'py>> {
    let samples = row_major("samples", &samples)?;
    let into = |out: &mut [f32], cancel: &Cancel| {
        augment::pitch_shift_into(samples, semitones, sample_rate, out, cancel)
    };
    match out {
        None => {
            let work = |cancel: &Cancel| augment::pitch_shift(samples, semitones, sample_rate, cancel);
            Ok(stoppable(py, samples.len(), work)?.into_pyarray(py))
        }
        Some(out) => write_stoppable(py, out, samples.len(), into),
    }
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn time_mask<'py>(
    py: Python<'py>,
    logmel: PyReadonlyArray2<'py, f32>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<LogMel<'py>> {
    let shape = (logmel.dims()[0], logmel.dims()[1]);
    let logmel = row_major("logmel", &logmel)?;
    let work = || augment::time_mask(logmel, shape.1, start..start.saturating_add(width), value);
    matrix(py, call::short(py, work)?, shape)
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn time_mask_in_place<'py>(
    py: Python<'py>,
    logmel: LogMel<'py>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<LogMel<'py>> {
    let n_frames = logmel.dims()[1];
    let frames = start..start.saturating_add(width);
    write(py, logmel, |logmel| augment::time_mask_in_place(logmel, n_frames, frames, value))
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn frequency_mask<'py>(
    py: Python<'py>,
    logmel: PyReadonlyArray2<'py, f32>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<LogMel<'py>> {
    let shape = (logmel.dims()[0], logmel.dims()[1]);
    let logmel = row_major("logmel", &logmel)?;
    let work = || augment::frequency_mask(logmel, shape.1, start..start.saturating_add(width), value);
    matrix(py, call::short(py, work)?, shape)
}

#[pyfunction]
#[pyo3(signature = (logmel, *, start, width, value))]
fn frequency_mask_in_place<'py>(
    py: Python<'py>,
    logmel: LogMel<'py>,
    start: usize,
    width: usize,
    value: Option<f32>,
) -> PyResult<LogMel<'py>> {
    let n_frames = logmel.dims()[1];
    let bins = start..start.saturating_add(width);
    write(py, logmel, |logmel| augment::frequency_mask_in_place(logmel, n_frames, bins, value))
}

/// Write into a row-major array and give it back.
fn write<'py, D: Dimension>(
    py: Python<'py>,
    out: Bound<'py, PyArray<f32, D>>,
    work: impl FnOnce(&mut [f32]) -> Result<()> + Send,
) -> PyResult<Bound<'py, PyArray<f32, D>>> {
    let mut target = writable("out", &out)?;
    let values = row_major_mut("out", &mut target)?;
    call::short(py, || work(values))?;
    drop(target);
    Ok(out)
}

/// [`write`] by work that takes long where the clip is long.
fn write_stoppable<'py>(
    py: Python<'py>,
    out: Samples<'py>,
    samples: usize,
    work: impl FnOnce(&mut [f32], &Cancel) -> Result<()> + Send,
) -> PyResult<Samples<'py>> {
    let mut target = writable("out", &out)?;
    let values = row_major_mut("out", &mut target)?;
    stoppable(py, samples, |cancel| work(values, cancel))?;
    drop(target);
    Ok(out)
}

/// Work on a clip, on a thread of its own only if that could take long: starting one costs tens of microseconds.
fn stoppable<T: Send>(
    py: Python<'_>,
    samples: usize,
    work: impl FnOnce(&Cancel) -> Result<T> + Send,
) -> PyResult<T> {
    if samples <= SHORT { call::short(py, || work(&Cancel::default())) } else { call::long(py, work) }
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

    #[pyo3(signature = (batch, *, seed, epoch, clips, occurrences, out, num_threads))]
    #[allow(clippy::too_many_arguments, clippy::type_complexity)] // named in Python
    fn apply<'py>(
        &self,
        py: Python<'py>,
        batch: PyReadonlyArray2<'py, f32>,
        seed: u64,
        epoch: u64,
        clips: PyReadonlyArray1<'py, u64>,
        occurrences: PyReadonlyArray1<'py, u64>,
        out: Option<Bound<'py, PyArray2<f32>>>,
        num_threads: Option<NonZeroUsize>,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Bound<'py, PyArray2<f32>>, Bound<'py, PyArray1<i64>>)> {
        let (rows, samples) = (batch.dims()[0], batch.dims()[1]);
        let batch = row_major("batch", &batch)?;
        let keys = keys(seed, epoch, row_major("clips", &clips)?, row_major("occurrences", &occurrences)?)?;
        let out = output(py, out, [rows, samples])?;
        let mut target = writable("out", &out)?;
        let target = row_major_mut("out", &mut target)?;
        let done =
            call::long(py, |cancel| self.0.apply_batch(batch, samples, &keys, target, num_threads, cancel))?;
        let row = |(time, frequency): (augment::Band, augment::Band)| {
            [time.start, time.width, frequency.start, frequency.width]
        };
        let masks = done.masks.into_iter().flat_map(row).collect();
        Ok((out, matrix(py, masks, (rows, 4))?, indices(py, done.classes)))
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
