//! The leader that was stopped: real processes, a real SIGSTOP, and a fence that saves the data.
//!
//! `cargo run --release --example zombie`, and the same with `-- --no-fence`.
//!
//! Three processes. This one keeps an account in a file, hands out the lease on it and plays fate. A
//! leader obtains the lease, makes deposits, and before the last of them does everything right: it
//! checks its lease, which is held. Then it is stopped (SIGSTOP) until the lease is over and a
//! successor has made deposits of its own. Woken up (SIGCONT), it goes on where it was: with a write
//! of a balance that it worked out long ago.
//!
//! Behind the fence that write is turned away, and the balance is the sum of what was acknowledged:
//! exit code 0. Without it the successor's deposits are gone: the example says so and ends with 1.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints what it found"
)]

use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    use std::error::Error;

    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done: Result<ExitCode, Box<dyn Error>> = match arguments.as_slice() {
        [] => fate::play(fate::Guarding::ByFence),
        ["--no-fence"] => fate::play(fate::Guarding::Nothing),
        ["leader", address] => node::lead(address).map(|()| ExitCode::SUCCESS),
        ["successor", address] => node::succeed(address).map(|()| ExitCode::SUCCESS),
        _ => {
            eprintln!("zombie: the only option is --no-fence");
            return ExitCode::from(64);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("zombie: {error}");
        ExitCode::from(70)
    })
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    println!("this example stops processes as Linux does");
    ExitCode::SUCCESS
}

/// What each process builds for itself.
#[cfg(target_os = "linux")]
mod common {
    use std::error::Error;
    use std::time::Duration;

    use epsilon_clock::Clock;

    pub(super) type Outcome<T> = Result<T, Box<dyn Error>>;

    /// What each deposit adds.
    pub(super) const DEPOSIT: u64 = 10;

    /// A clock for a demonstration: where no daemon vouches for the machine's, 5 ms are assumed.
    pub(super) fn clock() -> Outcome<Clock> {
        let builder = Clock::builder().assume_error(Duration::from_millis(5));
        Ok(builder.build()?)
    }
}

/// The leader and its successor: they ask, in lines of text over loopback.
#[cfg(target_os = "linux")]
mod node {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use epsilon_clock::lease::{FencingToken, PauseDetector};
    use epsilon_clock::{Clock, Lease};

    use super::common::{DEPOSIT, Outcome, clock};

    /// How long a write takes at most, as far as anybody can promise.
    const MARGIN: Duration = Duration::from_millis(20);

    struct Node {
        name: &'static str,
        clock: Clock,
        server: BufReader<TcpStream>,
    }

    /// The right to make deposits.
    struct Leadership {
        token: FencingToken,
        lease: Lease,
    }

    impl Node {
        fn connect(name: &'static str, address: &str) -> Outcome<Self> {
            let server = BufReader::new(TcpStream::connect(address)?);
            let clock = clock()?;
            Ok(Self {
                name,
                clock,
                server,
            })
        }

        fn say(&self, what: &str) {
            println!("{:>9}: {what}", self.name);
        }

        fn ask(&mut self, question: &str) -> Outcome<String> {
            // In one piece: halves of a line would wait for each other's acknowledgement.
            let question = format!("{question}\n");
            self.server.get_mut().write_all(question.as_bytes())?;
            let mut answer = String::new();
            self.server.read_line(&mut answer)?;
            Ok(answer.trim_end().to_owned())
        }

        /// Obtains the lease, as soon as whoever has it surely does not any more.
        fn obtain(&mut self) -> Outcome<Leadership> {
            loop {
                let answer = self.ask("acquire")?;
                let mut words = answer.split(' ');
                let granted = words.next() == Some("granted");
                let number: u64 = words.next().ok_or("no token")?.parse()?;
                let expiry: u64 = words.next().ok_or("no expiry")?.parse()?;
                let lease = Lease::from_be_bytes(expiry.to_be_bytes())?;
                let token = FencingToken::new(number).ok_or("token 0")?;
                if granted {
                    let lease = lease.with_margin(MARGIN);
                    self.say(&format!("granted {token}, {lease}"));
                    return Ok(Leadership { token, lease });
                }
                self.say(&format!("waits until {token} is surely over"));
                lease.wait_until_expired(&self.clock)?;
            }
        }

        /// Raises the fence and then reads: what is read before that can still change.
        fn balance(&mut self, leadership: &Leadership) -> Outcome<u64> {
            let number = leadership.token.number();
            let answer = self.ask(&format!("read {number}"))?;
            Ok(answer.parse().map_err(|_| answer)?)
        }

        fn write(&mut self, leadership: &Leadership, balance: u64) -> Outcome<String> {
            let number = leadership.token.number();
            self.ask(&format!("write {number} {balance}"))
        }

        fn deposit(&mut self, leadership: &Leadership) -> Outcome<()> {
            let balance = self.balance(leadership)? + DEPOSIT;
            leadership.lease.check(&self.clock)?;
            let answer = self.write(leadership, balance)?;
            self.say(&format!("deposits {DEPOSIT}: balance {balance}, {answer}"));
            Ok(())
        }
    }

    pub(super) fn lead(address: &str) -> Outcome<()> {
        let mut node = Node::connect("leader", address)?;
        let leadership = node.obtain()?;
        for _ in 0..3 {
            node.deposit(&leadership)?;
        }
        let clock = node.clock.clone();
        let mut detector = PauseDetector::new(&clock, Duration::from_millis(100));
        let balance = node.balance(&leadership)? + DEPOSIT;
        let guard = leadership.lease.guard(&clock)?;
        node.say(&format!(
            "will write {balance}: the lease is held, as was just checked"
        ));
        // Fate strikes between the check and the act. It waits for this line, and this process for
        // a byte from it, which is there all the time that the process is stopped.
        println!("checked");
        std::io::stdin().read_exact(&mut [0])?;

        let answer = node.write(&leadership, balance)?;
        node.say(&format!("wrote {balance}: {answer}"));
        let tenure = guard.finish();
        node.say(&format!("was the lease held? {tenure:?}"));
        if let Some(pause) = detector.beat() {
            node.say(&format!("now it knows: {pause}"));
        }
        Ok(())
    }

    pub(super) fn succeed(address: &str) -> Outcome<()> {
        let mut node = Node::connect("successor", address)?;
        let leadership = node.obtain()?;
        for _ in 0..3 {
            node.deposit(&leadership)?;
        }
        Ok(())
    }
}

/// The account, the lease on it, and what happens to the leader.
#[cfg(target_os = "linux")]
mod fate {
    use std::fs;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, ExitCode, Stdio};
    use std::sync::{Arc, Mutex, PoisonError};
    use std::time::Duration;

    use epsilon_clock::lease::FencingToken;
    use epsilon_clock::{Clock, Fence, HlcTimestamp, HybridClock, Lease, RemoteTimestamp};
    use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

    use super::common::{DEPOSIT, Outcome, clock};

    /// How long a grant lasts.
    const TERM: Duration = Duration::from_secs(2);

    /// What stands between the account and who writes to it.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub(super) enum Guarding {
        ByFence,
        Nothing,
    }

    pub(super) fn play(guarding: Guarding) -> Outcome<ExitCode> {
        let name = format!("epsilon-clock-zombie-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        let verdict = play_in(&directory, guarding);
        fs::remove_dir_all(&directory)?;
        verdict
    }

    fn play_in(directory: &Path, guarding: Guarding) -> Outcome<ExitCode> {
        let server = Arc::new(Mutex::new(Server::new(directory, guarding)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let serving = Arc::clone(&server);
        std::thread::spawn(move || {
            for node in listener.incoming().flatten() {
                let server = Arc::clone(&serving);
                std::thread::spawn(move || serve(&server, node));
            }
        });
        stop_a_leader(&address)?;
        let server = server.lock().unwrap_or_else(PoisonError::into_inner);
        server.verdict()
    }

    /// A leader is stopped between its check and its write, for as long as a successor takes.
    fn stop_a_leader(address: &str) -> Outcome<()> {
        let mut leader = Reaped(
            start("leader", address)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?,
        );
        let pid = Pid::from_child(&leader.0);
        let mut wake = leader.0.stdin.take().ok_or("no way to wake the leader")?;
        let mut lines = BufReader::new(leader.0.stdout.take().ok_or("a mute leader")?).lines();
        if relay(&mut lines)? != Heard::Checked {
            return Err("the leader ended before its time".into());
        }
        kill_process(pid, Signal::STOP)?;
        waitpid(Some(pid), WaitOptions::UNTRACED)?;
        println!("     fate: stops the leader, process {}", leader.0.id());
        wake.write_all(b"!")?;

        let mut successor = Reaped(start("successor", address).spawn()?);
        if !successor.0.wait()?.success() {
            return Err("the successor failed".into());
        }
        println!("     fate: lets the leader go on");
        kill_process(pid, Signal::CONT)?;
        relay(&mut lines)?;
        if !leader.0.wait()?.success() {
            return Err("the leader failed".into());
        }
        Ok(())
    }

    fn start(role: &str, address: &str) -> Command {
        // A link to this very program, whatever has become of its file.
        let mut command = Command::new("/proc/self/exe");
        command.args([role, address]);
        command
    }

    /// Where the leader's account of itself stopped.
    #[derive(PartialEq, Eq)]
    enum Heard {
        Checked,
        All,
    }

    /// Repeats what the leader says, until it has checked its lease or ended.
    fn relay(lines: &mut impl Iterator<Item = std::io::Result<String>>) -> Outcome<Heard> {
        for line in lines {
            match line?.as_str() {
                "checked" => return Ok(Heard::Checked),
                line => println!("{line}"),
            }
        }
        Ok(Heard::All)
    }

    /// A child that does not outlive a failure of its parent, stopped or not.
    struct Reaped(Child);

    impl Drop for Reaped {
        fn drop(&mut self) {
            // One that has ended already cannot be killed.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// One node's questions, one after the other.
    fn serve(server: &Mutex<Server>, node: TcpStream) {
        let Ok(mut answers) = node.try_clone() else {
            return;
        };
        for question in BufReader::new(node).lines().map_while(Result::ok) {
            let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
            let answer = server.answer(&question);
            let answer = answer.unwrap_or_else(|error| error.to_string());
            if answers.write_all(format!("{answer}\n").as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Storage and lock service in one; whoever has it locked is in a transaction.
    struct Server {
        account: PathBuf,
        guarding: Guarding,
        clock: Clock,
        grantor: HybridClock,
        granted: Option<(FencingToken, Lease)>,
        acknowledged: u64,
    }

    impl Server {
        fn new(directory: &Path, guarding: Guarding) -> Outcome<Self> {
            let clock = clock()?;
            let server = Self {
                account: directory.join("account"),
                guarding,
                grantor: grantor(&clock, &directory.join("no-token-above"))?,
                clock,
                granted: None,
                acknowledged: 0,
            };
            server.store(Fence::OPEN, 0)?;
            Ok(server)
        }

        fn answer(&mut self, question: &str) -> Outcome<String> {
            let words: Vec<&str> = question.split(' ').collect();
            match words.as_slice() {
                ["acquire"] => self.acquire(),
                ["read", token] => {
                    let (fence, balance) = self.admitted(token)?;
                    self.store(fence, balance)?;
                    Ok(balance.to_string())
                }
                ["write", token, balance] => {
                    let (fence, _) = self.admitted(token)?;
                    self.store(fence, balance.parse()?)?;
                    self.acknowledged += DEPOSIT;
                    Ok("acknowledged".to_owned())
                }
                _ => Err(format!("what is {question:?}?").into()),
            }
        }

        fn acquire(&mut self) -> Outcome<String> {
            let (word, token, lease) = match self.granted {
                Some((token, lease)) if !lease.surely_expired(&self.clock)? => {
                    ("taken", token, lease)
                }
                _ => {
                    let lease = Lease::grant(&self.clock.now()?, TERM)?;
                    ("granted", self.grantor.fencing_token()?, lease)
                }
            };
            self.granted = Some((token, lease));
            let expiry = u64::from_be_bytes(lease.to_be_bytes());
            Ok(format!("{word} {} {expiry}", token.number()))
        }

        /// What is stored, if the token may pass.
        fn admitted(&self, token: &str) -> Outcome<(Fence, u64)> {
            let shown = FencingToken::new(token.parse()?).ok_or("token 0")?;
            let (fence, balance) = self.stored()?;
            match self.guarding {
                Guarding::ByFence => Ok((fence.admit(shown)?, balance)),
                Guarding::Nothing => Ok((fence, balance)),
            }
        }

        /// Nine bytes of fence, eight of balance: what a database would keep in one row.
        fn stored(&self) -> Outcome<(Fence, u64)> {
            let bytes = fs::read(&self.account)?;
            let (fence, balance) = bytes.split_at_checked(9).ok_or("a short file")?;
            Ok((
                Fence::try_from(fence)?,
                u64::from_be_bytes(balance.try_into()?),
            ))
        }

        /// Both at once or neither: a new file takes the old one's place.
        fn store(&self, fence: Fence, balance: u64) -> Outcome<()> {
            let new = self.account.with_extension("new");
            let bytes = [&fence.to_be_bytes()[..], &balance.to_be_bytes()].concat();
            fs::write(&new, bytes)?;
            fs::rename(&new, &self.account)?;
            Ok(())
        }

        fn verdict(&self) -> Outcome<ExitCode> {
            let (fence, balance) = self.stored()?;
            let due = self.acknowledged;
            println!("     file: balance {balance}, acknowledged deposits {due}, {fence}");
            if balance == due {
                println!("the account is right: the late write was turned away");
                return Ok(ExitCode::SUCCESS);
            }
            println!(
                "the account is CORRUPTED: {} of acknowledged deposits are gone, overwritten by a \
                 leader that had checked its lease",
                due.abs_diff(balance)
            );
            Ok(ExitCode::FAILURE)
        }
    }

    /// Tokens that go up across restarts: stamps, below a bound that is stored before its use.
    fn grantor(clock: &Clock, path: &Path) -> Outcome<HybridClock> {
        let floor = match fs::read_to_string(path) {
            Ok(text) => text.parse::<RemoteTimestamp>()?.trust(),
            Err(_) => HlcTimestamp::MIN, // the first start of all
        };
        let path = path.to_owned();
        let builder = HybridClock::builder(clock.clone()).resume_from(floor);
        let builder = builder.reserve(Duration::from_secs(3), move |bound| {
            let new = path.with_extension("new");
            fs::write(&new, bound.to_string())?; // and sync, where it matters
            Ok(fs::rename(&new, &path)?)
        });
        Ok(builder.build()?)
    }
}
