//! The one place where the GIL is released, Ctrl-C is heard, and panics and errors become exceptions.

use offkey_core::Error;
use offkey_core::par::Cancel;
use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::time::Duration;

pyo3::import_exception!(offkey.errors, AudioError);
pyo3::import_exception!(offkey.errors, ArrayError);
pyo3::import_exception!(offkey.errors, ParameterError);
pyo3::import_exception!(offkey.errors, UnsupportedAudioError);

/// How often a long call looks whether Ctrl-C was pressed.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// Multiplications that end before anybody would press Ctrl-C again, even without vectors.
const SHORT: usize = 100_000_000;

/// Run short work on this thread with the GIL released.
pub(crate) fn short<T: Send>(
    py: Python<'_>,
    work: impl FnOnce() -> offkey_core::Result<T> + Send,
) -> PyResult<T> {
    finish(py.detach(|| catch_unwind(AssertUnwindSafe(work))))
}

/// Run long work on a thread of its own with the GIL released, so that this thread can hear Ctrl-C.
///
/// The work must look at the flag that it is given; the call returns only when it has ended.
pub(crate) fn long<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Cancel) -> offkey_core::Result<T> + Send,
) -> PyResult<T> {
    let cancel = Cancel::default();
    let (done, mut heard) = mpsc::channel();
    let outcome = std::thread::scope(|scope| {
        let cancel = &cancel;
        let worker = scope.spawn(move || {
            let result = catch_unwind(AssertUnwindSafe(|| work(cancel)));
            // The receiver outlives this thread; a failed send could only mean that nobody waits any more.
            let _ = done.send(());
            result
        });
        let mut signal = Ok(());
        loop {
            let heard = &mut heard; // unique, so that it may be used with the GIL released
            if py.detach(move || heard.recv_timeout(SIGNAL_INTERVAL)) != Err(mpsc::RecvTimeoutError::Timeout)
            {
                break;
            }
            if signal.is_ok() {
                signal = py.check_signals().inspect_err(|_| cancel.cancel());
            }
        }
        let result = py.detach(|| worker.join()).and_then(|result| result);
        signal.map(|()| result)
    })?;
    finish(outcome)
}

/// Run work of about this many multiplications: short work on this thread, long work as [`long`] does.
pub(crate) fn sized<T: Send>(
    py: Python<'_>,
    multiplications: usize,
    work: impl FnOnce(&Cancel) -> offkey_core::Result<T> + Send,
) -> PyResult<T> {
    if multiplications < SHORT { short(py, || work(&Cancel::default())) } else { long(py, work) }
}

fn finish<T>(outcome: std::thread::Result<offkey_core::Result<T>>) -> PyResult<T> {
    match outcome {
        Ok(result) => result.map_err(exception),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Err(PyRuntimeError::new_err(format!("a fault in offkey itself, please report it: {text}")))
        }
    }
}

/// The Python exception of a core error: built-in ones for built-in causes, `offkey.errors` for ours.
pub(crate) fn exception(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::Io { path, source } => match source.raw_os_error() {
            // OSError(errno, text, file) picks FileNotFoundError, IsADirectoryError, PermissionError by itself.
            Some(code) => PyOSError::new_err((code, system_text(&source), path.into_os_string())),
            None => PyOSError::new_err(text),
        },
        Error::Decode { .. } => AudioError::new_err(text),
        Error::Unsupported { .. } => UnsupportedAudioError::new_err(text),
        Error::Parameter { .. } => ParameterError::new_err(text),
        Error::Interrupted => pyo3::exceptions::PyKeyboardInterrupt::new_err(text),
        _ => ArrayError::new_err(text),
    }
}

/// The system's words without Rust's "(os error 2)".
fn system_text(source: &std::io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
