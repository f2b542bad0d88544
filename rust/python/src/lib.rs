//! `offkey._native`: parse, release the GIL, call the core, wrap. No arithmetic here.

mod call;
mod gaussian;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    gaussian::register(module)?;
    Ok(())
}
