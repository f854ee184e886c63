//! `epsilon serve` as clients meet it: what it answers, and what does it no harm.
#![cfg(all(feature = "serve", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A server, killed when this is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_epsilon"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.take().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap();
        let address = address.strip_suffix('/').unwrap().to_owned();
        Self { child, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        let patience = Some(Duration::from_secs(30));
        stream.set_read_timeout(patience).unwrap();
        stream
    }

    /// Sends this as it is, and returns all that comes back.
    fn send(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // A server that has refused a request may reset what it did not read.
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    fn get(&self, path: &str) -> String {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"))
    }

    fn status(&self, name: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let line = line.unwrap().trim_start_matches(':').trim();
        line.trim_end_matches(" kB").parse().unwrap()
    }

    /// How many threads there are once none comes or goes for half a second.
    fn threads_at_rest(&self) -> u64 {
        loop {
            let threads = self.status("Threads");
            let changed = (0..10).any(|_| {
                thread::sleep(Duration::from_millis(50));
                self.status("Threads") != threads
            });
            if !changed {
                return threads;
            }
        }
    }

    /// Waits until there are no more threads than this.
    #[track_caller]
    fn wait_for_threads(&self, most: u64) {
        let end = Instant::now() + Duration::from_secs(20);
        while self.status("Threads") > most {
            assert!(Instant::now() < end, "{} threads", self.status("Threads"));
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

#[test]
fn each_address_has_its_answer() {
    let server = Server::start(&["--assume-error", "5ms"]);
    for (path, kind, part) in [
        ("/", "text/html", "<h2 id=\"plot-title\">"),
        ("/page.css", "text/css", "prefers-color-scheme"),
        ("/page.js", "text/javascript", "data-live"),
        ("/metrics", "version=0.0.4", "\nepsilon_clock_available 1\n"),
        ("/json", "application/json", "\"epsilon_ns\":"),
        ("/healthz", "text/plain", "is within ±250 ms"),
    ] {
        let answer = server.get(path);
        assert_eq!(code(&answer), "200", "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let head = head.to_lowercase();
        assert!(head.contains(kind), "{head}");
        assert!(head.contains("cache-control: no-store"), "{head}");
        assert!(head.contains("default-src 'none'"), "{head}");
        let length = format!("content-length: {}", body.len());
        assert!(head.contains(&length), "{head}");
        assert!(body.contains(part), "{body}");
        let alone = server.send(&format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n"));
        assert_eq!(code(&alone), "200");
        assert!(alone.ends_with("\r\n\r\n"), "{alone}");
    }
    let page = server.get("/");
    for outside in ["http://", "https://", "//"] {
        let told = page.matches(outside).count();
        assert_eq!(told, 0, "{outside} in the page");
    }
    assert_eq!(code(&server.get("/favicon.ico")), "404");
    assert_eq!(code(&server.get("/../Cargo.toml")), "404");
}

#[test]
fn healthy_is_an_interval_that_is_narrow_enough() {
    let wide = Server::start(&["--assume-error", "5ms", "--max-error", "1ms"]);
    let answer = wide.get("/healthz");
    // On a machine that a daemon vouches for nothing is assumed.
    if wide.get("/metrics").contains("{state=\"assumed\"} 1") {
        assert_eq!(code(&answer), "503", "{answer}");
        assert!(answer.contains("is beyond ±1.0 ms"), "{answer}");
    }
    let none = Server::start(&["--ntp", "127.0.0.1:9"]);
    let answer = none.get("/healthz");
    assert_eq!(code(&answer), "503", "{answer}");
    assert!(answer.contains("no interval: "), "{answer}");
    assert!(none.get("/").contains("Why there is no interval"));
    let metrics = none.get("/metrics");
    assert!(
        metrics.contains("\nepsilon_clock_available 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("{server=\"127.0.0.1\",state=\"waiting\"} 1"),
        "{metrics}"
    );
    assert!(
        !metrics.contains("epsilon_clock_kernel"),
        "it was not to be asked"
    );
}

#[test]
fn rubbish_is_refused_and_the_next_client_served() {
    let server = Server::start(&["--assume-error", "5ms"]);
    let long = "x".repeat(100_000);
    for (request, wanted) in [
        ("rubbish\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), "400"),
        ("\0\0\0\0\r\n\r\n".to_owned(), "400"),
        ("GET /\u{e9} HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "4"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n".to_owned(),
            "400",
        ),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), "4"),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n"),
            "431",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nwhat".to_owned(),
            "405",
        ),
        (
            "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "405",
        ),
    ] {
        let answer = server.send(&request);
        let start: String = request.chars().take(30).collect();
        // One that is cut off while it sends may not come to read the answer.
        let cut_off = request.len() > 10_000 && answer.is_empty();
        assert!(
            cut_off || code(&answer).starts_with(wanted),
            "{start:?}: {answer}"
        );
        assert_eq!(code(&server.get("/healthz")), "200", "after {start:?}");
    }
    // A client that sends nothing more, and one that is gone before it is answered.
    let mut half = server.connect();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    half.read_to_string(&mut answer).unwrap();
    assert_eq!(code(&answer), "200");
    for _ in 0..50 {
        let mut gone = server.connect();
        gone.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            .unwrap();
        drop(gone);
    }
    assert_eq!(code(&server.get("/healthz")), "200");
}

#[test]
fn slow_clients_keep_no_other_waiting_and_are_let_go() {
    let server = Server::start(&["--assume-error", "5ms"]);
    let threads = server.threads_at_rest();
    // Most say nothing, some a byte now and then.
    let mut slow: Vec<TcpStream> = (0..100).map(|_| server.connect()).collect();
    let begun = Instant::now();
    for _ in 0..5 {
        for stream in slow.iter_mut().take(20) {
            let _ = stream.write_all(b"G");
        }
        let asked = Instant::now();
        assert_eq!(code(&server.get("/healthz")), "200");
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "{:?}",
            asked.elapsed()
        );
        thread::sleep(Duration::from_millis(200));
    }
    assert!(server.status("Threads") >= threads + 90);
    server.wait_for_threads(threads);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
    drop(slow);
}

#[test]
fn ten_thousand_requests_and_a_hundred_at_a_time_leave_nothing_behind() {
    let server = Server::start(&["--assume-error", "5ms"]);
    let paths = ["/metrics", "/json", "/healthz", "/", "/nothing"];
    let at_once = |count: usize| {
        thread::scope(|scope| {
            for number in 0..count {
                let (server, path) = (&server, paths[number % 4]);
                scope.spawn(move || assert_eq!(code(&server.get(path)), "200"));
            }
        });
    };
    let threads = server.threads_at_rest();
    // What is needed once is needed once.
    for path in paths.iter().cycle().take(100) {
        server.get(path);
    }
    let before = server.status("VmRSS");
    for (number, path) in (0..10_000).zip(paths.iter().cycle()) {
        let wanted = if number % 5 == 4 { "404" } else { "200" };
        assert_eq!(code(&server.get(path)), wanted);
    }
    for _ in 0..5 {
        at_once(100);
    }
    server.wait_for_threads(threads);
    let grown = server.status("VmRSS").saturating_sub(before);
    println!("10 000 requests, and 5 times 100 at once: {grown} kB more, {threads} threads");
    assert!(grown < 5 * 1024, "{grown} kB");
}

#[test]
fn an_address_that_is_taken_is_exit_69_and_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_epsilon"))
        .args(["serve", "--listen", &address])
        .output()
        .unwrap();
    let complaint = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(
        complaint.starts_with("epsilon serve: cannot listen on"),
        "{complaint}"
    );
}

#[test]
fn it_binds_to_loopback_unless_told() {
    let help = Command::new(env!("CARGO_BIN_EXE_epsilon"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("[127.0.0.1:9184]"), "{help}");
    let Ok(free) = TcpListener::bind("127.0.0.1:9184") else {
        return;
    };
    drop(free);
    let mut child = Command::new(env!("CARGO_BIN_EXE_epsilon"))
        .arg("serve")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert_eq!(line, "http://127.0.0.1:9184/\n");
}
