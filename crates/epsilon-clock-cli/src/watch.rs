//! `epsilon watch`: the clock as it goes, on a terminal.

mod sparks;

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use epsilon_clock::{ClockState, ErrorBound};

use crate::args::{Word, next, unknown, value};
use crate::clock_settings::ClockSettings;
use crate::command::{Command, Flag};
use crate::failure::Failure;
use crate::ntp::Servers;
use crate::report::Report;
use crate::terminal::{cut, wrapped};
use crate::units::rounded;
use crate::{ntp, output, terminal};

pub(crate) static COMMAND: Command = Command {
    flags: &[
        &[Flag::taking(
            "count",
            "N",
            "end after N views, one a second [go on until interrupted]",
        )],
        ClockSettings::FLAGS,
        Servers::FLAGS,
    ],
    ..Command::new(
        "watch",
        "show the interval, epsilon over time and each source's state, live",
        run,
    )
};

/// How many seconds of epsilon are kept: more than a terminal has columns.
const KEPT: usize = 400;

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let (mut count, mut settings) = (u64::MAX, ClockSettings::default());
    while let Some(word) = next(&mut parser)? {
        match &word {
            Word::Help => {
                let help = COMMAND.help("epsilon ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Option(name) if name == "count" => count = value("--count", &mut parser, views)?,
            Word::Option(name) if settings.take(name, &mut parser)? => {}
            _ => return Err(unknown(&word).into()),
        }
    }
    let servers = settings.servers.source()?;
    let clock = settings.clock(servers.clone())?;
    let moves = terminal::moves_cursor();
    let colours = terminal::takes_colours();
    let mut past = VecDeque::with_capacity(KEPT);
    let mut out = io::stdout().lock();
    for number in 0..count {
        if number > 0 {
            std::thread::sleep(Duration::from_secs(1));
        }
        let report = Report::of(&clock, servers.as_ref(), settings.asks_kernel());
        if past.len() == KEPT {
            past.pop_front();
        }
        let interval = report.status.interval.ok();
        past.push_back(interval.map(|interval| interval.epsilon()));
        let view = view(&report, &past, terminal::size(), colours);
        let written = if moves {
            over(&mut out, &view, number == 0)
        } else {
            writeln!(out, "{view}")
        };
        if let Err(error) = written.and_then(|()| out.flush()) {
            return output::finish(Err(error), ExitCode::SUCCESS);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes a view over the last one, without a moment in which the screen is empty.
fn over(out: &mut impl Write, view: &str, is_first: bool) -> io::Result<()> {
    let start = if is_first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
    let lines = view.trim_end().replace('\n', "\x1b[K\n");
    // What is left of the line and of the screen is cleared.
    write!(out, "{start}{lines}\x1b[K\n\x1b[J")
}

fn view(
    report: &Report,
    past: &VecDeque<Option<Duration>>,
    (columns, rows): (usize, usize),
    colours: bool,
) -> String {
    // The last row stays free: a line break there would move all of it.
    let rows = rows.saturating_sub(1).max(1);
    let whole = |text: &str, rest: &str| wrapped(text, "", rest, columns);
    let lines =
        |fit: &dyn Fn(&str, &str) -> String| (head(report, colours, fit), sources(report, fit));
    // Room for a plot of two rows, its title and two empty lines.
    let count = |(head, sources): &(Vec<String>, Vec<String>)| {
        let lines = head.iter().chain(sources).map(|line| line.lines().count());
        lines.sum::<usize>() + 5
    };
    let mut told = lines(&whole);
    if count(&told) > rows {
        told = lines(&|text, _| cut(text, columns));
    }
    let spare = (rows + 2).saturating_sub(count(&told));
    let (mut all, sources) = told;
    if spare > 0 {
        all.push(String::new());
        let plot = sparks::plot(past, columns, spare.min(8));
        all.extend(plot.iter().map(|line| cut(line, columns)));
        all.push(String::new());
    }
    all.extend(sources);
    let all = all.join("\n");
    let mut view = String::new();
    for line in all.lines().take(rows) {
        let _ = writeln!(view, "{line}");
    }
    view
}

/// The interval, how well founded it is, and what its width is made of.
fn head(report: &Report, colours: bool, fit: &dyn Fn(&str, &str) -> String) -> Vec<String> {
    let paint = |code: &str, text: &str| {
        if colours {
            let lines: Vec<_> = text
                .lines()
                .map(|line| format!("\x1b[{code}m{line}\x1b[0m"))
                .collect();
            lines.join("\n")
        } else {
            text.to_owned()
        }
    };
    let status = &report.status;
    // Colours add to what the words say.
    let hue = match status.state {
        ClockState::Synchronized => "32",
        ClockState::Unavailable => "31",
        _ => "33",
    };
    let reading = report.reading();
    // What it is accurate to is worth a line of its own where there is no room for both.
    let parts = match reading.rsplit_once(' ') {
        Some((time, epsilon)) if fit(&reading, "") != reading => vec![time, epsilon],
        _ => vec![reading.as_str()],
    };
    let mut lines: Vec<_> = parts
        .iter()
        .map(|part| paint("1", &fit(part, "")))
        .collect();
    lines.push(paint(hue, &fit(&report.state_in_words(), "  ")));
    if let Some(left) = status.refuses_in {
        let left = format!("no interval in {} if no other claim comes", rounded(left));
        lines.push(fit(&left, "  "));
    }
    let terms = status.bound.iter().flat_map(ErrorBound::items);
    let terms = terms.filter(|(_, ns)| *ns > 0);
    let terms: Vec<_> = terms
        .map(|(name, ns)| format!("{name} {}", rounded(Duration::from_nanos(ns))))
        .collect();
    if !terms.is_empty() {
        lines.push(fit(&terms.join(", "), "  "));
    }
    lines
}

fn sources(report: &Report, fit: &dyn Fn(&str, &str) -> String) -> Vec<String> {
    let mut lines = Vec::new();
    for source in &report.sources {
        let said = match (source.interval, source.refusal) {
            (Some(said), None) => format!("±{}", rounded(said.epsilon())),
            (Some(_), Some(why)) | (None, Some(why)) => why.to_string(),
            (None, None) => "nothing yet".to_owned(),
        };
        let serves = if source.serves { "*" } else { " " };
        let name = source.name;
        lines.push(fit(&format!("{serves} {name:<8} {said}"), "    "));
    }
    for (name, words) in ntp::in_words(&report.servers) {
        lines.push(fit(&format!("  {name}: {words}"), "    "));
    }
    lines
}

fn views(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a number of views, such as 5".to_owned()),
        Ok(count) => Ok(count),
    }
}
