//! The leader that was stopped: a real process, a real SIGSTOP, and a fence that saves the data.
//!
//! `cargo run --release --example zombie`, and again with `-- --no-fence`.
//!
//! A leader in a process of its own holds the lease on an account, makes deposits, and before its last
//! write does everything right: it checks its lease, which is held. Then it is stopped until the lease
//! is over and a successor has made deposits. Woken up, it goes on where it was: with the write of a
//! balance that it worked out long ago.

use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use epsilon_clock::lease::FencingToken;
use epsilon_clock::{Clock, Fence, Lease};

mod support;

use support::{Fault, Output};

const USAGE: &str = "\
Stops a leader between its check and its write, past the end of its lease.

Usage: zombie [--no-fence]   let late writes through   [--leader=EXPIRY] (how it starts the leader)

Exit codes: 0 if the account is right at the end; 1 if it is corrupted.";

const TERM: Duration = Duration::from_secs(2);
const EPSILON: Duration = Duration::from_millis(5); // assumed where no daemon vouches for the clock
const DEPOSIT: u64 = 10;

fn main() -> ExitCode {
    support::run(USAGE, |options, out| {
        let clock = Clock::builder().assume_error(EPSILON).build()?;
        let Some(expiry) = options.get("leader") else {
            return fate(&clock, options.get("no-fence").is_none(), out);
        };
        let lease = Lease::from_be_bytes(expiry.parse::<u64>()?.to_be_bytes())?;
        // What the leader asks and says goes to its parent, a line each.
        lead(&clock, 1, lease, |line| {
            writeln!(out, "{line}")?;
            let mut answer = String::new();
            stdin().read_line(&mut answer)?;
            Ok(answer.trim_end().to_owned())
        })?;
        Ok(true)
    })
}

/// What the holder of a lease does: three deposits.
fn lead<Ask>(clock: &Clock, token: u64, lease: Lease, mut ask: Ask) -> Result<(), Fault>
where
    Ask: FnMut(&str) -> Result<String, Fault>,
{
    let lease = lease.with_margin(Duration::from_millis(20)); // what a write may take
    ask(&format!("say leads with token {token} and {lease}"))?;
    for deposit in 1..=3 {
        // Reading raises the fence: what is read before that can still change.
        let balance = ask(&format!("read {token}"))?.parse::<u64>()? + DEPOSIT;
        let guard = lease.guard(clock)?; // an error unless the lease is held
        ask(&format!("checked {deposit}"))?;
        let answer = ask(&format!("write {token} {balance}"))?;
        let held = guard.finish();
        ask(&format!("say wrote {balance}: {answer} (held: {held:?})"))?;
    }
    Ok(())
}

/// Starts, stops and wakes a leader, has a successor meanwhile, and says what became of the account.
fn fate(clock: &Clock, fenced: bool, out: &mut Output) -> Result<bool, Fault> {
    let mut store = Store {
        fence: fenced.then_some(Fence::OPEN),
        ..Store::default()
    };
    let lease = Lease::grant(&clock.now()?, TERM)?;
    let expiry = u64::from_be_bytes(lease.to_be_bytes());
    let mut leader = Command::new(std::env::current_exe()?);
    leader.arg(format!("--leader={expiry}"));
    leader.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut leader = Reaped(leader.spawn()?);
    let mut answers = leader.0.stdin.take().ok_or("a deaf leader")?;
    let questions = leader.0.stdout.take().ok_or("a mute leader")?;
    for question in BufReader::new(questions).lines() {
        let question = question?;
        if question == "checked 3" {
            writeln!(out, "     fate: stops the leader, which has just checked")?;
            leader.signal("STOP")?;
            lease.wait_until_expired(clock)?; // surely over, whatever its holder believes
            let next = Lease::grant(&clock.now()?, TERM)?;
            lead(clock, 2, next, |line| store.answer("successor", line, out))?;
            writeln!(out, "     fate: lets the leader go on")?;
            leader.signal("CONT")?;
        }
        writeln!(answers, "{}", store.answer("leader", &question, out)?)?;
    }
    let gone = store.acknowledged.abs_diff(store.balance);
    let verdict = match gone {
        0 => "the account is right: the late write was turned away".to_owned(),
        _ => format!("the account is CORRUPTED: {gone} of acknowledged deposits are gone"),
    };
    writeln!(out, "{verdict}")?;
    Ok(leader.0.wait()?.success() && gone == 0)
}

/// A child that does not outlive a failure of its parent, stopped or not.
struct Reaped(Child);

impl Reaped {
    fn signal(&self, name: &str) -> Result<(), Fault> {
        let kill = format!("kill -{name} {}", self.0.id());
        let done = Command::new("sh").args(["-c", &kill]).status()?;
        done.success().then_some(()).ok_or_else(|| kill.into())
    }
}

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill(); // fails for one that has ended
        let _ = self.0.wait();
    }
}

/// The row of a database: an account, and the fence that protects it.
#[derive(Default)]
struct Store {
    fence: Option<Fence>,
    balance: u64,
    acknowledged: u64,
}

impl Store {
    fn answer(&mut self, who: &str, line: &str, out: &mut Output) -> Result<String, Fault> {
        if let Some(said) = line.strip_prefix("say ") {
            writeln!(out, "{who:>9}: {said}")?;
        }
        let words: Vec<&str> = line.split(' ').collect();
        if let (["read" | "write", token, ..], Some(fence)) = (&words[..], &mut self.fence) {
            let token = FencingToken::new(token.parse()?).ok_or("token 0")?;
            match fence.admit(token) {
                Ok(raised) => *fence = raised, // stored with the balance, in one transaction
                Err(stale) => return Ok(stale.to_string()),
            }
        }
        if let ["write", _, balance] = words[..] {
            self.balance = balance.parse()?;
            self.acknowledged += DEPOSIT;
        }
        Ok(self.balance.to_string())
    }
}
