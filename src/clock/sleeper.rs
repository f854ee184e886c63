//! One thread that sleeps for all waits of the process, and wakes the waiters that are due.

use core::task::Waker;
use core::time::Duration;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::machine::spawn;

/// How long an idle thread stays, for the next wait.
const LINGER: Duration = Duration::from_secs(1);

/// How often the process's sleeper is asked for, a tenth of a millisecond apart. Not for ever: in a
/// forked child its lock may be held by a thread that is not there.
const PATIENCE: u32 = 50;

/// A queue of waiters that the sleeper visits.
pub(crate) trait Served: Send + Sync {
    /// Wakes the waiters that are due, by way of `due`, which is empty before and after.
    fn serve(&self, due: &mut Vec<Waker>) -> Next;

    /// Returns true if a waiter is due, for a thread that spins.
    fn is_due(&self) -> bool {
        false
    }

    /// Spins until this queue is empty or a waiter of any is due, for a bounded time.
    fn spin(&self, any_is_due: &dyn Fn() -> bool) {
        let _ = any_is_due;
    }

    /// Makes the sleeps of the calling thread punctual.
    fn sharpen(&self) {}

    /// Wakes all waiters: the sleeper never comes back.
    fn abandon(&self);
}

/// When the sleeper is to visit a queue again.
pub(crate) enum Next {
    /// Never: the queue is closed.
    Over,
    /// Once it is poked.
    Idle,
    /// After so long, or once it is poked.
    In(Duration),
    /// After a spin: it is too soon for a sleep, which ends late.
    Spin,
}

/// The sleeper; its thread runs while it has queues to serve.
#[derive(Default)]
pub(crate) struct Sleeper {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    served: Vec<Arc<dyn Served>>,
    /// A queue was taken on since the thread looked.
    grown: bool,
    /// A queue wants to be visited earlier than the thread was told.
    poked: bool,
    asleep: bool,
    running: bool,
}

/// The sleeper that all clocks of the real machine share, and the process that it is of.
static OF_PROCESS: Mutex<Option<(u32, Arc<Sleeper>)>> = Mutex::new(None);

impl Sleeper {
    /// Returns the process's sleeper.
    pub(crate) fn of_process() -> Arc<Self> {
        for _ in 0..PATIENCE {
            let mut shared = match OF_PROCESS.try_lock() {
                Ok(shared) => shared,
                Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    std::thread::sleep(Duration::from_micros(100));
                    continue;
                }
            };
            let pid = std::process::id();
            return match &*shared {
                Some((of, sleeper)) if *of == pid => Arc::clone(sleeper),
                // None yet, or only that of the parent, whose thread is not in this process.
                _ => {
                    let sleeper = Arc::default();
                    *shared = Some((pid, Arc::clone(&sleeper)));
                    sleeper
                }
            };
        }
        Arc::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No foreign code runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves a queue from now on; starts the thread if there is none.
    pub(crate) fn take_on(self: &Arc<Self>, queue: Arc<dyn Served>) -> io::Result<()> {
        let mut state = self.lock();
        if !state.running {
            // Under the lock, on which the thread waits first: another caller cannot be told that a
            // thread runs which then could not be started.
            let sleeper = Arc::clone(self);
            spawn("epsilon-sleep", move || sleeper.run())?;
            state.running = true;
        }
        state.served.push(queue);
        state.grown = true;
        self.wake(&mut state);
        Ok(())
    }

    /// Lets the thread visit its queues before it planned to.
    pub(crate) fn poke(&self) {
        self.wake(&mut self.lock());
    }

    fn wake(&self, state: &mut State) {
        state.poked = true;
        if state.asleep {
            self.changed.notify_one();
        }
    }

    fn run(&self) {
        let mut served: Vec<Arc<dyn Served>> = Vec::new();
        let mut due = Vec::new();
        loop {
            // Not under the lock: the last handle of a queue may go here, and then runs foreign code.
            served.clear();
            {
                let mut state = self.lock();
                // Before the queues are visited: a poke that comes meanwhile leads to another round.
                state.poked = false;
                served.clone_from(&state.served);
                if core::mem::take(&mut state.grown) {
                    drop(state);
                    served.iter().for_each(|queue| queue.sharpen());
                }
            }
            let mut nap: Option<Duration> = None;
            let mut spinning: Option<usize> = None;
            for (index, queue) in served.iter().enumerate() {
                // A clock's source or machine may be foreign code: its panic is the end of its own
                // waits, whose tasks meet it themselves, and of no others.
                let next = catch_unwind(AssertUnwindSafe(|| queue.serve(&mut due)));
                match next {
                    Ok(Next::Idle) => {}
                    Ok(Next::In(span)) => nap = Some(nap.map_or(span, |nap| nap.min(span))),
                    Ok(Next::Spin) => spinning = Some(index),
                    Ok(Next::Over) => self.dismiss(queue),
                    Err(_) => {
                        due.clear();
                        self.dismiss(queue);
                        let _ = catch_unwind(AssertUnwindSafe(|| queue.abandon()));
                    }
                }
            }
            if let Some(queue) = spinning.and_then(|index| served.get(index)) {
                let is_due = || served.iter().any(|queue| queue.is_due());
                let _ = catch_unwind(AssertUnwindSafe(|| queue.spin(&is_due)));
                continue;
            }
            // Not held while asleep: a clock ends with its last user.
            served.clear();
            if !self.sleep(nap) {
                return;
            }
        }
    }

    fn dismiss(&self, queue: &Arc<dyn Served>) {
        let mut state = self.lock();
        let place = state.served.iter().position(|it| Arc::ptr_eq(it, queue));
        let dismissed = place.map(|index| state.served.swap_remove(index));
        drop(state);
        drop(dismissed);
    }

    /// Sleeps for a span, or until it is poked; returns false once the thread is to end.
    fn sleep(&self, span: Option<Duration>) -> bool {
        let mut state = self.lock();
        if state.poked {
            return true;
        }
        let span = if state.served.is_empty() {
            Some(LINGER)
        } else {
            span
        };
        state.asleep = true;
        let mut state = match span {
            Some(span) => {
                let woken = self.changed.wait_timeout(state, span);
                woken.unwrap_or_else(PoisonError::into_inner).0
            }
            None => {
                let woken = self.changed.wait(state);
                woken.unwrap_or_else(PoisonError::into_inner)
            }
        };
        state.asleep = false;
        // Decided under the lock: a queue that is taken on from here on starts another thread.
        state.running = state.poked || !state.served.is_empty();
        state.running
    }
}

/// Wakes the tasks and threads behind these wakers.
pub(crate) fn wake_all(wakers: impl Iterator<Item = Waker>) {
    for waker in wakers {
        // A waker that panics must not keep the others asleep.
        drop(catch_unwind(AssertUnwindSafe(|| waker.wake())));
    }
}
