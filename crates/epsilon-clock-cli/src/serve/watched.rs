//! A clock that is watched: what answers are made of.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::Clock;
use epsilon_clock::figures::Figures;
use epsilon_clock::machine::{NtpStatus, NtpStatusError};
use epsilon_clock::source::NtpSource;

use super::history::{EVERY, History, Sample};
use crate::doctor::{Facts, Seen};
use crate::report::Report;

/// How often files are read that tell of the machine.
const FACTS_EVERY: Duration = Duration::from_secs(60);

/// A clock with its last hour.
pub struct Watched {
    clock: Clock,
    servers: Option<NtpSource>,
    asks_kernel: bool,
    max_error: Duration,
    began: Instant,
    past: Mutex<Past>,
}

struct Past {
    history: History,
    facts: Facts,
}

impl Watched {
    /// Begins with a first sample.
    #[must_use]
    pub fn new(
        clock: Clock,
        servers: Option<NtpSource>,
        asks_kernel: bool,
        max_error: Duration,
    ) -> Self {
        let watched = Self {
            clock,
            servers,
            asks_kernel,
            max_error,
            began: Instant::now(),
            past: Mutex::new(Past {
                history: History::new(),
                facts: Facts::gather(Path::new("/")),
            }),
        };
        watched.sample();
        watched
    }

    /// Takes a sample every five seconds, until the process ends.
    pub(super) fn keep_watching(&self) {
        let mut read = Instant::now();
        loop {
            thread::sleep(EVERY);
            self.sample();
            if read.elapsed() >= FACTS_EVERY {
                read = Instant::now();
                let facts = Facts::gather(Path::new("/"));
                self.with_past(|past| past.facts = facts);
            }
        }
    }

    fn sample(&self) {
        let known = |us: i64| (0..NtpStatus::MAXERROR_CAP).contains(&us);
        let kernel = self.kernel().and_then(Result::ok);
        let kernel = kernel.filter(|kernel| known(kernel.maxerror));
        let sample = Sample {
            at: self.began.elapsed(),
            epsilon: self.clock.now().ok().map(|now| now.epsilon()),
            kernel: kernel
                .and_then(|kernel| u64::try_from(kernel.maxerror).ok())
                .map(Duration::from_micros),
        };
        self.with_past(|past| past.history.push(sample));
    }

    fn with_past<T>(&self, work: impl FnOnce(&mut Past) -> T) -> T {
        work(&mut self.past.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn kernel(&self) -> Option<Result<NtpStatus, NtpStatusError>> {
        self.asks_kernel.then(|| self.clock.ntp_status())
    }

    pub(super) fn history(&self) -> History {
        self.with_past(|past| past.history.clone())
    }

    pub(super) fn report(&self) -> Report {
        Report::of(&self.clock, self.servers.as_ref(), self.asks_kernel)
    }

    /// Returns the figures as Prometheus reads them.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::of(&self.clock);
        if let Some(Ok(kernel)) = self.kernel() {
            figures = figures.with_kernel(&kernel);
        }
        if let Some(servers) = &self.servers {
            figures = figures.with_servers(&servers.servers());
        }
        figures
    }

    /// Returns what the doctor says, by what was seen in the last hour.
    pub(super) fn doctor(&self) -> Vec<(&'static str, Vec<String>)> {
        let (facts, extremes, span) = self.with_past(|past| {
            let history = &past.history;
            (past.facts.clone(), history.extremes(), history.span())
        });
        let seen = Seen {
            // One sample stands for the time until the next.
            span: span.max(EVERY),
            epsilon: extremes,
            status: self.clock.status(),
            kernel: self.kernel(),
            servers: None,
        };
        crate::doctor::sections(&facts, &seen)
    }

    /// Returns whether there is an interval that is narrow enough, and what to say of it.
    pub(super) fn health(&self) -> Result<String, String> {
        let limit = crate::units::rounded(self.max_error);
        let interval = self
            .clock
            .now()
            .map_err(|why| format!("no interval: {why}"))?;
        let epsilon = crate::units::rounded(interval.epsilon());
        if interval.within(self.max_error) {
            Ok(format!("±{epsilon} is within ±{limit}"))
        } else {
            Err(format!("±{epsilon} is beyond ±{limit}"))
        }
    }
}
