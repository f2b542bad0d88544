//! Gaussian scoring: mean and (shrunk) covariance of each machine ID, Cholesky whitening, and batched quadratic
//! forms `|W' (x - mean)|^2`, of which the squared Mahalanobis distance is one.
//!
//! Statistics and factors are always float64. Rows may be float32 or float64; see [`QuadraticForms`] for where
//! float32 arithmetic gives way to float64.

mod fit;
mod form;
mod moments;
mod packed;
mod quadratic;
mod tiles;
mod whitening;

pub use fit::{Covariance, Fit, Plan, fit};
pub use quadratic::{Measure, QuadraticForms};
pub use whitening::{Whitening, whitening};

use crate::{Error, Result};

/// A number of an input row: `f32` or `f64`.
pub trait Sample: Copy + Send + Sync + Into<f64> {
    /// The numbers as float32 if that is what they are: only then float32 arithmetic may be tried.
    fn narrow(x: &[Self]) -> Option<&[f32]>;
    /// The numbers as float64 if that is what they are.
    fn wide(x: &[Self]) -> Option<&[f64]>;
}

impl Sample for f32 {
    #[inline(always)]
    fn narrow(x: &[Self]) -> Option<&[Self]> {
        Some(x)
    }

    #[inline(always)]
    fn wide(_: &[Self]) -> Option<&[f64]> {
        None
    }
}

impl Sample for f64 {
    #[inline(always)]
    fn narrow(_: &[Self]) -> Option<&[f32]> {
        None
    }

    #[inline(always)]
    fn wide(x: &[Self]) -> Option<&[Self]> {
        Some(x)
    }
}

/// Number of rows of `x`, which must hold whole rows of `dim` numbers.
fn rows_of<T>(x: &[T], dim: usize) -> Result<usize> {
    if dim == 0 {
        return Err(Error::array("x", "rows of 0 features", "at least one feature"));
    }
    if !x.len().is_multiple_of(dim) {
        return Err(Error::array(
            "x",
            format!("{} numbers", x.len()),
            format!("a multiple of the dimension {dim}"),
        ));
    }
    Ok(x.len() / dim)
}

/// The error for row `row` of `x` whose statistics came out as infinite or NaN; `x` begins at row `first` of the input.
fn not_finite<T: Sample>(x: &[T], dim: usize, row: usize, first: usize) -> Error {
    let values = &x[row * dim..][..dim];
    let row = first + row;
    let value = |column: usize| -> f64 { values[column].into() };
    match (0..dim).find(|&column| !value(column).is_finite()) {
        Some(column) => Error::array(
            "x",
            format!("row {row} holds {} in column {column}", value(column)),
            "finite numbers only",
        ),
        None => Error::array("x", format!("row {row} is so large that float64 overflows"), "smaller numbers"),
    }
}
