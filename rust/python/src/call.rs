//! The one doorway to the core: here the GIL is released, Ctrl-C is heard, and panics and errors become exceptions.

use offkey_core::Error;
use offkey_core::par::Cancel;
use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError, PyRuntimeError};
use pyo3::prelude::*;
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

pyo3::import_exception!(offkey.errors, AudioError);
pyo3::import_exception!(offkey.errors, ArrayError);
pyo3::import_exception!(offkey.errors, ParameterError);
pyo3::import_exception!(offkey.errors, UnsupportedAudioError);

/// How often a long call looks whether Ctrl-C was pressed.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

/// About how many operations on one number a call takes, an operation being a nanosecond where there are no vectors.
#[derive(Clone, Copy)]
pub(crate) struct Cost(usize);

impl Cost {
    /// Up to here work ends before anybody would press Ctrl-C again, and a thread of its own is not worth its start.
    const SHORT: usize = 100_000_000;
    /// Work that is short whatever it is given.
    pub(crate) const SMALL: Self = Self(0);
    /// Work that may take any time, as reading files does.
    pub(crate) const UNKNOWN: Self = Self(usize::MAX);

    /// `each` operations for each of `count` things.
    pub(crate) fn of(count: usize, each: usize) -> Self {
        Self(count.saturating_mul(each))
    }
}

/// What work ends with: its result, or what it said when it panicked.
type Outcome<T> = Result<offkey_core::Result<T>, String>;

/// Run work with the GIL released: long work on a thread of its own, so that this thread can hear Ctrl-C.
///
/// The work must look at the flag that it is given; the call returns only when it has ended.
pub(crate) fn run<T: Send>(
    py: Python<'_>,
    cost: Cost,
    work: impl FnOnce(&Cancel) -> offkey_core::Result<T> + Send,
) -> PyResult<T> {
    let outcome = if cost.0 <= Cost::SHORT {
        py.detach(|| caught(|| work(&Cancel::default())))
    } else {
        listening(py, work)?
    };
    settled(outcome)
}

/// The result of work, or the exception that its error or panic becomes.
fn settled<T>(outcome: Outcome<T>) -> PyResult<T> {
    let panicked =
        |text| PyRuntimeError::new_err(format!("a fault in offkey itself, please report it: {text}"));
    outcome.map_err(panicked)?.map_err(exception)
}

/// Run work on a thread of its own while this one hears Ctrl-C; on this one where the system has no thread left.
fn listening<T: Send>(
    py: Python<'_>,
    work: impl FnOnce(&Cancel) -> offkey_core::Result<T> + Send,
) -> PyResult<Outcome<T>> {
    let cancel = Cancel::default();
    let work = Mutex::new(Some(work)); // a thread that cannot be started would take the work itself along
    let perform = || {
        let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        caught(|| work.expect("one thread performs it")(&cancel))
    };
    let (done, mut waiting) = mpsc::channel();
    std::thread::scope(|scope| {
        let perform = &perform;
        let started = Builder::new().spawn_scoped(scope, move || {
            let outcome = perform();
            // The receiver outlives this thread; a failed send could only mean that nobody waits any more.
            let _ = done.send(());
            outcome
        });
        let Ok(worker) = started else { return Ok(py.detach(perform)) };
        let mut signal = Ok(());
        loop {
            let waiting = &mut waiting; // unique, so that it may be used with the GIL released
            if py.detach(move || waiting.recv_timeout(SIGNAL_INTERVAL))
                != Err(mpsc::RecvTimeoutError::Timeout)
            {
                break;
            }
            if signal.is_ok() {
                signal = py.check_signals().inspect_err(|_| cancel.cancel());
            }
        }
        let outcome = py.detach(|| worker.join()).unwrap_or_else(|panic| Err(text_of(&*panic)));
        signal.map(|()| outcome)
    })
}

/// Work that goes on while Python does something else: batches are put in, and come out in the same order.
///
/// It ends when it is dropped; a batch that is on its way then ends with the item at hand.
pub(crate) struct Stream<I, T> {
    work: Work<I, T>,
    cancel: Arc<Cancel>,
    ends: Mutex<Ends<I, T>>,
}

/// What is done to a batch.
type Work<I, T> = Arc<dyn Fn(I, &Cancel) -> offkey_core::Result<T> + Send + Sync>;

/// Where batches go in and come out. Without a thread, where the system has none left, they wait here.
struct Ends<I, T> {
    input: Option<mpsc::Sender<I>>,
    output: mpsc::Receiver<Outcome<T>>,
    waiting: VecDeque<I>,
    thread: Option<JoinHandle<()>>,
}

impl<I: Send + 'static, T: Send + 'static> Stream<I, T> {
    pub(crate) fn new(work: impl Fn(I, &Cancel) -> offkey_core::Result<T> + Send + Sync + 'static) -> Self {
        let work: Work<I, T> = Arc::new(work);
        let cancel = Arc::new(Cancel::default());
        let (input, batches) = mpsc::channel();
        let (results, output) = mpsc::channel();
        let perform = {
            let (work, cancel) = (Arc::clone(&work), Arc::clone(&cancel));
            move || {
                for batch in batches {
                    if results.send(caught(|| work(batch, &cancel))).is_err() {
                        break; // nobody waits any more
                    }
                }
            }
        };
        let thread = Builder::new().name("offkey-stream".to_owned()).spawn(perform).ok();
        let input = thread.is_some().then_some(input);
        Self { work, cancel, ends: Mutex::new(Ends { input, output, waiting: VecDeque::new(), thread }) }
    }

    pub(crate) fn put(&self, batch: I) {
        let mut ends = self.ends();
        match &ends.input {
            // The thread ends only with this sender.
            Some(input) => input.send(batch).expect("the thread waits for batches"),
            None => ends.waiting.push_back(batch),
        }
    }

    /// What became of the first batch that was put in and not yet taken out, of which there must be one.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<T> {
        if let Some(batch) = self.ends().waiting.pop_front() {
            return run(py, Cost::UNKNOWN, |cancel| (self.work)(batch, cancel));
        }
        loop {
            match py.detach(|| self.ends().output.recv_timeout(SIGNAL_INTERVAL)) {
                Ok(outcome) => return settled(outcome),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    py.check_signals().inspect_err(|_| self.cancel.cancel())?;
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(PyRuntimeError::new_err("take: nothing was put in"));
                }
            }
        }
    }

    fn ends(&self) -> MutexGuard<'_, Ends<I, T>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I, T> Drop for Stream<I, T> {
    fn drop(&mut self) {
        self.cancel.cancel();
        let ends = self.ends.get_mut().unwrap_or_else(PoisonError::into_inner);
        ends.input = None;
        if let Some(thread) = ends.thread.take() {
            let _ = thread.join(); // what it panicked with was caught
        }
    }
}

fn caught<T>(work: impl FnOnce() -> offkey_core::Result<T>) -> Outcome<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| text_of(&*panic))
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
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
        Error::Decode { .. } | Error::Memory { .. } => AudioError::new_err(text),
        Error::Unsupported { .. } => UnsupportedAudioError::new_err(text),
        Error::Parameter { .. } => ParameterError::new_err(text),
        Error::Array { .. } => ArrayError::new_err(text),
        Error::Interrupted => PyKeyboardInterrupt::new_err(text),
    }
}

/// The system's words without Rust's "(os error 2)".
fn system_text(source: &std::io::Error) -> String {
    let text = source.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
