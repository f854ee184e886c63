//! A source that says what a test tells it to say.

use core::fmt;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::source::{Finding, Look, LookContext, Source, SourceMemory};

/// What a source may do when it is looked at.
type Answer = Box<dyn FnOnce(&LookContext<'_>) -> Look + Send>;

/// A [`Source`] that plays back what a test lined up.
///
/// With nothing lined up it stands by what it said: [`Finding::Nothing`]. Handles are cheap to
/// clone and share the line, so a test keeps one and gives one to the clock.
///
/// ```
/// use epsilon_clock::source::Finding;
/// use epsilon_clock::testing::{ScriptedMachine, ScriptedSource};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let machine = ScriptedMachine::default();
/// let source = ScriptedSource::new("oracle");
/// source.push(Finding::Write(machine.truth(Duration::from_millis(2))));
/// let clock = machine.builder().source(source.clone()).build()?;
/// assert!(clock.now()?.contains(machine.true_time()));
/// assert_eq!(source.looks(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ScriptedSource {
    name: &'static str,
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    answers: VecDeque<Answer>,
    looks: u64,
}

impl ScriptedSource {
    /// Creates a source of this name with nothing to say yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            line: Arc::default(),
        }
    }

    /// Lines up a finding, with no leap second in sight.
    ///
    /// ```
    /// # use epsilon_clock::source::Finding;
    /// # use epsilon_clock::testing::ScriptedSource;
    /// let source = ScriptedSource::new("oracle");
    /// source.push(Finding::Unsettled);
    /// assert_eq!(source.waiting(), 1);
    /// ```
    pub fn push(&self, finding: Finding) {
        self.push_look(Look::new(finding));
    }

    /// Lines up a finding with what is known of leap seconds.
    ///
    /// ```
    /// # use epsilon_clock::source::{Finding, Look};
    /// # use epsilon_clock::testing::ScriptedSource;
    /// let source = ScriptedSource::new("oracle");
    /// source.push_look(Look::new(Finding::Nothing));
    /// assert_eq!(source.waiting(), 1);
    /// ```
    pub fn push_look(&self, look: Look) {
        self.push_with(move |_| look);
    }

    /// Lines up what a closure finds when the look comes.
    ///
    /// It may call back into the machine or the clock.
    ///
    /// ```
    /// # use epsilon_clock::source::{Finding, Look};
    /// # use epsilon_clock::testing::ScriptedSource;
    /// let source = ScriptedSource::new("oracle");
    /// source.push_with(|context| {
    ///     assert!(context.may_inherit);
    ///     Look::new(Finding::Nothing)
    /// });
    /// ```
    pub fn push_with(&self, answer: impl FnOnce(&LookContext<'_>) -> Look + Send + 'static) {
        self.lock().answers.push_back(Box::new(answer));
    }

    /// Returns how many answers are still lined up.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().answers.len()
    }

    /// Returns how often the source was looked at.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.lock().looks
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ScriptedSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedSource")
            .field("name", &self.name)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Source for ScriptedSource {
    fn name(&self) -> &'static str {
        self.name
    }

    fn look(&self, context: &LookContext<'_>, _memory: &mut SourceMemory) -> Look {
        let mut line = self.lock();
        line.looks += 1;
        let answer = line.answers.pop_front();
        // The answer may look at the clock, and so come back here.
        drop(line);
        answer.map_or(Look::new(Finding::Nothing), |answer| answer(context))
    }

    /// It plays a source that does: what a test lines up says all there is to say.
    fn tells_of_leaps(&self) -> bool {
        true
    }
}
