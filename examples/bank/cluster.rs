//! The three nodes, as processes: started, killed and started again.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use epsilon_clock::TimeDelta;

use crate::history::{ACCOUNTS, NODES};
use crate::node::Settings;
use crate::{Acknowledge, Fault};

pub(crate) struct Cluster {
    nodes: Vec<Mutex<Process>>,
}

struct Process {
    settings: Settings,
    child: Child,
    address: SocketAddr,
}

impl Cluster {
    /// The clocks are as wrong as honest ones can be: the first node's is fast by epsilon, the
    /// second's is slow by as much, and the third's is right.
    pub(crate) fn start(
        directory: &Path,
        epsilon: Duration,
        acknowledge: Acknowledge,
    ) -> Result<Self, Fault> {
        let fast = TimeDelta::from_duration(epsilon).ok_or("an epsilon of centuries")?;
        let offsets = [fast, opposite(fast), TimeDelta::ZERO];
        let mut nodes = Vec::with_capacity(NODES);
        for (number, offset) in offsets.into_iter().enumerate() {
            let first = ACCOUNTS * i64::try_from(number)?;
            nodes.push(Mutex::new(Process::start(Settings {
                file: directory.join(format!("node{number}.redb")),
                first,
                offset,
                epsilon,
                acknowledge,
            })?));
        }
        Ok(Self { nodes })
    }

    /// Where the node listens; while it is being started again, this waits.
    pub(crate) fn address(&self, node: usize) -> SocketAddr {
        self.lock(node).address
    }

    /// Kills a node in whatever it is doing, and starts it again on its data file with a clock that
    /// is wrong the other way.
    pub(crate) fn crash(&self, node: usize) -> Result<(), Fault> {
        let mut process = self.lock(node);
        process.child.kill()?;
        process.child.wait()?;
        let settings = process.settings.clone();
        let offset = opposite(settings.offset);
        *process = Process::start(Settings { offset, ..settings })?;
        Ok(())
    }

    /// Fails if a node has ended by itself.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        for number in 0..self.nodes.len() {
            if let Some(status) = self.lock(number).child.try_wait()? {
                return Err(format!("node {number} ended by itself: {status}").into());
            }
        }
        Ok(())
    }

    fn lock(&self, node: usize) -> MutexGuard<'_, Process> {
        self.nodes[node]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    fn start(settings: Settings) -> Result<Self, Fault> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(settings.to_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let Ok(address) = line.trim().parse() else {
            child.kill()?;
            return Err(format!("a node did not start: {}", child.wait()?).into());
        };
        Ok(Self {
            settings,
            child,
            address,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn opposite(offset: TimeDelta) -> TimeDelta {
    TimeDelta::from_nanos(-offset.nanos())
}
