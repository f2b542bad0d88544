//! Threads that outlive the call that started them: the next call finds them awake or parked, and on a core each.
//!
//! A call has its pool to itself for as long as it runs, so that no call waits for another's work. A forked process
//! has none of its parent's threads: it leaves the parent's pools alone and starts its own.

use rayon_core::{Scope, ThreadPool, ThreadPoolBuilder};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::available_parallelism;

/// Pools that are kept when their calls are over; as many calls at a time start no thread.
const MOST_IDLE: usize = 4;

static IDLE: Mutex<Idle> = Mutex::new(Idle { process: 0, pools: Vec::new() });

/// The pools that no call uses.
struct Idle {
    /// The process that started them.
    process: u32,
    pools: Vec<ThreadPool>,
}

/// A pool for one call; kept for another one afterwards.
pub(crate) struct Lease {
    pool: Option<ThreadPool>,
}

impl Lease {
    /// A pool of at least so many threads, or of fewer where the system has no more; `None` if it has none.
    pub(crate) fn new(threads: usize) -> Option<Self> {
        let pool = idle().and_then(|mut idle| idle.take(threads));
        pool.map(|pool| Self { pool: Some(pool) }).or_else(|| Self::started(threads))
    }

    /// A new pool: of so many threads, or else of half as many, and so on.
    pub(crate) fn started(threads: usize) -> Option<Self> {
        let halves = std::iter::successors(Some(threads), |threads| Some(threads / 2));
        halves.take_while(|&size| size > 0).find_map(|size| {
            let builder = ThreadPoolBuilder::new().num_threads(size);
            let pool = builder.thread_name(|index| format!("offkey-{index}")).build().ok()?;
            Some(Self { pool: Some(pool) })
        })
    }

    /// Run `work`, which may hand work of its own to the threads; returns when that is done, too.
    pub(crate) fn scope<'scope, R>(&self, work: impl FnOnce(&Scope<'scope>) -> R) -> R {
        self.pool.as_ref().expect("held until the lease ends").in_place_scope(work)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let (Some(mut idle), Some(pool)) = (idle(), self.pool.take()) {
            idle.keep(pool);
        }
    }
}

impl Idle {
    /// The smallest pool that has so many threads.
    fn take(&mut self, threads: usize) -> Option<ThreadPool> {
        let sizes = self.pools.iter().map(ThreadPool::current_num_threads).enumerate();
        let (index, _) = sizes.filter(|&(_, size)| size >= threads).min_by_key(|&(_, size)| size)?;
        Some(self.pools.swap_remove(index))
    }

    /// A pool of more threads than there are cores was asked for by one caller, and would be of use to no other.
    fn keep(&mut self, pool: ThreadPool) {
        static CORES: OnceLock<usize> = OnceLock::new();
        let cores = *CORES.get_or_init(|| available_parallelism().map_or(1, NonZeroUsize::get));
        if self.pools.len() < MOST_IDLE && pool.current_num_threads() <= cores {
            self.pools.push(pool);
        }
    }
}

/// The idle pools of this process; `None` while another thread looks at them, or did so when this process was forked.
fn idle() -> Option<MutexGuard<'static, Idle>> {
    let mut idle = match IDLE.try_lock() {
        Ok(idle) => idle,
        Err(TryLockError::Poisoned(idle)) => PoisonError::into_inner(idle),
        Err(TryLockError::WouldBlock) => return None,
    };
    let process = std::process::id();
    if idle.process != process {
        // To end a pool is to talk to its threads, which did not come along.
        std::mem::forget(std::mem::take(&mut idle.pools));
        idle.process = process;
    }
    Some(idle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::thread::ThreadId;

    /// The threads of a lease.
    fn threads_of(lease: &Lease) -> HashSet<ThreadId> {
        let threads = lease.pool.as_ref().unwrap().broadcast(|_| std::thread::current().id());
        threads.into_iter().collect()
    }

    #[test]
    fn a_pool_serves_one_call_after_the_other_and_never_two_at_a_time() {
        let mut seen = Vec::new();
        for _ in 0..50 {
            let (first, second) = (Lease::new(1).unwrap(), Lease::new(1).unwrap());
            let [first, second] = [&first, &second].map(threads_of);
            assert!(first.is_disjoint(&second));
            seen.extend(first.into_iter().chain(second));
        }
        // Tests beside this one take pools of their own; but most of these calls find one that is idle.
        assert!(seen.iter().collect::<HashSet<_>>().len() < seen.len() / 2);
    }

    #[test]
    fn there_is_a_thread_for_each_that_was_asked_for() {
        for threads in [1, 2, 5] {
            assert!(threads_of(&Lease::new(threads).unwrap()).len() >= threads);
        }
    }

    #[test]
    fn a_pool_is_kept_for_whoever_needs_no_more_threads() {
        let mut idle = Idle { process: 0, pools: Vec::new() };
        idle.keep(Lease::started(1).unwrap().pool.take().unwrap());
        assert!(idle.take(2).is_none());
        assert!(idle.take(1).is_some());
        assert!(idle.take(1).is_none());
    }
}
