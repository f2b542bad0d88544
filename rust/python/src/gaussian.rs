//! Gaussian fits, whitening factors and batched quadratic forms.

use crate::arrays::row_major;
use crate::call::{self, ArrayError, ParameterError};
use numpy::ndarray::{Dimension, Ix1, Ix2};
use numpy::prelude::*;
use numpy::{
    BorrowError, PyArray, PyArray1, PyArray2, PyArray3, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArray3,
    PyReadwriteArray,
};
use offkey_core::gaussian::{self, Covariance, Measure, Plan};
use pyo3::prelude::*;
use std::num::NonZeroUsize;

/// Rows of float32 or float64, C-contiguous.
enum Rows<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

/// Run `$body` with `$x` bound to the rows as a slice of their own type.
macro_rules! with_rows {
    ($rows:expr, $x:ident => $body:expr) => {
        match &$rows {
            Rows::Single(array) => {
                let $x = row_major("x", array)?;
                $body
            }
            Rows::Double(array) => {
                let $x = row_major("x", array)?;
                $body
            }
        }
    };
}

impl<'py> Rows<'py> {
    fn new(x: &Bound<'py, PyAny>, dim: Option<usize>) -> PyResult<Self> {
        let rows = if let Ok(array) = x.extract() {
            Self::Single(array)
        } else if let Ok(array) = x.extract() {
            Self::Double(array)
        } else {
            return Err(ArrayError::new_err(format!(
                "x: {}; expected a float32 or float64 array (n, d)",
                describe(x)
            )));
        };
        let given = rows.shape();
        match dim {
            Some(dim) if given[1] != dim => {
                let text = format!("x: shape ({}, {}); expected (n, {dim})", given[0], given[1]);
                Err(ArrayError::new_err(text))
            }
            _ => Ok(rows),
        }
    }

    fn shape(&self) -> [usize; 2] {
        let shape = match self {
            Self::Single(array) => array.shape(),
            Self::Double(array) => array.shape(),
        };
        [shape[0], shape[1]]
    }
}

/// What an object is, in words: type, and dtype and shape of an array.
fn describe(object: &Bound<'_, PyAny>) -> String {
    match object.cast::<numpy::PyUntypedArray>() {
        Ok(array) => format!("an array of dtype {} and shape {:?}", array.dtype(), array.shape()),
        Err(_) => object.get_type().name().map_or("an object".to_owned(), |name| format!("a {name}")),
    }
}

fn positions(name: &str, index: &PyReadonlyArray1<'_, i64>) -> PyResult<Vec<usize>> {
    let convert = |(at, &v): (usize, &i64)| {
        usize::try_from(v).map_err(|_| {
            ArrayError::new_err(format!("{name}: {v} at position {at}; expected numbers from 0"))
        })
    };
    row_major(name, index)?.iter().enumerate().map(convert).collect()
}

fn threads(num_threads: Option<i64>) -> PyResult<Option<NonZeroUsize>> {
    let convert = |n: i64| {
        usize::try_from(n).ok().and_then(NonZeroUsize::new).ok_or_else(|| {
            ParameterError::new_err(format!("num_threads = {n}: expected at least 1, or None for all cores"))
        })
    };
    num_threads.map(convert).transpose()
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
    index: PyReadonlyArray1<'py, i64>,
    ids: usize,
    covariance: &str,
    shared: bool,
    num_threads: Option<i64>,
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
    let rows = Rows::new(x, None)?;
    let (index, threads) = (positions("index", &index)?, threads(num_threads)?);
    let dim = rows.shape()[1];
    let plan = Plan { dim, ids, covariance, shared };
    let fit = with_rows!(rows, x => call::sized(py, x.len() * dim, |cancel| gaussian::fit(x, &index, plan, threads, cancel)))?;
    let count = fit.shrinkages.len();
    Ok((
        PyArray1::from_vec(py, fit.means).reshape([ids, dim])?,
        PyArray1::from_vec(py, fit.covariances).reshape([count, dim, dim])?,
        PyArray1::from_iter(py, fit.which.into_iter().map(|which| which as i64)),
        PyArray1::from_vec(py, fit.shrinkages),
    ))
}

/// Upper triangular factors W (m, d, d) with W W' = (S + ridge t I)^-1, t = trace(S) / d, and the ridges (m,).
#[pyfunction]
fn whiten<'py>(py: Python<'py>, covariances: PyReadonlyArray3<'py, f64>) -> PyResult<WhitenArrays<'py>> {
    let [count, dim] = square("covariances", &covariances)?;
    let values = row_major("covariances", &covariances)?;
    let whitened = call::short(py, || {
        values
            .chunks_exact(dim * dim)
            .map(|s| gaussian::whitening(s, dim))
            .collect::<offkey_core::Result<Vec<_>>>()
    })?;
    let ridges = PyArray1::from_iter(py, whitened.iter().map(|w| w.ridge));
    let factors = whitened.into_iter().flat_map(|w| w.factor).collect();
    Ok((PyArray1::from_vec(py, factors).reshape([count, dim, dim])?, ridges))
}

fn square(name: &str, matrices: &PyReadonlyArray3<'_, f64>) -> PyResult<[usize; 2]> {
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
        means: PyReadonlyArray2<'_, f64>,
        factors: PyReadonlyArray3<'_, f64>,
        which: Option<PyReadonlyArray1<'_, i64>>,
    ) -> PyResult<Self> {
        let [count, dim] = square("factors", &factors)?;
        let [forms, columns] = [means.shape()[0], means.shape()[1]];
        let which = which.map_or_else(|| Ok((0..count).collect()), |which| positions("which", &which))?;
        if columns != dim || forms != which.len() {
            let text = format!("means: shape ({forms}, {columns}); expected ({}, {dim})", which.len());
            return Err(ArrayError::new_err(text));
        }
        let means = row_major("means", &means)?;
        let factors = row_major("factors", &factors)?;
        gaussian::QuadraticForms::new(dim, means, factors, &which).map(Self).map_err(call::exception)
    }

    /// Every row of x (n, d) in every form: (n, forms); roots are taken if asked for.
    #[pyo3(signature = (x, num_threads=None, root=false))]
    fn all<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
        root: bool,
    ) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let (rows, threads) = (Rows::new(x, Some(self.0.dim()))?, threads(num_threads)?);
        let (work, measure) = (self.work(rows.shape()[0], self.0.count()), measure(root));
        let out =
            with_rows!(rows, x => call::sized(py, work, |cancel| self.0.all(x, measure, threads, cancel)))?;
        PyArray1::from_vec(py, out).reshape([rows.shape()[0], self.0.count()])
    }

    /// The same into an array (n, forms).
    #[pyo3(signature = (x, out, num_threads=None, root=false))]
    fn all_into<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        out: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
        root: bool,
    ) -> PyResult<()> {
        let (rows, threads) = (Rows::new(x, Some(self.0.dim()))?, threads(num_threads)?);
        let [count, forms] = [rows.shape()[0], self.0.count()];
        let mut out = results::<Ix2>(out, &[count, forms])?;
        let (out, work, measure) = (places(&mut out)?, self.work(count, forms), measure(root));
        with_rows!(rows, x => call::sized(py, work, |cancel| self.0.all_into(x, measure, out, threads, cancel)))
    }

    /// Row i of x (n, d) in form index[i] only: (n,); roots are taken if asked for.
    #[pyo3(signature = (x, index, num_threads=None, root=false))]
    fn own<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        index: PyReadonlyArray1<'py, i64>,
        num_threads: Option<i64>,
        root: bool,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (rows, threads) = (Rows::new(x, Some(self.0.dim()))?, threads(num_threads)?);
        let (index, work, measure) =
            (row_major("index", &index)?, self.work(rows.shape()[0], 1), measure(root));
        let out = with_rows!(rows, x => call::sized(py, work, |cancel| self.0.own(x, index, measure, threads, cancel)))?;
        Ok(PyArray1::from_vec(py, out))
    }

    /// The same into an array (n,).
    #[pyo3(signature = (x, index, out, num_threads=None, root=false))]
    fn own_into<'py>(
        &self,
        py: Python<'py>,
        x: &Bound<'py, PyAny>,
        index: PyReadonlyArray1<'py, i64>,
        out: &Bound<'py, PyAny>,
        num_threads: Option<i64>,
        root: bool,
    ) -> PyResult<()> {
        let (rows, threads) = (Rows::new(x, Some(self.0.dim()))?, threads(num_threads)?);
        let count = rows.shape()[0];
        let mut out = results::<Ix1>(out, &[count])?;
        let (index, out) = (row_major("index", &index)?, places(&mut out)?);
        let (work, measure) = (self.work(count, 1), measure(root));
        with_rows!(rows, x => call::sized(py, work, |cancel| self.0.own_into(x, index, measure, out, threads, cancel)))
    }
}

impl QuadraticForms {
    /// Multiplications that this many rows take.
    fn work(&self, rows: usize, forms: usize) -> usize {
        rows.saturating_mul(forms).saturating_mul(self.0.dim().saturating_mul(self.0.dim()))
    }
}

fn measure(root: bool) -> Measure {
    if root { Measure::Distance } else { Measure::Square }
}

/// The given array for results, to be written to.
fn results<'py, D: Dimension>(
    out: &Bound<'py, PyAny>,
    shape: &[usize],
) -> PyResult<PyReadwriteArray<'py, f64, D>> {
    let refuse = |given: String| {
        ArrayError::new_err(format!(
            "out: {given}; expected a float64 array of shape {shape:?}, C-contiguous and writeable"
        ))
    };
    let array = out.cast::<PyArray<f64, D>>().map_err(|_| refuse(describe(out)))?;
    if array.shape() != shape || !array.is_c_contiguous() {
        let order = if array.is_c_contiguous() { "" } else { ", not C-contiguous" };
        return Err(refuse(format!("{}{order}", describe(out))));
    }
    array.try_readwrite().map_err(|error| {
        refuse(match error {
            BorrowError::NotWriteable => "an array that is read-only".to_owned(),
            _ => "an array that shares memory with x or index".to_owned(),
        })
    })
}

fn places<'a, D: Dimension>(out: &'a mut PyReadwriteArray<'_, f64, D>) -> PyResult<&'a mut [f64]> {
    out.as_slice_mut().map_err(|_| ArrayError::new_err("out: not C-contiguous; expected an array that is"))
}

/// Every row of x (n, d) in every form: (n, forms).
#[pyfunction]
#[pyo3(signature = (x, means, factors, num_threads=None))]
fn quadratic_forms<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    means: PyReadonlyArray2<'py, f64>,
    factors: PyReadonlyArray3<'py, f64>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray2<f64>>> {
    QuadraticForms::new(means, factors, None)?.all(py, x, num_threads, false)
}

/// Row i of x (n, d) in form index[i] only: (n,).
#[pyfunction]
#[pyo3(signature = (x, means, factors, index, num_threads=None))]
fn quadratic_forms_own<'py>(
    py: Python<'py>,
    x: &Bound<'py, PyAny>,
    means: PyReadonlyArray2<'py, f64>,
    factors: PyReadonlyArray3<'py, f64>,
    index: PyReadonlyArray1<'py, i64>,
    num_threads: Option<i64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    QuadraticForms::new(means, factors, None)?.own(py, x, index, num_threads, false)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(fit_gaussians, module)?)?;
    module.add_function(wrap_pyfunction!(whiten, module)?)?;
    module.add_function(wrap_pyfunction!(quadratic_forms, module)?)?;
    module.add_function(wrap_pyfunction!(quadratic_forms_own, module)?)?;
    module.add_class::<QuadraticForms>()
}
