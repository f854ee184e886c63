//! A lock in etcd: what its lease promises, what it does not, and the fence that makes good for it.
//!
//! The holder counts the TTL from before its request, whatever etcd does with the lease later; the resource
//! admits writes by the create revision of the holder's key. `--no-fence` shows the damage.

mod etcd;
mod holder;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use epsilon_clock::lease::{FencingToken, GrantorClock, TermLease};
use epsilon_clock::{Clock, Fence};
use etcd::{Client, Etcd};
use holder::Stopped;
use rustix::process::Signal;

const TTL: i64 = 4;
const KEY: &str = "lock";

const HELP: &str = "\
A lock in etcd with a lease that is counted from its request, and a fence by revisions, under faults.

  epsilon-clock-etcd [--etcd PROGRAM] [--no-fence]

  --etcd PROGRAM   the etcd to run three of on loopback (etcd)
  --no-fence       the resource takes every write: the account is corrupted

It exits with 0 if all is as promised (with --no-fence: if the damage shows), with 1 otherwise, and with 64
for arguments that it does not know.";

/// What is written to under the lock: an account, and its fence if it has one.
struct Resource {
    fence: Option<Fence>,
    balance: i64,
}

impl Resource {
    /// Takes a balance that a holder worked out, if none newer has written.
    fn write(&mut self, token: FencingToken, balance: i64) -> Result<(), String> {
        if let Some(fence) = self.fence {
            self.fence = Some(fence.admit(token).map_err(|stale| stale.to_string())?);
        }
        self.balance = balance;
        Ok(())
    }
}

struct Holder {
    lease: TermLease,
    token: FencingToken,
    number: i64,
}

type Failure = Box<dyn std::error::Error>;

/// Takes the lock; waits for its holder.
fn take(etcd: &Client, clock: &Clock) -> Result<Holder, Failure> {
    loop {
        // Before the request: whenever etcd's term begins, it is after this.
        let request = clock.request_lease()?;
        let number = etcd.grant(TTL)?;
        // etcd counts by Go's monotonic clock, which is slewed.
        let ttl = Duration::from_secs(TTL.unsigned_abs());
        let lease = request.granted(ttl, GrantorClock::MonotonicTime)?;
        if let Some(revision) = etcd.create(KEY, number)? {
            let token = FencingToken::try_from(revision)?;
            return Ok(Holder {
                lease,
                token,
                number,
            });
        }
        etcd.revoke(number)?;
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn check(what: &str, holds: bool) -> Result<(), Failure> {
    println!("{} {what}", if holds { "ok:    " } else { "BROKEN:" });
    if holds { Ok(()) } else { Err(what.into()) }
}

/// The servers' leader is stopped: the lease outlives its TTL, and what the holder believes does not change.
fn outlives(servers: &Etcd, clock: &Clock) -> Result<(), Failure> {
    let etcd = &servers.client;
    let began = Instant::now();
    let first = take(etcd, clock)?;
    check(
        "the holder holds what it was just granted",
        first.lease.held()?,
    )?;
    let leader = etcd.leader().ok_or("no leader")?;
    servers.signal(leader, Signal::STOP);
    // No longer than the TTL from the request, less what etcd's clock may be fast by.
    let mut held_for = Duration::ZERO;
    while first.lease.held()? {
        held_for = began.elapsed();
        std::thread::sleep(Duration::from_millis(5));
    }
    check(
        &format!("it believes so for {held_for:.2?}, at most the TTL of {TTL} s less an eighth"),
        held_for < Duration::from_millis(3_500) && held_for > Duration::from_millis(2_500),
    )?;
    std::thread::sleep(Duration::from_secs(TTL.unsigned_abs()).saturating_sub(began.elapsed()));
    let outlived = etcd.exists(KEY)?;
    let ends = loop {
        if !etcd.exists(KEY)? {
            break began.elapsed();
        }
        if first.lease.held()? {
            return Err("a lease that lives on lengthened what its holder believes".into());
        }
        if began.elapsed() > Duration::from_secs(120) {
            return Err("the key never went away".into());
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    servers.signal(leader, Signal::CONT);
    println!(
        "        its key {} after the TTL, and was gone after {ends:.2?}",
        if outlived {
            "was still there"
        } else {
            "was gone"
        }
    );
    check(
        "etcd's lease outlived its TTL",
        outlived && ends > Duration::from_secs(TTL.unsigned_abs()),
    )?;
    check(
        "a lease that lives on lengthens nothing",
        !first.lease.held()?,
    )?;
    // The other way round: an end that came early is not seen by the clock either; the fence sees it.
    let second = take(etcd, clock)?;
    etcd.revoke(second.number)?;
    check(
        "a lease that was revoked early shortens nothing",
        second.lease.held()?,
    )?;
    let third = take(etcd, clock)?;
    check(
        "its successor's token is larger",
        third.token > second.token,
    )?;
    etcd.revoke(third.number)?;
    Ok(())
}

/// The holder is stopped between its check and its write, past its lease; another takes the lock and writes.
fn stopped_holder(etcd: &Client, clock: &Clock, resource: &mut Resource) -> Result<bool, Failure> {
    let began = Instant::now();
    let slow = Stopped::start(etcd, resource.balance - 30)?;
    // Waits until etcd lets go of the stopped one's key.
    let quick = take(etcd, clock)?;
    check(
        &format!(
            "a holder was stopped for {:.2?}, past its TTL of {TTL} s",
            began.elapsed()
        ),
        began.elapsed() > Duration::from_secs(TTL.unsigned_abs()),
    )?;
    quick.lease.check()?;
    resource.write(quick.token, resource.balance - 50)?;
    etcd.revoke(quick.number)?;
    check("its successor's token is larger", quick.token > slow.token)?;
    // It goes on, and its write leaves: the check was long ago.
    let token = slow.token;
    let (balance, held) = slow.go_on()?;
    let late = resource.write(token, balance);
    match &late {
        Ok(()) => println!("        the stopped holder wrote {balance}"),
        Err(stale) => println!("        the stopped holder was kept out: {stale}"),
    }
    check(
        "asked after its write, the stopped holder's lease says that it is over",
        !held,
    )?;
    println!(
        "        the balance is {} of 100 after 50 were taken under the lock",
        resource.balance
    );
    Ok(late.is_ok())
}

fn clock() -> Result<Clock, Failure> {
    // On loopback all is one machine: only elapsed time matters here, and no source has to vouch for UTC.
    Ok(Clock::builder()
        .assume_error(Duration::from_millis(5))
        .build()?)
}

/// What the program does as the holder of its own making.
fn hold(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let balance = arguments.next().ok_or("no balance")?.parse()?;
    let addresses = arguments
        .map(|address| address.parse())
        .collect::<Result<_, _>>()?;
    holder::run(&Client { addresses }, &clock()?, balance)
}

fn run(program: PathBuf, fenced: bool) -> Result<(), Failure> {
    let clock = clock()?;
    let etcd = Etcd::start(&program)?;
    let mut resource = Resource {
        fence: fenced.then_some(Fence::OPEN),
        balance: 100,
    };
    if fenced {
        outlives(&etcd, &clock)?;
    }
    let damaged = stopped_holder(&etcd.client, &clock, &mut resource)?;
    if fenced {
        check(
            "the fence kept the stale write out",
            !damaged && resource.balance == 50,
        )
    } else {
        check(
            "without the fence the account is corrupted",
            damaged && resource.balance == 70,
        )
    }
}

fn main() -> ExitCode {
    let (mut program, mut fenced) = (PathBuf::from("etcd"), true);
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("--holder").is_some() {
        return ended(hold(arguments));
    }
    while let Some(argument) = arguments.next() {
        match (argument.as_str(), argument == "--etcd") {
            ("--help", _) => {
                println!("{HELP}");
                return ExitCode::SUCCESS;
            }
            ("--no-fence", _) => fenced = false,
            (_, true) => match arguments.next() {
                Some(path) => program = path.into(),
                None => {
                    eprintln!("--etcd needs a program");
                    return ExitCode::from(64);
                }
            },
            (other, _) => {
                eprintln!("unknown argument: {other}; --help tells what there is");
                return ExitCode::from(64);
            }
        }
    }
    ended(run(program, fenced))
}

fn ended(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
