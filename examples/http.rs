//! An HTTP service whose responses say when they were made, for sure: `cargo run --release --example http`.
//!
//! Each response carries the interval in which it was made, so that a client of two servers knows which answered
//! surely first. The clock's figures go to the exporter that the service has already.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::metrics::ClockMetrics;
use epsilon_clock::{Clock, Interval, IntervalOrder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

mod support;

use support::{Ends, Fault, Output};

const USAGE: &str = "\
Serves payments over HTTP; asks for three itself, says in which order they were made, and ends.

Usage: http [OPTIONS]
  --assume-error=SPAN   vouch for the machine's clock where no daemon does: 50ms, 1s
  --listen=ADDRESS      serve on this address and port until it is stopped, and ask for nothing";

/// How long a client may take over its request or over what is sent to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest request that is read, in bytes.
const LONGEST: u64 = 8_192;

fn main() -> ExitCode {
    support::run(USAGE, |options, out| {
        let clock = support::clock(options)?;
        let exporter = PrometheusBuilder::new().install_recorder()?;
        let figures = ClockMetrics::new(clock.clone());
        let mut service = Service {
            clock,
            exporter,
            figures,
        };

        let address: SocketAddr = match options.get("listen") {
            Some(text) => text
                .parse()
                .map_err(|why| Ends::usage(format!("--listen {text:?}: {why}")))?,
            None => SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        if options.get("listen").is_some() {
            writeln!(out, "http://{address}/")?;
            for client in listener.incoming() {
                // A client that breaks off is its own affair.
                let _ = client.and_then(|client| service.answer(client));
            }
            return Ok(true);
        }
        let serve = move || {
            listener
                .incoming()
                .try_for_each(|client| service.answer(client?))
        };
        std::thread::spawn(serve);
        ask(address, out)
    })
}

/// A service: a clock, and an exporter of figures as it would be without one.
struct Service {
    clock: Clock,
    exporter: PrometheusHandle,
    figures: ClockMetrics,
}

impl Service {
    fn answer(&mut self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        client.set_write_timeout(Some(PATIENCE))?;
        let mut request = BufReader::new(client.try_clone()?.take(LONGEST));
        let mut first = String::new();
        request.read_line(&mut first)?;
        for line in request.lines() {
            if line?.is_empty() {
                break;
            }
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let body = if path == "/metrics" {
            self.figures.record();
            self.exporter.render()
        } else {
            metrics::counter!("payments_total").increment(1);
            format!("paid {path}\n")
        };
        // Read last: the interval contains a moment after all that the response tells of.
        let made = match self.clock.now() {
            Ok(now) => format!("Made-Within: {}/{}\r\n", now.earliest(), now.latest()),
            // Honest, and no reason to refuse the payment.
            Err(_) => String::new(),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n{made}\r\n"
        );
        client.write_all(head.as_bytes())?;
        client.write_all(body.as_bytes())
    }
}

/// Asks for three payments and for the figures; whether the responses that are surely ordered are so in truth.
fn ask(server: SocketAddr, out: &mut Output) -> Result<bool, Fault> {
    let mut made: Vec<(u32, Interval)> = Vec::new();
    for number in 1..=3 {
        let response = get(server, &format!("/{number}"))?;
        let header = response
            .lines()
            .find_map(|line| line.strip_prefix("Made-Within: "));
        writeln!(out, "payment {number}: {}", header.unwrap_or("no interval"))?;
        if let Some((earliest, latest)) = header.and_then(|header| header.split_once('/')) {
            made.push((number, Interval::new(earliest.parse()?, latest.parse()?)?));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut holds = true;
    for ((a, one), (b, other)) in made.iter().zip(made.iter().skip(1)) {
        let order = one.order(other);
        writeln!(out, "{a} and {b}: {order}")?;
        holds &= order != IntervalOrder::After;
    }
    for line in get(server, "/metrics")?.lines() {
        if line.starts_with("payments_total ") || line.contains("epsilon_seconds ") {
            writeln!(out, "{line}")?;
        }
    }
    Ok(holds)
}

fn get(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut connection = TcpStream::connect(server)?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {server}\r\n\r\n")?;
    let mut response = String::new();
    connection.read_to_string(&mut response)?;
    Ok(response)
}
