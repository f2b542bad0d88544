//! Gaussian fits, whitening factors and batched quadratic forms.

use crate::arrays::{Places, Values, describe, in_words, indices, matrix, output};
use crate::call::{self, ArrayError, Cost, ParameterError};
use numpy::ndarray::{Dimension, Ix1, Ix2, Ix3};
use numpy::prelude::*;
use numpy::{PyArray, PyArray1, PyArray2, PyArray3};
use offkey_core::gaussian::{self, Covariance, Measure, Plan};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

/// Rows of float32 or float64, C-contiguous.
enum Rows<'py> {
    Single(Values<'py, f32, Ix2>),
    Double(Values<'py, f64, Ix2>),
}

/// Run `$body` with `$x` bound to the rows as a slice of their own type.
macro_rules! with_rows {
    ($rows:expr, $x:ident => $body:expr) => {
        match &$rows {
            Rows::Single(values) => {
                let $x: &[f32] = values;
                $body
            }
            Rows::Double(values) => {
                let $x: &[f64] = values;
                $body
            }
        }
    };
}

impl<'py> Rows<'py> {
    fn new(x: &Bound<'py, PyAny>) -> PyResult<Self> {
        if let Ok(array) = x.cast::<PyArray2<f32>>() {
            return Values::new("x", array).map(Self::Single);
        }
        if let Ok(array) = x.cast::<PyArray2<f64>>() {
            return Values::new("x", array).map(Self::Double);
        }
        let given = describe(x);
        Err(ArrayError::new_err(format!("x: {given}; expected a float32 or float64 array (n, d)")))
    }

    /// Rows of so many features.
    fn of(x: &Bound<'py, PyAny>, dim: usize) -> PyResult<Self> {
        let rows = Self::new(x)?;
        match rows.shape() {
            [_, columns] if columns == dim => Ok(rows),
            [count, columns] => {
                let text = format!("x: shape ({count}, {columns}); expected (n, {dim})");
                Err(ArrayError::new_err(text))
            }
        }
    }

    fn shape(&self) -> [usize; 2] {
        let shape = match self {
            Self::Single(values) => values.shape(),
            Self::Double(values) => values.shape(),
        };
        [shape[0], shape[1]]
    }
}

fn positions(name: &str, index: &Bound<'_, PyArray1<i64>>) -> PyResult<Vec<usize>> {
    let convert = |(at, &v): (usize, &i64)| {
        usize::try_from(v).map_err(|_| {
            ArrayError::new_err(format!("{name}: {v} at position {at}; expected numbers from 0"))
        })
    };
    Values::new(name, index)?.iter().enumerate().map(convert).collect()
}

type FitArrays<'py> = (
    Bound<'py, PyArray2<f64>>,
    Bound<'py, PyArray3<f64>>,
    Bound<'py, PyArray1<i64>>,
    Bound<'py, PyArray1<f64>>,
);

type WhitenArrays<'py> = (Bound<'py, PyArray3<f64>>, Bound<'py, PyArray1<f64>>);

/// Means (ids, d), covariances (m, d, d), the covariance of each ID (ids,), and shrinkages (m,).
#[pyfunction]
#[pyo3(signature = (x, index, ids, covariance, shared, num_threads=None))]
fn fit_gaussians<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    index: &Bound<'py, PyArray1<i64>>,
    ids: usize,
    covariance: &str,
    shared: bool,
    num_threads: Option<NonZeroUsize>,
) -> PyResult<FitArrays<'py>> {
    let covariance = match covariance {
        "empirical" => Covariance::Empirical,
        "ledoit_wolf" => Covariance::LedoitWolf,
        "oas" => Covariance::Oas,
        other => {
            return Err(ParameterError::new_err(format!(
                "covariance = {other:?}: expected \"ledoit_wolf\", \"oas\" or \"empirical\""
            )));
        }
    };
    let (rows, index) = (Rows::new(x)?, positions("index", index)?);
    let [count, dim] = rows.shape();
    let plan = Plan { dim, ids, covariance, shared };
    // A product for each row and each ID, and as much for the sums of each ID.
    let cost = Cost::of(count.saturating_add(ids), dim.saturating_mul(dim));
    let fit = with_rows!(rows, x => call::run(py, cost, |cancel| gaussian::fit(x, &index, plan, num_threads, cancel)))?;
    let covariances = fit.shrinkages.len();
    Ok((
        matrix(py, fit.means, [ids, dim])?,
        PyArray1::from_vec(py, fit.covariances).reshape([covariances, dim, dim])?,
        indices(py, fit.which),
        PyArray1::from_vec(py, fit.shrinkages),
    ))
}

/// Upper triangular factors W (m, d, d) with W W' = (S + ridge t I)^-1, t = trace(S) / d, and the ridges (m,).
#[pyfunction]
fn whiten<'py>(py: Python<'py>, covariances: &Bound<'py, PyArray3<f64>>) -> PyResult<WhitenArrays<'py>> {
    let values = Values::new("covariances", covariances)?;
    let [count, dim] = square("covariances", &values)?;
    let (values, size) = (&*values, dim * dim);
    let whitened = call::run(py, Cost::of(values.len(), dim), |cancel| {
        let whiten = |covariance| gaussian::whitening(covariance, dim, cancel);
        values.chunks_exact(size).map(whiten).collect::<offkey_core::Result<Vec<_>>>()
    })?;
    let ridges = PyArray1::from_iter(py, whitened.iter().map(|w| w.ridge));
    let factors = whitened.into_iter().flat_map(|w| w.factor).collect();
    Ok((PyArray1::from_vec(py, factors).reshape([count, dim, dim])?, ridges))
}

fn square(name: &str, matrices: &Values<'_, f64, Ix3>) -> PyResult<[usize; 2]> {
    match *matrices.shape() {
        [count, rows, columns] if rows == columns && rows > 0 => Ok([count, rows]),
        ref shape => {
            Err(ArrayError::new_err(format!("{name}: shape {shape:?}; expected (m, d, d) with d above 0")))
        }
    }
}

/// Several quadratic forms |W' (x - mean)|^2, ready for many rows.
#[pyclass(frozen, module = "offkey._native")]
struct QuadraticForms(gaussian::QuadraticForms);

#[pymethods]
impl QuadraticForms {
    #[new]
    #[pyo3(signature = (means, factors, which=None))]
    fn new(
        py: Python<'_>,
        means: &Bound<'_, PyArray2<f64>>,
        factors: &Bound<'_, PyArray3<f64>>,
        which: Option<&Bound<'_, PyArray1<i64>>>,
    ) -> PyResult<Self> {
        let (means, factors) = (Values::new("means", means)?, Values::new("factors", factors)?);
        let [count, dim] = square("factors", &factors)?;
        let [forms, columns] = [means.shape()[0], means.shape()[1]];
        let which = which.map_or_else(|| Ok((0..count).collect()), |which| positions("which", which))?;
        if columns != dim || forms != which.len() {
            let text = format!("means: shape ({forms}, {columns}); expected ({}, {dim})", which.len());
            return Err(ArrayError::new_err(text));
        }
        let (means, factors) = (&*means, &*factors);
        let plan = |cancel: &_| gaussian::QuadraticForms::new(dim, means, factors, &which, cancel);
        call::run(py, Cost::of(factors.len(), dim), plan).map(Self)
    }

    /// Every row of x (n, d) in every form: (n, forms), into an array if one is given; roots are taken if asked for.
    #[pyo3(signature = (x, out=None, num_threads=None, root=false))]
    fn all<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        out: Option<&Bound<'py, PyAny>>,
        num_threads: Option<NonZeroUsize>,
        root: bool,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let rows = Rows::of(x, self.0.dim())?;
        let [count, forms] = [rows.shape()[0], self.0.count()];
        let out = distances::<Ix2, 2>(py, out, [count, forms])?;
        let mut places = Places::new("out", &out)?;
        let (places, cost) = (&mut *places, self.cost(count, forms));
        with_rows!(rows, x => call::run(py, cost, |cancel| {
            self.0.all_into(x, measure(root), places, num_threads, cancel)
        }))?;
        Ok(out)
    }

    /// Row i of x (n, d) in form index[i] only: (n,), into an array if one is given; roots are taken if asked for.
    #[pyo3(signature = (x, index, out=None, num_threads=None, root=false))]
    fn own<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        index: &Bound<'py, PyArray1<i64>>,
        out: Option<&Bound<'py, PyAny>>,
        num_threads: Option<NonZeroUsize>,
        root: bool,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (rows, index) = (Rows::of(x, self.0.dim())?, Values::new("index", index)?);
        let count = rows.shape()[0];
        let out = distances::<Ix1, 1>(py, out, [count])?;
        let mut places = Places::new("out", &out)?;
        let (index, places, cost) = (&*index, &mut *places, self.cost(count, 1));
        with_rows!(rows, x => call::run(py, cost, |cancel| {
            self.0.own_into(x, index, measure(root), places, num_threads, cancel)
        }))?;
        Ok(out)
    }
}

impl QuadraticForms {
    fn cost(&self, rows: usize, forms: usize) -> Cost {
        Cost::of(rows.saturating_mul(forms), self.0.dim().saturating_mul(self.0.dim()))
    }
}

fn measure(root: bool) -> Measure {
    if root { Measure::Distance } else { Measure::Square }
}

/// The caller's array for results, or a new one.
fn distances<'py, D: Dimension, const N: usize>(
    py: Python<'py>,
    out: Option<&Bound<'py, PyAny>>,
    shape: [usize; N],
) -> PyResult<Bound<'py, PyArray<f64, D>>> {
    let cast = |out: &Bound<'py, PyAny>| {
        out.cast::<PyArray<f64, D>>().cloned().map_err(|_| {
            let expected = format!("a float64 array of shape {}", in_words(&shape));
            ArrayError::new_err(format!("out: {}; expected {expected}", describe(out)))
        })
    };
    output(py, out.map(cast).transpose()?, shape)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fit_gaussians, module)?)?;
    module.add_function(wrap_pyfunction!(whiten, module)?)?;
    module.add_class::<QuadraticForms>()
}
