//! Counts for ROC curves and the area under them.

use crate::arrays::row_major;
use crate::call;
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::prelude::*;

type Counts<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>);

/// How many of the rising values (n,) are at or above each of the rising thresholds (m,), and how many above: (m,).
#[pyfunction]
fn counts_from<'py>(
    py: Python<'py>,
    values: PyReadonlyArray1<'py, f64>,
    thresholds: PyReadonlyArray1<'py, f64>,
) -> PyResult<Counts<'py>> {
    let (values, thresholds) = (row_major("values", &values)?, row_major("thresholds", &thresholds)?);
    let (at_or_above, above) = call::short(py, || Ok(offkey_core::ranking::counts_from(values, thresholds)))?;
    Ok((PyArray1::from_vec(py, at_or_above), PyArray1::from_vec(py, above)))
}

/// Over all pairs of a normal (n,) and an anomaly (m,): 2 if the anomaly is higher, 1 if both are equal; no NaN.
#[pyfunction]
fn wins(
    py: Python<'_>,
    normals: PyReadonlyArray1<'_, f64>,
    anomalies: PyReadonlyArray1<'_, f64>,
) -> PyResult<u64> {
    let (normals, anomalies) = (row_major("normals", &normals)?, row_major("anomalies", &anomalies)?);
    call::short(py, || Ok(offkey_core::ranking::wins(normals, anomalies)))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(counts_from, module)?)?;
    module.add_function(wrap_pyfunction!(wins, module)?)
}
