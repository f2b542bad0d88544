//! Augmentations: single effects on one clip, and the augmenter of batches.

use crate::arrays::{Places, Values, indices, matrix, output};
use crate::call::{self, Cost};
use numpy::ndarray::Dimension;
use numpy::{PyArray, PyArray1, PyArray2, PyArray3, PyUntypedArrayMethods};
use offkey_core::augment::{self, Axis, Class, Key, Ranges, Shape};
use offkey_core::par::Cancel;
use offkey_core::rng::RandomStream;
use offkey_core::{Error, Result};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

type Array1<'py> = Bound<'py, PyArray1<f32>>;
type Array2<'py> = Bound<'py, PyArray2<f32>>;

/// Operations for each sample of effects that pass over a clip once, drawing noise at the most.
const PASS: usize = 10;
/// Operations for each sample of a stretch or a shift in pitch.
const STRETCH: usize = 250;

#[pyfunction]
#[pyo3(signature = (samples, *, snr_db, seed, out=None))]
fn white_noise<'py>(
    py: Python<'py>,
    samples: &Array1<'py>,
    snr_db: f64,
    seed: u64,
    out: Option<Array1<'py>>,
) -> PyResult<Array1<'py>> {
    let clip = &*Values::new("samples", samples)?;
    let stream = &mut RandomStream::new(&[seed]);
    into(py, output(py, out, [clip.len()])?, PASS, |out, cancel| {
        augment::white_noise(clip, snr_db, stream, out, cancel)
    })
}

#[pyfunction]
#[pyo3(signature = (samples, *, shift, out=None))]
fn time_shift<'py>(
    py: Python<'py>,
    samples: &Array1<'py>,
    shift: i64,
    out: Option<Array1<'py>>,
) -> PyResult<Array1<'py>> {
    let clip = &*Values::new("samples", samples)?;
    into(py, output(py, out, [clip.len()])?, PASS, |out, cancel| {
        augment::time_shift(clip, shift, out, cancel)
    })
}

#[pyfunction]
#[pyo3(signature = (samples, *, rate, sample_rate, out=None))]
fn time_stretch<'py>(
    py: Python<'py>,
    samples: &Array1<'py>,
    rate: f64,
    sample_rate: u32,
    out: Option<Array1<'py>>,
) -> PyResult<Array1<'py>> {
    let clip = &*Values::new("samples", samples)?;
    let length = augment::stretched_length(clip.len(), rate).map_err(call::exception)?;
    into(py, output(py, out, [length])?, STRETCH, |out, cancel| {
        augment::time_stretch(clip, rate, sample_rate, out, cancel)
    })
}

#[pyfunction]
#[pyo3(signature = (samples, *, semitones, sample_rate, out=None))]
fn pitch_shift<'py>(
    py: Python<'py>,
    samples: &Array1<'py>,
    semitones: f64,
    sample_rate: u32,
    out: Option<Array1<'py>>,
) -> PyResult<Array1<'py>> {
    let clip = &*Values::new("samples", samples)?;
    into(py, output(py, out, [clip.len()])?, STRETCH, |out, cancel| {
        augment::pitch_shift(clip, semitones, sample_rate, out, cancel)
    })
}

#[pyfunction]
#[pyo3(signature = (samples, *, fade_in, fade_out, shape, in_place))]
fn fade<'py>(
    py: Python<'py>,
    samples: &Array1<'py>,
    fade_in: usize,
    fade_out: usize,
    shape: &str,
    in_place: bool,
) -> PyResult<Array1<'py>> {
    change(py, "samples", samples, [samples.len()], in_place, |clip, out, cancel| {
        augment::fade(clip, out, fade_in, fade_out, Shape::from_name(shape)?, cancel)
    })
}

#[pyfunction]
#[pyo3(signature = (logmel, *, axis, start, width, value, in_place))]
fn mask<'py>(
    py: Python<'py>,
    logmel: &Array2<'py>,
    axis: &str,
    start: usize,
    width: usize,
    value: Option<f32>,
    in_place: bool,
) -> PyResult<Array2<'py>> {
    let &[n_mels, n_frames] = logmel.shape() else { unreachable!("an array of two axes") };
    let bins = start..start.saturating_add(width);
    change(py, "logmel", logmel, [n_mels, n_frames], in_place, |logmel, out, cancel| {
        augment::mask(logmel, out, n_frames, Axis::from_name(axis)?, bins, value, cancel)
    })
}

/// Write into an array, at so many operations for each of its numbers, and give it back.
fn into<'py, D: Dimension>(
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

/// Change an array, or make a changed copy of it: the work is given the array to copy, if there is to be a copy.
fn change<'py, D: Dimension, const N: usize>(
    py: Python<'py>,
    name: &str,
    array: &Bound<'py, PyArray<f32, D>>,
    shape: [usize; N],
    in_place: bool,
    work: impl FnOnce(Option<&[f32]>, &mut [f32], &Cancel) -> Result<()> + Send,
) -> PyResult<Bound<'py, PyArray<f32, D>>> {
    if in_place {
        return into(py, array.clone(), PASS, |out, cancel| work(None, out, cancel));
    }
    let values = &*Values::new(name, array)?;
    into(py, output(py, None, shape)?, PASS, |out, cancel| work(Some(values), out, cancel))
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
    let out = output(py, None, shape)?;
    let mut places = Places::new("out", &out)?;
    let places = &mut *places;
    let classes = call::run(py, Cost::of(logmels.len(), PASS), |cancel| {
        let classes = parse_classes(&classes)?;
        augment::augment_logmels(logmels, shape, &classes, mask_fraction, &keys, places, num_threads, cancel)
    })?;
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
    module.add_function(wrap_pyfunction!(mask, module)?)?;
    module.add_function(wrap_pyfunction!(time_shift, module)?)?;
    module.add_function(wrap_pyfunction!(time_stretch, module)?)?;
    module.add_function(wrap_pyfunction!(pitch_shift, module)?)?;
    module.add_function(wrap_pyfunction!(augment_logmels, module)?)?;
    module.add_class::<Augmenter>()
}
