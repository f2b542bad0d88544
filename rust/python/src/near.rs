//! Near anomalies of log-Mel spectrograms: one kind on one clip, and a kind drawn for each clip of a batch.

use crate::arrays::{Places, Values, indices, output};
use crate::call::{self, Cost};
use numpy::{PyArray1, PyArray2, PyArray3};
use offkey_core::Result;
use offkey_core::augment::near::{self, Kind};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

/// Operations for each cell.
const CELL: usize = 20;

#[pyfunction]
#[pyo3(signature = (kind, parameters, logmel, *, deviation_db, seed, out))]
fn near_anomaly<'py>(
    py: Python<'py>,
    kind: &str,
    parameters: &Bound<'py, PyArray2<f64>>,
    logmel: &Bound<'py, PyArray2<f32>>,
    deviation_db: Option<Bound<'py, PyArray1<f32>>>,
    seed: u64,
    out: Option<Bound<'py, PyArray2<f32>>>,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let (parameters, logmel) = (Values::new("parameters", parameters)?, Values::new("logmel", logmel)?);
    let size: [usize; 2] = logmel.shape().try_into().expect("an array of two axes");
    let deviation_db = deviation_db.as_ref().map(|array| Values::new("deviation_db", array)).transpose()?;
    let deviation_db: &[f32] = deviation_db.as_ref().map_or(&[], |values| values);
    let out = output(py, out, size)?;
    let mut places = Places::new("out", &out)?;
    let (parameters, logmel, places) = (&*parameters, &*logmel, &mut *places);
    call::run(py, Cost::of(logmel.len(), CELL), |cancel| {
        let kind = Kind::from_name(kind)?;
        near::near_anomaly(kind, parameters, logmel, size, deviation_db, seed, places, cancel)
    })?;
    Ok(out)
}

#[pyfunction]
#[pyo3(signature = (logmels, kinds, *, deviations_db, seeds, out, num_threads))]
#[allow(clippy::too_many_arguments, clippy::type_complexity)] // named in Python
fn near_anomalies<'py>(
    py: Python<'py>,
    logmels: &Bound<'py, PyArray3<f32>>,
    kinds: Vec<String>,
    deviations_db: &Bound<'py, PyArray2<f32>>,
    seeds: &Bound<'py, PyArray1<u64>>,
    out: Option<Bound<'py, PyArray3<f32>>>,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<(Bound<'py, PyArray3<f32>>, Bound<'py, PyArray1<i64>>)> {
    let (logmels, seeds) = (Values::new("logmels", logmels)?, Values::new("seeds", seeds)?);
    let deviations_db = Values::new("deviation_db", deviations_db)?;
    let shape: [usize; 3] = logmels.shape().try_into().expect("an array of three axes");
    let out = output(py, out, shape)?;
    let mut places = Places::new("out", &out)?;
    let (logmels, deviations_db, seeds, places) = (&*logmels, &*deviations_db, &*seeds, &mut *places);
    let kinds = call::run(py, Cost::of(logmels.len(), CELL), |cancel| {
        let kinds = kinds.iter().map(|name| Kind::from_name(name)).collect::<Result<Vec<_>>>()?;
        near::near_anomalies(logmels, shape, &kinds, deviations_db, seeds, places, num_threads, cancel)
    })?;
    Ok((out, indices(py, kinds)))
}

/// What a seed stands for: the name of each parameter with its numbers, one for each time that the kind is there.
#[pyfunction]
#[pyo3(signature = (kind, *, n_mels, frames, seed))]
fn draw_near_anomaly(
    kind: &str,
    n_mels: usize,
    frames: usize,
    seed: u64,
) -> PyResult<Vec<(&'static str, Vec<f64>)>> {
    let kind = Kind::from_name(kind).map_err(call::exception)?;
    let (columns, rows) = (kind.columns(), near::draw(kind, n_mels, frames, seed));
    let column = |i: usize| rows.iter().copied().skip(i).step_by(columns.len()).collect();
    Ok(columns.iter().enumerate().map(|(i, parameter)| (parameter.name, column(i))).collect())
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(near_anomaly, module)?)?;
    module.add_function(wrap_pyfunction!(near_anomalies, module)?)?;
    module.add_function(wrap_pyfunction!(draw_near_anomaly, module)?)
}
