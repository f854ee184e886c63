//! A service over HTTP: it waits for its clock, logs with bounds, and serves Prometheus.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use epsilon_clock::log::LogTime;
use epsilon_clock::source::Refusal;
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, ClockState};

/// The page that Prometheus fetches; labels are words that never change.
fn metrics(clock: &Clock) -> String {
    let status = clock.status();
    let mut page = String::new();
    for state in ClockState::ALL {
        let is = u8::from(*state == status.state);
        let _ = writeln!(page, "clock_state{{state=\"{}\"}} {is}", state.as_str());
    }
    if let Err(error) = &status.interval {
        let _ = writeln!(page, "clock_error{{reason=\"{}\"}} 1", error.as_str());
    }
    if let Some(refusal) = status.refusal {
        let reason = match refusal {
            Refusal::Chrony(chrony) => chrony.as_str(),
            other => other.as_str(),
        };
        let _ = writeln!(page, "clock_refusal{{reason=\"{reason}\"}} 1");
    }
    page
}

fn answer(path: &str, clock: &Clock) -> (u16, String) {
    match (path, clock.now()) {
        ("/metrics", _) => (200, metrics(clock)),
        ("/now", Ok(now)) => (200, now.to_string()),
        // Ready as long as there is an interval.
        ("/ready", Ok(_)) => (200, String::new()),
        ("/now" | "/ready", Err(error)) => (503, error.to_string()),
        ("/panic", _) => panic!("asked for"),
        _ => (404, String::new()),
    }
}

fn serve(mut stream: &TcpStream, clock: &Clock) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or("/");
    // A handler that panics is a 500: a clock is `UnwindSafe`.
    let answered = catch_unwind(|| answer(path, clock));
    let (code, body) = answered.unwrap_or((500, String::new()));
    tracing::info!(path, code, "answered");
    write!(
        stream,
        "HTTP/1.0 {code} .\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn get(address: SocketAddr, path: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].to_owned(), body.to_owned())
}

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_service_with_tracing_and_prometheus() {
    let machine = ScriptedMachine::default();
    let clock = machine
        .builder()
        .look_interval(Duration::from_millis(5))
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (lines, served) = (Lines::default(), clock.clone());
    let writer = lines.clone();
    let server = thread::spawn(move || {
        let subscriber = tracing_subscriber::fmt()
            .with_timer(LogTime::bounded(served.clone()))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for stream in listener.incoming().take(6) {
                serve(&stream.unwrap(), &served).unwrap();
            }
        });
    });

    let (code, why) = get(address, "/ready");
    assert_eq!(code, "503");
    assert!(why.contains("not synchronised"), "{why}");
    let (_, page) = get(address, "/metrics");
    let unready = [
        "clock_state{state=\"unavailable\"} 1",
        "clock_state{state=\"synchronized\"} 0",
        "clock_error{reason=\"unvouched\"} 1",
        "clock_refusal{reason=\"unsynchronized\"} 1",
    ];
    for line in unready {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    assert_eq!(page.matches("} 1\n").count(), 3, "{page}");

    // At the start, on any runtime; the machine's daemon writes meanwhile.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    machine.write_maxerror(1_003);
    machine.advance(Duration::from_millis(10));
    let ready = clock.until_synchronized(Duration::from_secs(60));
    runtime.block_on(ready).unwrap();

    assert_eq!(get(address, "/ready").0, "200");
    assert_eq!(get(address, "/panic").0, "500");
    assert!(
        get(address, "/metrics")
            .1
            .contains("clock_state{state=\"synchronized\"} 1")
    );
    assert!(get(address, "/now").1.contains(" ±"));
    server.join().unwrap();

    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let bounds: Vec<&str> = lines
        .lines()
        .map(|line| line.split(' ').nth(1).unwrap())
        .collect();
    assert_eq!(bounds[..2], ["±?", "±?"], "{lines}");
    assert!(
        bounds[2..].iter().all(|bound| bound.starts_with("±1.")),
        "{lines}"
    );
}
