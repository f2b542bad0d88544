//! The items of a call in several threads: the one that calls, and those of a [pool](crate::pool).
//!
//! A process may `fork` between calls, as PyTorch's `DataLoader` does. Work is handed out item by item from one
//! counter: items of unequal cost balance themselves, and each item's result depends on the item alone, never on the
//! thread.

use crate::pool::Lease;
use crate::{Error, Result};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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
/// `scratch` is made once for each thread. The first error in order of the items wins, whatever the threads did. Where
/// the system has no thread left, those that there are do the work. A panic stops the others as an error does, and
/// goes on in the caller with what it said.
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
    map_on(&System, items, threads, cancel, scratch, work)
}

/// Run `work(scratch, index, item)` for every item, and after it `merge(scratch, index)` in order of the items.
///
/// A thread that is early waits for its turn: what items leave in the scratch is held once for each thread, however many
/// items there are, and sums are the same for any number of threads. Otherwise as [`map`].
///
/// # Errors
/// The error of the first failing item, or [`Error::Interrupted`].
pub fn in_order<I: Send, S>(
    items: Vec<I>,
    threads: Option<NonZeroUsize>,
    cancel: &Cancel,
    scratch: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize, I) -> Result<()> + Sync,
    merge: impl FnMut(&mut S, usize) -> Result<()> + Send,
) -> Result<()> {
    let (turns, merge) = (Turns::default(), Mutex::new(merge));
    let work = |scratch: &mut S, index: usize, item| {
        let turn = Turn { turns: &turns, index };
        cancel.check()?;
        work(scratch, index, item)?;
        turn.wait()?;
        let mut merge = merge.lock().unwrap_or_else(PoisonError::into_inner);
        (*merge)(scratch, index)?;
        turn.pass();
        Ok(())
    };
    // Only items look at the flag: one that ended without its turn would be waited for.
    map(items, threads, &Cancel::default(), scratch, work).map(|_| ())
}

/// Whose turn it is to merge.
#[derive(Default)]
struct Turns {
    state: Mutex<TurnState>,
    changed: Condvar,
}

#[derive(Default)]
struct TurnState {
    next: usize,
    /// The first item that failed: what comes behind it is not merged any more.
    failed: Option<usize>,
}

/// The turn of one item, which fails unless it is passed on.
struct Turn<'a> {
    turns: &'a Turns,
    index: usize,
}

impl Turn<'_> {
    /// Until all items before this one have been merged; an error once one of them has failed.
    fn wait(&self) -> Result<()> {
        let early = |state: &mut TurnState| state.next < self.index && !state.stops(self.index);
        let state = self.turns.changed.wait_while(self.turns.lock(), early);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if state.stops(self.index) { Err(Error::Interrupted) } else { Ok(()) }
    }

    fn pass(self) {
        self.turns.lock().next += 1;
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.turns.lock();
        if state.next <= self.index && !state.stops(self.index) {
            state.failed = Some(self.index);
        }
        self.turns.changed.notify_all();
    }
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, TurnState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnState {
    fn stops(&self, index: usize) -> bool {
        self.failed.is_some_and(|failed| failed < index)
    }
}

/// Where the threads come from, and what happens to one between its steps; tests force both.
trait Host: Sync {
    /// As many threads as these, or fewer; `None` where the system has none.
    fn lease(&self, threads: usize) -> Option<Lease> {
        Lease::new(threads)
    }

    /// A thread has taken an index and not yet begun its item.
    fn taken(&self, _index: usize) {}
}

struct System;

impl Host for System {}

fn map_on<I, S, R>(
    host: &impl Host,
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
    let items: Vec<Mutex<Option<I>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    let results: Vec<Mutex<Option<Result<R>>>> = items.iter().map(|_| Mutex::new(None)).collect();
    let queue = Queue { length: items.len(), next: AtomicUsize::new(0), stopped: AtomicBool::new(false) };
    let worker = || {
        let _stop = StopOnPanic(&queue);
        let mut memory = None;
        while let Some(index) = queue.take() {
            host.taken(index);
            let item = items[index].lock().expect("no holder of this lock panics").take();
            let item = item.expect("the queue hands every index out once");
            let memory = memory.get_or_insert_with(&scratch);
            let result = cancel.check().and_then(|()| work(memory, index, item));
            if result.is_err() {
                queue.stop();
            }
            *results[index].lock().expect("no holder of this lock panics") = Some(result);
        }
    };
    let worker = &worker;
    match host.lease(threads - 1) {
        Some(lease) => lease.scope(|scope| {
            (1..threads).for_each(|_| scope.spawn(move |_| worker()));
            worker();
        }),
        None => worker(),
    }
    // Indices are handed out in order and every one handed out is finished: up to the first error none is missing.
    let finished = results.into_iter().map_while(|slot| slot.into_inner().expect("all workers have ended"));
    let finished = finished.collect::<Result<Vec<R>>>()?;
    assert_eq!(finished.len(), items.len(), "results for as many items as there are");
    Ok(finished)
}

/// Indices to be handed out in order, each once, until the last or until one thread stops them all.
struct Queue {
    length: usize,
    next: AtomicUsize,
    stopped: AtomicBool,
}

impl Queue {
    /// The next index. It is finished by whoever took it: the flag is looked at before, never after.
    fn take(&self) -> Option<usize> {
        if self.stopped.load(Ordering::Relaxed) {
            return None;
        }
        Some(self.next.fetch_add(1, Ordering::Relaxed)).filter(|&index| index < self.length)
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Stops the queue where the thread that holds this panics.
struct StopOnPanic<'a>(&'a Queue);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::panic::AssertUnwindSafe;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::ThreadId;
    use std::time::Duration;

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

    /// A host whose first thread to take item 0 waits with it until item 1 has failed.
    struct SlowFirst(Mutex<Receiver<()>>);

    impl Host for SlowFirst {
        fn taken(&self, index: usize) {
            if index == 0 {
                self.0.lock().unwrap().recv().unwrap();
            }
        }
    }

    #[test]
    fn an_error_is_never_lost_to_a_thread_that_has_taken_an_earlier_item() {
        let (failed, wait) = channel();
        let work = |announce: &mut Announce, index: usize, ()| {
            if index == 1 {
                announce.0 = true;
                return Err(Error::parameter("index", index, "another"));
            }
            Ok(())
        };
        // The scratch of the thread that fails is dropped when that thread has left the queue for good.
        let scratch = || Announce(false, failed.clone());
        let host = SlowFirst(Mutex::new(wait));
        let got = map_on(&host, vec![(); 2], NonZeroUsize::new(2), &Cancel::default(), scratch, work);
        assert_eq!(got.unwrap_err().to_string(), "index = 1: expected another");
    }

    struct Announce(bool, Sender<()>);

    impl Drop for Announce {
        fn drop(&mut self) {
            if self.0 {
                self.1.send(()).unwrap();
            }
        }
    }

    /// A host that has so many threads and no more.
    struct Few(usize);

    impl Host for Few {
        fn lease(&self, threads: usize) -> Option<Lease> {
            Lease::started(threads.min(self.0))
        }
    }

    #[test]
    fn fewer_threads_do_the_work_where_the_system_has_none_left() {
        for few in [0, 1, 3] {
            let work = |threads: &mut ThreadId, _, i: usize| Ok((*threads, i));
            let (host, scratch) = (Few(few), || std::thread::current().id());
            let got =
                map_on(&host, (0..100).collect(), NonZeroUsize::new(8), &Cancel::default(), scratch, work);
            let (threads, items): (HashSet<ThreadId>, Vec<usize>) = got.unwrap().into_iter().unzip();
            assert_eq!(items, (0..100).collect::<Vec<_>>());
            assert!((1..=few + 1).contains(&threads.len()), "{threads:?}");
        }
    }

    #[test]
    fn a_panic_of_any_thread_keeps_its_text_and_stops_the_others() {
        let caller = std::thread::current().id();
        for of_the_caller in [true, false] {
            let done = AtomicUsize::new(0);
            let work = |(): &mut (), _, ()| {
                assert_ne!(std::thread::current().id() == caller, of_the_caller, "a wheel came off");
                std::thread::sleep(Duration::from_millis(1));
                done.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            let run = || map(vec![(); 1000], NonZeroUsize::new(2), &Cancel::default(), || (), work);
            let panic = std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_err();
            assert!(panic.downcast::<String>().unwrap().contains("a wheel came off"));
            assert!(done.into_inner() < 1000);
        }
    }

    /// The letters of the items, merged on so many threads; those that are `slow` take longer than the others.
    fn merged(
        threads: usize,
        slow: impl Fn(usize) -> bool + Sync,
        fails: impl Fn(usize) -> bool + Sync,
    ) -> (Result<()>, String) {
        let mut text = String::new();
        let work = |letter: &mut char, index: usize, item: char| {
            if slow(index) {
                std::thread::sleep(Duration::from_millis(3));
            }
            *letter = item;
            if fails(index) { Err(Error::parameter("index", index, "another")) } else { Ok(()) }
        };
        let merge = |letter: &mut char, _| {
            text.push(*letter);
            Ok(())
        };
        let (items, threads) = (('a'..='z').collect(), NonZeroUsize::new(threads));
        let result = in_order(items, threads, &Cancel::default(), || ' ', work, merge);
        (result, text)
    }

    #[test]
    fn results_are_merged_in_order_whoever_is_early() {
        for threads in [1, 2, 5] {
            let (result, text) = merged(threads, |index| index % 3 == 0, |_| false);
            assert!(result.is_ok());
            assert_eq!(text, ('a'..='z').collect::<String>());
        }
    }

    #[test]
    fn what_comes_before_the_first_error_is_merged_and_nothing_else() {
        for threads in [1, 2, 5] {
            for slow in [2, 3, 4] {
                let (result, text) = merged(threads, |index| index == slow, |index| index >= 3);
                assert_eq!(result.unwrap_err().to_string(), "index = 3: expected another");
                assert_eq!(text, "abc");
            }
        }
    }

    #[test]
    fn a_panic_or_a_raised_flag_leaves_nobody_waiting() {
        let cancel = Cancel::default();
        let work = |(): &mut (), index: usize, panics: bool| {
            if index == 5 {
                assert!(!panics, "a wheel came off");
                cancel.cancel();
            }
            Ok(())
        };
        let run =
            |panics| in_order(vec![panics; 50], NonZeroUsize::new(4), &cancel, || (), work, |(), _| Ok(()));
        assert!(std::panic::catch_unwind(AssertUnwindSafe(|| run(true))).is_err());
        assert!(matches!(run(false), Err(Error::Interrupted)));
    }
}
