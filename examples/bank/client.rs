//! Clients: each goes from node to node, and notes what it was told and when.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use epsilon_clock::order::ReadWindow;

use crate::Fault;
use crate::cluster::Cluster;
use crate::history::{ACCOUNTS, Commit, Deed, Event, NODES, Transfer};
use crate::progress::Progress;
use crate::wire::{Phases, Request, Response};

/// For how long a request is made again and again before the client gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// What clients have to tell in the end.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) events: Vec<Event>,
    /// Where the transfers spent their time, in all.
    pub(crate) phases: Phases,
    /// True time from the first message to the answer, in all.
    pub(crate) took: Duration,
    /// How many transfers got no answer and were sent again, because the node had been killed.
    pub(crate) in_doubt: u32,
    /// How many of those were on disk already.
    pub(crate) found: u32,
    /// How often an audit moved up to a version that was uncertain.
    pub(crate) restarts: u32,
}

impl Notes {
    pub(crate) fn gather(all: Vec<Self>) -> Self {
        let mut sum = Self::default();
        for notes in all {
            sum.events.extend(notes.events);
            sum.phases.add(&notes.phases);
            sum.took += notes.took;
            sum.in_doubt += notes.in_doubt;
            sum.found += notes.found;
            sum.restarts += notes.restarts;
        }
        sum
    }
}

pub(crate) struct Client<'a> {
    number: u32,
    cluster: &'a Cluster,
    progress: &'a Progress,
    streams: [Option<TcpStream>; NODES],
    random: i64,
    notes: Notes,
}

impl<'a> Client<'a> {
    pub(crate) fn new(number: u32, cluster: &'a Cluster, progress: &'a Progress) -> Self {
        Self {
            number,
            cluster,
            progress,
            streams: [const { None }; NODES],
            random: number.into(),
            notes: Notes::default(),
        }
    }

    /// Transfers at one node after the other, until there were enough in all.
    pub(crate) fn transfer_on_and_on(mut self) -> Result<Notes, Fault> {
        let mut node = self.number as usize;
        while let Some(number) = self.progress.next() {
            node = (node + 1) % NODES;
            self.transfer(node, number)?;
            self.progress.count_transfer();
        }
        Ok(self.notes)
    }

    /// Audits again and again, until the transfers are over.
    pub(crate) fn audit_on_and_on(mut self) -> Result<Notes, Fault> {
        let mut node = self.number as usize;
        while !self.progress.is_over() {
            node = (node + 1) % NODES;
            self.audit(node)?;
            self.progress.count_audit();
        }
        Ok(self.notes)
    }

    fn transfer(&mut self, node: usize, number: u32) -> Result<(), Fault> {
        let first = ACCOUNTS * i64::try_from(node)?;
        let (from, step) = (self.random(ACCOUNTS), 1 + self.random(ACCOUNTS - 1));
        let transfer = Transfer {
            id: number.into(),
            from: first + from,
            to: first + (from + step) % ACCOUNTS,
            amount: 1 + self.random(100),
        };
        let sent = self.now();
        let answer = self.ask(node, &Request::Transfer(transfer))?;
        let done = self.now();
        let Response::Committed(timestamp, phases) = answer else {
            return Err("a transfer was answered by something else".into());
        };
        self.notes.took += done - sent;
        match phases {
            Some(phases) => self.notes.phases.add(&phases),
            None => self.notes.found += 1,
        }
        let commit = Commit {
            timestamp,
            transfer,
        };
        self.note(sent, done, Deed::Transferred { node, commit });
        Ok(())
    }

    /// Reads all accounts of all nodes at one timestamp.
    ///
    /// It begins at the `earliest` that it can be now, by the clock of one node, and has to see
    /// whatever was acknowledged before. If a node has a version of which that is not certain, the
    /// read moves up to it. It does so only within the window it began with, and that is behind
    /// every node's clock soon: so it ends.
    fn audit(&mut self, node: usize) -> Result<(), Fault> {
        let sent = self.now();
        let Response::Now(now) = self.ask(node, &Request::Now)? else {
            return Err("the question for the time was answered by something else".into());
        };
        let mut window = ReadWindow::began(&now);
        let balances = loop {
            let mut balances = Vec::new();
            let mut uncertain = None;
            for node in 0..NODES {
                match self.ask(node, &Request::Read(window))? {
                    Response::Balances(found) => balances.extend(found),
                    Response::Uncertain { until } => uncertain = uncertain.max(Some(until)),
                    _ => return Err("a read was answered by something else".into()),
                }
            }
            let Some(until) = uncertain else {
                break balances;
            };
            window = window.restarted_at(until);
            self.notes.restarts += 1;
        };
        let (done, at) = (self.now(), window.read());
        self.note(sent, done, Deed::Audited { at, balances });
        Ok(())
    }

    fn note(&mut self, sent: Duration, done: Duration, deed: Deed) {
        let client = self.number;
        self.notes.events.push(Event {
            client,
            sent,
            done,
            deed,
        });
    }

    /// True time.
    fn now(&self) -> Duration {
        self.progress.elapsed()
    }

    /// Asks until there is an answer, across crashes of the node. It does no harm to make a request
    /// twice: a transfer is known by its number.
    fn ask(&mut self, node: usize, request: &Request) -> Result<Response, Fault> {
        let began = Instant::now();
        let mut in_doubt = 0;
        loop {
            let trouble = match self.try_to_ask(node, request) {
                Ok(Response::Refused) => "its clock refuses".into(),
                Ok(response) => {
                    self.notes.in_doubt += in_doubt;
                    return Ok(response);
                }
                Err(fault) => {
                    self.streams[node] = None;
                    in_doubt = u32::from(matches!(request, Request::Transfer(_)));
                    fault
                }
            };
            if began.elapsed() > PATIENCE || self.progress.has_failed() {
                return Err(format!("client {}: node {node}: {trouble}", self.number).into());
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn try_to_ask(&mut self, node: usize, request: &Request) -> Result<Response, Fault> {
        let stream = match &mut self.streams[node] {
            Some(stream) => stream,
            none => none.insert(connect(self.cluster.address(node))?),
        };
        request.send(stream)?;
        Response::receive(stream)
    }

    /// From 0 up to `below`, which is small.
    fn random(&mut self, below: i64) -> i64 {
        // Knuth's generator for MMIX; its upper bits are the random ones.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005);
        self.random = self.random.wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33).rem_euclid(below)
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// All commits that a node has on disk.
pub(crate) fn log_of(address: SocketAddr) -> Result<Vec<Commit>, Fault> {
    let mut stream = connect(address)?;
    Request::Log.send(&mut stream)?;
    match Response::receive(&mut stream)? {
        Response::Log(commits) => Ok(commits),
        _ => Err("the question for the log was answered by something else".into()),
    }
}
