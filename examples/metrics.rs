//! A service's logs and its metrics, with the clock in both: `cargo run --release --example metrics`.
//!
//! Each line of the log says how wrong its time may be; the figures of the clock go through the `metrics`
//! facade, as those of the service itself do, to the exporter that the service has already.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::log::LogTime;
use epsilon_clock::metrics::ClockMetrics;
use metrics_exporter_prometheus::PrometheusBuilder;

mod support;

const USAGE: &str = "\
Logs three payments, and prints what Prometheus would be served after them.

Usage: metrics [--assume-error=SPAN]   vouch for the machine's clock where no daemon does: 50ms, 1s";

fn main() -> ExitCode {
    support::run(USAGE, |options, out| {
        let clock = support::clock(options)?;

        // What a service sets up once: its log, and its exporter.
        let log = tracing_subscriber::fmt()
            .with_timer(LogTime::bounded(clock.clone()))
            .with_writer(std::io::stderr)
            .finish();
        let _log = tracing::subscriber::set_default(log);
        let exporter = PrometheusBuilder::new().install_recorder()?;
        let mut figures = ClockMetrics::new(clock.clone());

        for amount in 1..=3_u64 {
            std::thread::sleep(Duration::from_millis(20));
            tracing::info!(amount, "paid");
            metrics::counter!("payments_total").increment(1);
        }

        // What it does for each scrape: read the clock, and hand the text to its HTTP server.
        figures.record();
        write!(out, "{}", exporter.render())?;
        Ok(true)
    })
}
