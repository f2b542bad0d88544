//! `offkey._native`: parse, release the GIL, call the core, wrap. No arithmetic here.

mod augment;
mod call;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    augment::register(module)?;
    Ok(())
}
