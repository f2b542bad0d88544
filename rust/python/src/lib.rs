//! `offkey._native`: parse, release the GIL, call the core, wrap. No arithmetic here.

mod audio;
mod call;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    audio::add_to(module)?;
    Ok(())
}
