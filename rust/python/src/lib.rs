//! `offkey._native`: parse, release the GIL, call the core, wrap. No arithmetic here.

#![forbid(unsafe_code)]

mod arrays;
mod audio;
mod augment;
mod call;
mod clip_arrays;
mod features;
mod gaussian;
mod measures;
mod near;
mod quality;
mod ranking;

use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether the processor multiplies bfloat16 numbers by itself.
#[pyfunction]
fn bfloat16_in_hardware() -> bool {
    offkey_core::processor::bfloat16_in_hardware()
}

/// Look numpy's functions up now. Where they are looked up first in a call that Ctrl-C interrupts, the bindings of
/// numpy panic.
fn load_numpy(py: Python<'_>) -> PyResult<()> {
    py.import("numpy")?;
    let load = || PyArray1::<f32>::zeros(py, 0, false).try_readonly().is_ok();
    catch_unwind(AssertUnwindSafe(load))
        .map(|_| ())
        .map_err(|_| PyImportError::new_err("numpy's functions cannot be looked up, or that was interrupted"))
}

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    load_numpy(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("DEBUG_BUILD", cfg!(debug_assertions))?; // benchmarks refuse such a build
    module.add_function(wrap_pyfunction!(bfloat16_in_hardware, module)?)?;
    let level = offkey_core::simd::SimdLevel::limited().map_err(|e| PyImportError::new_err(e.to_string()))?;
    module.add("SIMD_LEVEL", level.name())?; // benchmarks say what they measured
    gaussian::register(module)?;
    quality::register(module)?;
    ranking::register(module)?;
    features::register(module)?;
    measures::register(module)?;
    augment::register(module)?;
    near::register(module)?;
    audio::register(module)
}
