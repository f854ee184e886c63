//! A holder in a process of its own, which stops between its check and its write.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use epsilon_clock::Clock;
use epsilon_clock::lease::FencingToken;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use serde_json::{Value, json};

use crate::etcd::Client;
use crate::{Failure, take};

/// The process: takes the lock, checks it, stops itself, and writes once it goes on.
///
/// What it says goes to its standard output, a line of JSON each.
pub fn run(client: &Client, clock: &Clock, balance: i64) -> Result<(), Failure> {
    let holder = take(client, clock)?;
    holder.lease.check()?;
    say(&json!({ "took": holder.token.number() }))?;
    // Here, and nowhere else: a signal from outside would hit some other place now and then.
    kill_process(getpid(), Signal::STOP)?;
    // The check was long ago, and nothing between it and the write looks again.
    say(&json!({ "writes": balance }))?;
    say(&json!({ "held": holder.lease.held()? }))?;
    Ok(())
}

fn say(what: &Value) -> io::Result<()> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{what}")?;
    stdout.flush()
}

/// A process that ends with its owner.
struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// The holder from outside, stopped.
pub struct Stopped {
    process: Process,
    pub token: FencingToken,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Stopped {
    /// Starts a holder that will write this balance, and returns once it holds the lock and is stopped.
    pub fn start(client: &Client, balance: i64) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--holder")
            .arg(balance.to_string())
            .args(client.addresses.iter().map(ToString::to_string))
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let lines = BufReader::new(stdout);
        let mut process = Process { child, lines };
        let number = process.hear("took")?.as_i64().ok_or("no number")?;
        match waitpid(Some(process.pid()), WaitOptions::UNTRACED)? {
            Some((_, status)) if status.stopped() => Ok(Self {
                process,
                token: FencingToken::try_from(number)?,
            }),
            other => Err(format!("the holder did not stop: {other:?}").into()),
        }
    }

    /// Lets it go on; returns what it writes, and whether it then still believes to hold the lock.
    pub fn go_on(mut self) -> Result<(i64, bool), Failure> {
        kill_process(self.process.pid(), Signal::CONT)?;
        let balance = self.process.hear("writes")?.as_i64();
        let held = self.process.hear("held")?.as_bool();
        Ok((balance.ok_or("no balance")?, held.ok_or("no answer")?))
    }
}

impl Process {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    fn hear(&mut self, about: &str) -> Result<Value, Failure> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        let mut said: Value = serde_json::from_str(&line)?;
        Ok(said[about].take())
    }
}
