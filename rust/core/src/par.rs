//! Threads that live for one call.
//!
//! No pool outlives the call, so a process may `fork` between calls (as PyTorch's `DataLoader` does) without
//! inheriting a pool whose threads are gone. Work is handed out item by item from one counter: items of unequal
//! cost balance themselves, and each item's result depends on the item alone, never on the thread.

use crate::{Error, Result};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// A flag that another thread may raise to stop a long call; looked at between items.
#[derive(Debug, Default)]
pub struct Cancel(AtomicBool);

impl Cancel {
    /// Ask the call that watches this flag to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// [`Error::Interrupted`] once the flag was raised.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// How many threads a call uses: the number asked for, or all cores, but never more than items.
#[must_use]
pub fn thread_count(asked: Option<NonZeroUsize>, items: usize) -> usize {
    if items <= 1 {
        return 1; // asking the system for its cores takes longer than many a small call
    }
    let wanted = asked.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    wanted.min(items).max(1)
}

/// Run `work(scratch, index, item)` for every item and return the results in order of the items.
///
/// `scratch` is made once for each thread. The first error in order of the items wins, whatever the threads did.
///
/// # Errors
/// The error of the first failing item, or [`Error::Interrupted`].
pub fn map<I, S, R>(
    items: Vec<I>,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize, I) -> Result<R> + Sync,
) -> Result<Vec<R>>
where
    I: Send,
    R: Send,
{
    let threads = thread_count(threads, items.len());
    if threads == 1 {
        let mut scratch = scratch();
        let run = |(index, item)| cancel.check().and_then(|()| work(&mut scratch, index, item));
        return items.into_iter().enumerate().map(run).collect();
    }
    let slots: Vec<Mutex<Option<I>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let results: Vec<Mutex<Option<Result<R>>>> = slots.iter().map(|_| Mutex::new(None)).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = || {
        let mut scratch = scratch();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= slots.len() || failed.load(Ordering::Relaxed) {
                return;
            }
            let item = slots[index].lock().expect("no holder of this lock panics").take();
            let item = item.expect("the counter hands every index out once");
            let result = cancel.check().and_then(|()| work(&mut scratch, index, item));
            if result.is_err() {
                failed.store(true, Ordering::Relaxed);
            }
            *results[index].lock().expect("no holder of this lock panics") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    // Indices are handed out in order and every one handed out is finished: up to the first error none is missing.
    let finished = results.into_iter().map_while(|slot| slot.into_inner().expect("all workers have joined"));
    finished.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_for_any_number_of_threads() {
        let expected: Vec<usize> = (0..1000).map(|i| i * i).collect();
        for threads in [1, 2, 7] {
            let got = map(
                (0..1000).collect(),
                NonZeroUsize::new(threads),
                &Cancel::default(),
                || (),
                |(), _, i| Ok(i * i),
            );
            assert_eq!(got.unwrap(), expected);
        }
    }

    #[test]
    fn the_first_error_in_order_wins() {
        for threads in [1, 2, 5] {
            let work = |(): &mut (), index: usize, ()| {
                if index >= 10 { Err(Error::parameter("index", index, "below 10")) } else { Ok(()) }
            };
            let got = map(vec![(); 100], NonZeroUsize::new(threads), &Cancel::default(), || (), work);
            assert_eq!(got.unwrap_err().to_string(), "index = 10: expected below 10");
        }
    }

    #[test]
    fn a_raised_flag_stops_the_call() {
        let cancel = Cancel::default();
        let work = |(): &mut (), index: usize, ()| {
            if index == 3 {
                cancel.cancel();
            }
            Ok(())
        };
        let got = map(vec![(); 100], NonZeroUsize::new(2), &cancel, || (), work);
        assert!(matches!(got, Err(Error::Interrupted)));
    }

    #[test]
    fn a_panic_reaches_the_caller() {
        let run = || map(vec![0; 4], NonZeroUsize::new(2), &Cancel::default(), || (), |(), _, i| Ok(1 / i));
        assert!(std::panic::catch_unwind(run).is_err());
    }
}
