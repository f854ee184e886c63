//! The page for people: all of it as the server has it, so that it is whole without JavaScript.

use std::fmt::Write as _;
use std::time::Duration;

use epsilon_clock::{ClockError, ClockState, ErrorBound};

use super::history::History;
use super::markup::Plain;
use super::plot;
use super::watched::Watched;
use crate::ntp;
use crate::report::{Report, ways_out};
use crate::units::{age, nanos, rounded};

/// Writes the page as of now.
pub(super) fn whole(watched: &Watched) -> String {
    let report = watched.report();
    let history = watched.history();
    let mut out = String::with_capacity(96 * 1024);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>epsilon</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <link rel=\"stylesheet\" href=\"/page.css\">\n<script src=\"/page.js\" defer></script>\n</head>\n<body>\n<main>\n\
         <h1>What time it is for sure</h1>\n"
    );
    write_now(&mut out, &report);
    let _ = writeln!(
        out,
        "<p id=\"link\" role=\"status\" class=\"bad\"></p>\n\
         <noscript><p>This is how it was when the page was loaded; load it again to see it as it is.</p></noscript>"
    );
    write_plot(&mut out, &history);
    write_bound(&mut out, report.status.bound.as_ref());
    write_sources(&mut out, &report);
    write_doctor(&mut out, &watched.doctor());
    out.push_str(
        "<footer><nav aria-label=\"For programs\">For programs: <a href=\"/metrics\">/metrics</a>, \
         <a href=\"/json\">/json</a>, <a href=\"/healthz\">/healthz</a></nav></footer>\n</main>\n</body>\n</html>\n",
    );
    out
}

/// Opens a section whose content the script may replace.
fn open(out: &mut String, name: &str, title: &str) {
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"{name}-title\">\n<h2 id=\"{name}-title\">{title}</h2>\n\
         <div id=\"{name}\" data-live>"
    );
}

fn close(out: &mut String) {
    out.push_str("</div>\n</section>\n");
}

fn write_now(out: &mut String, report: &Report) {
    let status = &report.status;
    let _ = writeln!(
        out,
        "<p id=\"reading\" class=\"now\" data-live>{}</p>",
        Plain(&report.reading())
    );
    let hue = match status.state {
        ClockState::Synchronized => "good",
        ClockState::Unavailable => "bad",
        _ => "fair",
    };
    // Announced where it changes, which it does seldom; the reading changes all the time.
    let _ = writeln!(
        out,
        "<p id=\"state\" class=\"state {hue}\" role=\"status\" data-live>{}</p>\n<div id=\"facts\" data-live>",
        Plain(&report.state_in_words())
    );
    if let Err(error) = &status.interval {
        write_refusal(out, error);
    }
    out.push_str("<dl>\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "<dt>{name}</dt><dd>{}</dd>", Plain(value));
    };
    if let Ok(interval) = status.interval {
        row("Earliest", &interval.earliest().to_string());
        row("Latest", &interval.latest().to_string());
        row("Epsilon", &format!("±{}", rounded(interval.epsilon())));
    }
    if let Some(claimed) = status.age {
        row("Last claim", &format!("{} ago", age(claimed)));
    }
    if let Some(left) = status.refuses_in {
        row(
            "No interval in",
            &format!("{}, if no other claim comes", age(left)),
        );
    }
    if let Some(rate) = status.rate {
        let ppm = |ppb: i32| f64::from(ppb) / 1_000.0;
        let learned = match status.learned {
            Some(learned) => format!("learned from {} claims", learned.claims),
            None => "assumed until it is learned".to_owned(),
        };
        let (low, high) = (ppm(rate.lo_ppb()), ppm(rate.hi_ppb()));
        row("Drift", &format!("{low:+.1} to {high:+.1} ppm, {learned}"));
    }
    out.push_str("</dl>\n</div>\n");
}

fn write_refusal(out: &mut String, error: &ClockError) {
    let _ = writeln!(
        out,
        "<h2>Why there is no interval</h2>\n<p>{}</p>\n<h3>Ways out</h3>\n<ol>",
        Plain(&error.to_string())
    );
    for way in ways_out(error) {
        let _ = writeln!(out, "<li>{}</li>", Plain(way));
    }
    out.push_str("</ol>\n");
}

fn write_plot(out: &mut String, history: &History) {
    open(out, "plot", "The last hour");
    let words = plot::in_words(history);
    let _ = writeln!(
        out,
        "<figure>\n{}\n<figcaption>\
         <span class=\"key\"><svg viewBox=\"0 0 36 8\" aria-hidden=\"true\"><path class=\"epsilon\" d=\"M2 4H34\"/></svg>epsilon</span>\
         <span class=\"key\"><svg viewBox=\"0 0 36 8\" aria-hidden=\"true\"><path class=\"kernel\" d=\"M2 4H34\"/></svg>the kernel's maxerror</span>\
         <span class=\"key\"><svg viewBox=\"0 0 36 8\" aria-hidden=\"true\"><rect class=\"gap\" width=\"36\" height=\"8\"/></svg>no interval</span>\
         <p id=\"plot-words\">{}</p></figcaption>\n</figure>",
        plot::svg(history),
        Plain(&words)
    );
    close(out);
}

fn write_bound(out: &mut String, bound: Option<&ErrorBound>) {
    open(out, "bound", "What epsilon is made of");
    if let Some(bound) = bound {
        let total = nanos(bound.total()).max(1);
        out.push_str(
            "<table>\n<thead><tr><th scope=\"col\">Term</th><th scope=\"col\" class=\"number\">Size</th>\
             <th scope=\"col\" class=\"number\">Share</th><td class=\"bar\"></td></tr></thead>\n<tbody>\n",
        );
        for (name, ns) in bound.items() {
            write_term(out, name, ns, total);
        }
        write_term(out, "total", nanos(bound.total()), total);
        out.push_str("</tbody>\n</table>\n");
    } else {
        out.push_str("<p>There is no claim, so there is nothing to take apart.</p>\n");
    }
    close(out);
}

fn write_term(out: &mut String, name: &str, ns: u64, total: u64) {
    let permille = u128::from(ns) * 1000 / u128::from(total);
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">{name}</th><td class=\"number\">{}</td><td class=\"number\">{}.{} %</td>\
         <td class=\"bar\"><svg viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect width=\"{permille}\" height=\"10\"/></svg></td></tr>",
        rounded(Duration::from_nanos(ns)),
        permille / 10,
        permille % 10,
    );
}

fn write_sources(out: &mut String, report: &Report) {
    open(out, "sources", "Sources");
    out.push_str(
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Sources\">\n<table>\n\
         <thead><tr><th scope=\"col\">Source</th><th scope=\"col\">Serves</th>\
         <th scope=\"col\">Epsilon</th><th scope=\"col\">What it says</th></tr></thead>\n<tbody>\n",
    );
    for source in &report.sources {
        let epsilon = source.interval.map_or("none".to_owned(), |interval| {
            format!("±{}", rounded(interval.epsilon()))
        });
        let said = match (source.refusal, source.age) {
            (Some(why), _) => why.to_string(),
            (None, Some(ago)) => format!("its claim is {} old", age(ago)),
            (None, None) => "nothing yet".to_owned(),
        };
        let serves = if source.serves { "yes" } else { "no" };
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{serves}</td><td>{epsilon}</td><td>{}</td></tr>",
            source.name,
            Plain(&said)
        );
    }
    let vmclock = report.status.vmclock.to_string();
    let _ = writeln!(
        out,
        "<tr><th scope=\"row\">vmclock</th><td>no</td><td>none</td><td>{}</td></tr>\n</tbody>\n</table>\n</div>",
        Plain(&vmclock)
    );
    let servers = ntp::in_words(&report.servers);
    if !servers.is_empty() {
        out.push_str("<h3>NTP servers</h3>\n<ul>\n");
        for (name, words) in servers {
            let _ = writeln!(out, "<li><b>{}</b>: {}</li>", Plain(&name), Plain(&words));
        }
        out.push_str("</ul>\n");
    }
    close(out);
}

fn write_doctor(out: &mut String, sections: &[(&str, Vec<String>)]) {
    open(out, "doctor", "What the doctor says");
    for (title, lines) in sections {
        let _ = writeln!(out, "<h3>{title}</h3>");
        for line in lines {
            let _ = writeln!(out, "<p>{}</p>", Plain(line));
        }
    }
    close(out);
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]
mod tests {
    const STYLE: &str = include_str!("page.css");

    /// Relative luminance by WCAG 2.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(0) + 0.7152 * channel(2) + 0.0722 * channel(4)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_colour_of_text_stands_out_in_light_and_in_dark() {
        let mut themes = 0;
        for theme in STYLE.split(":root {").skip(1) {
            let colour = |name: &str| {
                let rest = theme.split(&format!("--{name}: #")).nth(1).unwrap();
                rest[..6].to_owned()
            };
            for background in ["paper", "panel"] {
                for text in ["ink", "quiet", "epsilon", "kernel", "good", "fair", "bad"] {
                    let found = contrast(&colour(text), &colour(background));
                    // What WCAG asks for at level AA.
                    assert!(found >= 4.5, "{text} on {background}: {found:.1}");
                }
            }
            themes += 1;
        }
        assert_eq!(themes, 2);
    }

    #[test]
    fn nothing_moves_by_itself() {
        for word in ["animation", "transition", "scroll-behavior"] {
            assert!(!STYLE.contains(word), "{word}");
        }
    }
}
