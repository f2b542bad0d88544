//! Numpy arrays as slices.

use crate::call::ArrayError;
use numpy::ndarray::Dimension;
use numpy::{Element, PyReadonlyArray, PyReadwriteArray, PyUntypedArrayMethods};
use pyo3::prelude::*;

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
