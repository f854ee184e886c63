//! Nodes as processes of this program, and what can be done to them.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

/// The processes of one cluster's nodes, which are numbered from 1, and where they store things.
#[derive(Debug)]
pub struct Processes {
    children: Vec<Child>,
    directory: PathBuf,
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn spawn(settings: &impl Serialize) -> io::Result<Child> {
    let settings = serde_json::to_string(settings)?;
    Command::new(std::env::current_exe()?)
        .args(["--node", &settings])
        // Held open for as long as this process lives: a node ends with it.
        .stdin(Stdio::piped())
        .spawn()
}

/// Ends this process, a node, when the one that started it is gone.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        std::process::exit(0);
    });
}

/// Returns where a node stands among all.
#[must_use]
pub fn place(node: u64) -> usize {
    usize::try_from(node - 1).unwrap_or(0)
}

impl Processes {
    /// Makes a directory of their own, and starts none yet.
    pub fn new(name: &str) -> io::Result<Self> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let name = format!("epsilon-{name}-{}-{run}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory)?;
        Ok(Self {
            children: Vec::new(),
            directory,
        })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts the next node.
    pub fn start(&mut self, settings: &impl Serialize) -> io::Result<()> {
        self.children.push(spawn(settings)?);
        Ok(())
    }

    pub fn restart(&mut self, node: u64, settings: &impl Serialize) -> io::Result<()> {
        self.children[place(node)] = spawn(settings)?;
        Ok(())
    }

    pub fn kill(&mut self, node: u64) {
        let child = &mut self.children[place(node)];
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Whether a node's process has ended by itself.
    pub fn is_dead(&mut self, node: u64) -> bool {
        matches!(self.children[place(node)].try_wait(), Ok(Some(_)))
    }

    /// Stops a node's process.
    pub fn stop(&self, node: u64) {
        self.signal(node, Signal::STOP);
    }

    /// Lets a node's process that was stopped go on.
    pub fn go_on(&self, node: u64) {
        self.signal(node, Signal::CONT);
    }

    fn signal(&self, node: u64, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.children[place(node)]), signal);
    }
}

/// Returns an address that no process listens on, its port below those that the system gives to connections.
pub fn free_address() -> io::Result<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = 10_000 + u16::try_from(std::process::id() % 200).unwrap_or(0) * 100;
    for _ in 0..1_000 {
        let port = begin + NEXT.fetch_add(1, Ordering::Relaxed) % 1_000;
        let address = format!("127.0.0.1:{port}");
        if std::net::TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::ErrorKind::AddrInUse.into())
}
