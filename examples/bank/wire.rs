//! What clients and nodes say to each other: frames of 64-bit words, each behind its length.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use epsilon_clock::order::ReadWindow;
use epsilon_clock::{Interval, Timestamp};

use crate::Fault;
use crate::history::{Commit, Transfer};

/// The longest frame that is believed, in words: a log of three million transfers.
const LONGEST: u32 = 1 << 24;

const WORD: usize = size_of::<i64>();

#[derive(Clone, Copy)]
pub(crate) enum Request {
    /// What time is it there?
    Now,
    Transfer(Transfer),
    /// All balances, by the uncertainty rule.
    Read(ReadWindow),
    /// All commits that are on disk.
    Log,
}

pub(crate) enum Response {
    Now(Interval),
    /// Acknowledged: committed with this timestamp. No phases are told if it had been before, and
    /// the client did not hear of it.
    Committed(Timestamp, Option<Phases>),
    Balances(Vec<i64>),
    /// There is a version of which nobody can tell whether the read has to see it.
    Uncertain {
        until: Timestamp,
    },
    Log(Vec<Commit>),
    /// The clock gave no interval: ask again.
    Refused,
}

/// Where a transfer spent its time at the node.
#[derive(Clone, Copy, Default)]
pub(crate) struct Phases {
    /// Until it got its timestamp.
    pub(crate) queued: Duration,
    /// From the timestamp until it was on disk.
    pub(crate) work: Duration,
    /// From then on, until the timestamp was surely past.
    pub(crate) wait: Duration,
    /// How long from the timestamp until it was past, as the clock said at first: 2 epsilon.
    pub(crate) needed: Duration,
}

impl Phases {
    pub(crate) fn add(&mut self, other: &Self) {
        self.queued += other.queued;
        self.work += other.work;
        self.wait += other.wait;
        self.needed += other.needed;
    }
}

impl Request {
    pub(crate) fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let words = match *self {
            Self::Now => vec![0],
            Self::Transfer(transfer) => [&[1], &transfer.to_words()[..]].concat(),
            Self::Read(window) => vec![2, window.read().unix_nanos(), window.limit().unix_nanos()],
            Self::Log => vec![3],
        };
        send(stream, &words)
    }

    /// `None` once the client is gone.
    pub(crate) fn receive(stream: &mut TcpStream) -> Result<Option<Self>, Fault> {
        let Some(words) = receive(stream)? else {
            return Ok(None);
        };
        Ok(Some(match words[..] {
            [0] => Self::Now,
            [1, id, from, to, amount] => {
                Self::Transfer(Transfer::from_words([id, from, to, amount]))
            }
            [2, read, limit] => Self::Read(ReadWindow::new(at(read), at(limit))),
            [3] => Self::Log,
            _ => return Err("a request that nobody makes".into()),
        }))
    }
}

impl Response {
    pub(crate) fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let words = match self {
            Self::Now(now) => vec![0, now.earliest().unix_nanos(), now.latest().unix_nanos()],
            Self::Committed(timestamp, None) => vec![1, timestamp.unix_nanos()],
            Self::Committed(timestamp, Some(phases)) => vec![
                1,
                timestamp.unix_nanos(),
                nanos(phases.queued),
                nanos(phases.work),
                nanos(phases.wait),
                nanos(phases.needed),
            ],
            Self::Balances(balances) => [&[2], &balances[..]].concat(),
            Self::Uncertain { until } => vec![3, until.unix_nanos()],
            Self::Log(commits) => [4]
                .into_iter()
                .chain(commits.iter().flat_map(to_words))
                .collect(),
            Self::Refused => vec![5],
        };
        send(stream, &words)
    }

    pub(crate) fn receive(stream: &mut TcpStream) -> Result<Self, Fault> {
        let words = receive(stream)?.ok_or("the node is gone")?;
        Ok(match words[..] {
            [0, earliest, latest] => Self::Now(Interval::new(at(earliest), at(latest))?),
            [1, timestamp] => Self::Committed(at(timestamp), None),
            [1, timestamp, queued, work, wait, needed] => {
                let phases = Phases {
                    queued: span(queued),
                    work: span(work),
                    wait: span(wait),
                    needed: span(needed),
                };
                Self::Committed(at(timestamp), Some(phases))
            }
            [2, ref balances @ ..] => Self::Balances(balances.to_vec()),
            [3, until] => Self::Uncertain { until: at(until) },
            [4, ref commits @ ..] => Self::Log(commits.chunks_exact(5).map(from_words).collect()),
            [5] => Self::Refused,
            _ => return Err("an answer that nobody gives".into()),
        })
    }
}

impl Transfer {
    /// As it travels and as it is stored.
    pub(crate) fn to_words(self) -> [i64; 4] {
        [self.id, self.from, self.to, self.amount]
    }

    pub(crate) fn from_words([id, from, to, amount]: [i64; 4]) -> Self {
        Self {
            id,
            from,
            to,
            amount,
        }
    }
}

fn to_words(commit: &Commit) -> [i64; 5] {
    let [id, from, to, amount] = commit.transfer.to_words();
    [commit.timestamp.unix_nanos(), id, from, to, amount]
}

fn from_words(words: &[i64]) -> Commit {
    Commit {
        timestamp: at(words[0]),
        transfer: Transfer::from_words([words[1], words[2], words[3], words[4]]),
    }
}

fn at(nanos: i64) -> Timestamp {
    Timestamp::from_unix_nanos(nanos)
}

fn span(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}

fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

fn send(stream: &mut TcpStream, words: &[i64]) -> io::Result<()> {
    let length = u32::try_from(words.len()).map_err(io::Error::other)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend(words.iter().flat_map(|word| word.to_be_bytes()));
    stream.write_all(&frame)
}

/// `None` where the stream ends between two frames.
fn receive(stream: &mut TcpStream) -> io::Result<Option<Vec<i64>>> {
    let mut length = [0; 4];
    match stream.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        return Err(io::Error::other("a frame longer than any"));
    }
    let mut frame = Vec::new();
    let bytes = u64::from(length) * WORD as u64;
    if stream.take(bytes).read_to_end(&mut frame)? as u64 != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let words = frame.chunks_exact(WORD).map(TryInto::try_into);
    let words = words.map(|word| word.map(i64::from_be_bytes));
    words
        .collect::<Result<_, _>>()
        .map(Some)
        .map_err(io::Error::other)
}
