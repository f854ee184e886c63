//! The arguments.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use epsilon_clock::TimeDelta;
use lexopt::Arg::{Long, Short, Value};
use lexopt::{Parser, ValueExt};

use crate::Acknowledge;
use crate::node::Settings;

pub(crate) const HELP: &str = "\
A bank on three nodes with wrong clocks, and a checker of what its clients see.

Usage: bank [OPTIONS]

Options:
      --transfers N       how many transfers to make [5000]
      --clients N         how many clients make them, going from node to node [24]
      --epsilon-ms N      how wrong the clocks are, and know that they may be [5]
      --kills N           how many times a node is killed and started again [1]
      --no-commit-wait    acknowledge commits before their timestamps are past
      --data DIR          make DIR, put the data files there, and leave them
  -h, --help              print this

Exit codes: 0 what happened is externally consistent; 3 it is not; 64 bad arguments; 70 a node, a
client or the machine failed, so nothing was shown.
";

pub(crate) enum Command {
    Help,
    /// All of it.
    Bank(Options),
    /// One node: what the program starts itself as.
    Node(Settings),
}

pub(crate) struct Options {
    pub(crate) transfers: u32,
    pub(crate) clients: u32,
    pub(crate) epsilon: Duration,
    pub(crate) kills: u32,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) data: Option<PathBuf>,
}

pub(crate) fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        transfers: 5_000,
        clients: 24,
        epsilon: Duration::from_millis(5),
        kills: 1,
        acknowledge: Acknowledge::OncePast,
        data: None,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help),
            Value(word) if word == "node" => return Ok(Command::Node(node(&mut parser)?)),
            Long("transfers") => options.transfers = number(&mut parser, 1, 10_000_000)?,
            Long("clients") => options.clients = number(&mut parser, 1, 1_000)?,
            // Beyond that the default `max_error` has something to say.
            Long("epsilon-ms") => {
                options.epsilon = Duration::from_millis(number(&mut parser, 1, 200)?.into());
            }
            Long("kills") => options.kills = number(&mut parser, 0, 1_000)?,
            Long("no-commit-wait") => options.acknowledge = Acknowledge::AtOnce,
            Long("data") => options.data = Some(parser.value()?.into()),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Command::Bank(options))
}

fn number(parser: &mut Parser, least: u32, most: u32) -> Result<u32, lexopt::Error> {
    let number: u32 = parser.value()?.parse()?;
    if least <= number && number <= most {
        return Ok(number);
    }
    Err(format!("{number} is too much or too little: give {least} to {most}").into())
}

impl Settings {
    /// As [`node`] reads them.
    pub(crate) fn to_args(&self) -> Vec<OsString> {
        let acknowledge = match self.acknowledge {
            Acknowledge::OncePast => "once-past",
            Acknowledge::AtOnce => "at-once",
        };
        vec![
            "node".into(),
            self.file.clone().into(),
            self.first.to_string().into(),
            self.offset.nanos().to_string().into(),
            self.epsilon.as_nanos().to_string().into(),
            acknowledge.into(),
        ]
    }
}

fn node(parser: &mut Parser) -> Result<Settings, lexopt::Error> {
    let args: Vec<OsString> = parser.raw_args()?.collect();
    let [file, first, offset, epsilon, acknowledge] = &args[..] else {
        return Err("a node is started by the bank".into());
    };
    Ok(Settings {
        file: file.into(),
        first: first.parse()?,
        offset: TimeDelta::from_nanos(offset.parse()?),
        epsilon: Duration::from_nanos(epsilon.parse()?),
        acknowledge: match acknowledge.to_str() {
            Some("at-once") => Acknowledge::AtOnce,
            _ => Acknowledge::OncePast,
        },
    })
}
