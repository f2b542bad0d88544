//! Numpy arrays as slices.

use crate::call::ArrayError;
use numpy::ndarray::Dimension;
use numpy::{Element, PyArray, PyArrayMethods, PyReadonlyArray, PyReadwriteArray, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The values of an array in row-major order; an array that is not laid out so is refused, never read as if it were.
pub(crate) fn row_major<'a, T: Element, D: Dimension>(
    name: &str,
    array: &'a PyReadonlyArray<'_, T, D>,
) -> PyResult<&'a [T]> {
    // `as_slice` alone would also take an array in column-major order, and give its values in that order.
    let values = array.as_slice().ok().filter(|_| array.is_c_contiguous());
    values.ok_or_else(|| {
        ArrayError::new_err(format!("{name}: not C-contiguous; expected numpy.ascontiguousarray({name})"))
    })
}

/// [`row_major`] of an array that is written to.
pub(crate) fn row_major_mut<'a, T: Element, D: Dimension>(
    name: &str,
    array: &'a mut PyReadwriteArray<'_, T, D>,
) -> PyResult<&'a mut [T]> {
    let row_major = array.is_c_contiguous();
    let values = array.as_slice_mut().ok().filter(|_| row_major);
    values.ok_or_else(|| {
        ArrayError::new_err(format!(
            "{name}: not C-contiguous; expected one that can be written to row by row"
        ))
    })
}

/// The caller's array to write into, which must have this shape, or else a new one of numpy's: its memory need not be
/// cleared first, and numpy asks the system for large pages.
pub(crate) fn output<'py, D: Dimension, const N: usize>(
    py: Python<'py>,
    out: Option<Bound<'py, PyArray<f32, D>>>,
    shape: [usize; N],
) -> PyResult<Bound<'py, PyArray<f32, D>>> {
    let Some(out) = out else {
        let empty = py.import("numpy")?.getattr("empty")?;
        return Ok(empty.call1((PyTuple::new(py, shape)?, "float32"))?.cast_into()?);
    };
    if out.shape() == shape {
        return Ok(out);
    }
    let [given, expected] = [out.shape(), &shape].map(|shape| format!("{shape:?}").replace(['[', ']'], ""));
    Err(ArrayError::new_err(format!("out: shape ({given}); expected ({expected})")))
}

/// An array to be written to while others are read.
pub(crate) fn writable<'py, T: Element, D: Dimension>(
    name: &str,
    array: &Bound<'py, PyArray<T, D>>,
) -> PyResult<PyReadwriteArray<'py, T, D>> {
    array.try_readwrite().map_err(|error| {
        ArrayError::new_err(format!(
            "{name}: {error}; expected an array of its own that can be written to, apart from what is read"
        ))
    })
}
