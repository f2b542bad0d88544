//! Numpy arrays as slices, and what is said of arrays that cannot be taken.

use crate::call::ArrayError;
use numpy::ndarray::Dimension;
use numpy::{
    BorrowError, Element, IntoPyArray, PyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray,
    PyReadwriteArray, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyTuple;
use std::ops::{Deref, DerefMut};

/// The values of an array that is read, in row-major order; no other call of offkey writes to it meanwhile.
pub(crate) struct Values<'py, T: Element, D: Dimension>(PyReadonlyArray<'py, T, D>);

impl<'py, T: Element, D: Dimension> Values<'py, T, D> {
    /// An array that is not laid out so is refused, never read as if it were.
    pub(crate) fn new(name: &str, array: &Bound<'py, PyArray<T, D>>) -> PyResult<Self> {
        let array = array.try_readonly().map_err(|_| {
            let text =
                "another call writes to it; expected an array that stays as it is until the call is over";
            ArrayError::new_err(format!("{name}: {text}"))
        })?;
        // A slice is also had of an array in column-major order, in that order.
        if array.is_c_contiguous() && array.as_slice().is_ok() {
            return Ok(Self(array));
        }
        let what = if array.is_c_contiguous() { "not aligned" } else { "not C-contiguous" };
        Err(ArrayError::new_err(format!("{name}: {what}; expected numpy.ascontiguousarray({name})")))
    }

    pub(crate) fn shape(&self) -> &[usize] {
        self.0.shape()
    }
}

impl<T: Element, D: Dimension> Deref for Values<'_, T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice().expect("looked at when it was borrowed")
    }
}

/// The places of an array that is written to, in row-major order; no other call of offkey uses it meanwhile.
pub(crate) struct Places<'py, T: Element, D: Dimension>(PyReadwriteArray<'py, T, D>);

impl<'py, T: Element, D: Dimension> Places<'py, T, D> {
    pub(crate) fn new(name: &str, array: &Bound<'py, PyArray<T, D>>) -> PyResult<Self> {
        let refuse = |what| {
            let expected = "a C-contiguous array that can be written to and that nothing else uses meanwhile";
            ArrayError::new_err(format!("{name}: {what}; expected {expected}"))
        };
        let mut array = array.try_readwrite().map_err(|error| match error {
            BorrowError::NotWriteable => refuse("read-only"),
            _ => refuse("shares memory with what is read, or another call uses it"),
        })?;
        if array.is_c_contiguous() && array.as_slice_mut().is_ok() {
            return Ok(Self(array));
        }
        Err(refuse(if array.is_c_contiguous() { "not aligned" } else { "not C-contiguous" }))
    }
}

impl<T: Element, D: Dimension> Deref for Places<'_, T, D> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_slice().expect("looked at when it was borrowed")
    }
}

impl<T: Element, D: Dimension> DerefMut for Places<'_, T, D> {
    fn deref_mut(&mut self) -> &mut [T] {
        self.0.as_slice_mut().expect("looked at when it was borrowed")
    }
}

/// The caller's array to write into, which must have this shape, or else a new one of numpy's: its memory need not be
/// cleared first, and numpy asks the system for large pages.
pub(crate) fn output<'py, T: Element, D: Dimension, const N: usize>(
    py: Python<'py>,
    out: Option<Bound<'py, PyArray<T, D>>>,
    shape: [usize; N],
) -> PyResult<Bound<'py, PyArray<T, D>>> {
    static EMPTY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let Some(out) = out else {
        let empty = EMPTY.import(py, "numpy", "empty")?;
        return Ok(empty.call1((PyTuple::new(py, shape)?, T::get_dtype(py)))?.cast_into()?);
    };
    if out.shape() == shape {
        return Ok(out);
    }
    let [given, expected] = [out.shape(), &shape].map(in_words);
    Err(ArrayError::new_err(format!("out: shape {given}; expected {expected}")))
}

/// Values in row-major order as an array of two axes.
pub(crate) fn matrix<T: Element>(
    py: Python<'_>,
    values: Vec<T>,
    shape: [usize; 2],
) -> PyResult<Bound<'_, PyArray2<T>>> {
    values.into_pyarray(py).reshape(shape)
}

/// Indices as numpy has them.
pub(crate) fn indices(py: Python<'_>, values: Vec<usize>) -> Bound<'_, PyArray1<i64>> {
    PyArray1::from_iter(py, values.into_iter().map(|index| index as i64))
}

/// What an object is, in words: type, and dtype and shape of an array.
pub(crate) fn describe(object: &Bound<'_, PyAny>) -> String {
    match object.cast::<PyUntypedArray>() {
        Ok(array) => format!("an array of dtype {} and shape {}", array.dtype(), in_words(array.shape())),
        Err(_) => object.get_type().name().map_or("an object".to_owned(), |name| format!("a {name}")),
    }
}

/// A shape as numpy writes it.
pub(crate) fn in_words(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let last = if sizes.len() == 1 { "," } else { "" };
    format!("({}{last})", sizes.join(", "))
}
