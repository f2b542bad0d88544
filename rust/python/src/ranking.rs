//! Counts for ROC curves and the area under them.

use crate::arrays::Values;
use crate::call::{self, Cost};
use numpy::PyArray1;
use offkey_core::ranking;
use pyo3::prelude::*;

type Counts<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// How many of the rising values (n,) are at or above each of the rising thresholds (m,), and how many above: (m,).
#[pyfunction]
fn counts_from<'py>(
    py: Python<'py>,
    values: &Bound<'py, PyArray1<f64>>,
    thresholds: &Bound<'py, PyArray1<f64>>,
) -> PyResult<Counts<'py>> {
    let (values, thresholds) = (Values::new("values", values)?, Values::new("thresholds", thresholds)?);
    let (values, thresholds) = (&*values, &*thresholds);
    let cost = Cost::of(values.len() + thresholds.len(), 8);
    let (at_or_above, above) =
        call::run(py, cost, |cancel| ranking::counts_from(values, thresholds, cancel))?;
    Ok((PyArray1::from_vec(py, at_or_above), PyArray1::from_vec(py, above)))
}

/// Over all pairs of a normal (n,) and an anomaly (m,): 2 if the anomaly is higher, 1 if both are equal; no NaN.
#[pyfunction]
fn wins(
    py: Python<'_>,
    normals: &Bound<'_, PyArray1<f64>>,
    anomalies: &Bound<'_, PyArray1<f64>>,
) -> PyResult<u64> {
    let (normals, anomalies) = (Values::new("normals", normals)?, Values::new("anomalies", anomalies)?);
    let (normals, anomalies) = (&*normals, &*anomalies);
    let cost = Cost::of(normals.len() + anomalies.len(), 64);
    call::run(py, cost, |cancel| ranking::wins(normals, anomalies, cancel))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(counts_from, module)?)?;
    module.add_function(wrap_pyfunction!(wins, module)?)
}
