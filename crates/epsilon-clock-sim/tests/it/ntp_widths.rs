//! How wide the intervals are that NTP servers give: in the same room, on a cloud's link, over the internet,
//! before the oscillator's rate is learned and after. The guide's page on NTP has the table.

use std::fmt::Write as _;
use std::time::Duration;

use epsilon_clock::clock::DriftLearning;
use epsilon_clock_sim::{NodeConfig, Oscillator, Server, Sources, TimeServer, World};

use super::secs;

/// What `NtpSource` charges by default beside what a server says.
const MARGIN: Duration = Duration::from_micros(200);

/// Where a server is, and how often it is asked at most.
struct Place {
    name: &'static str,
    round_trip: Duration,
    distance: Duration,
    interval: Duration,
}

const fn place(name: &'static str, round_trip_us: u64, distance_us: u64, interval: u64) -> Place {
    Place {
        name,
        round_trip: Duration::from_micros(round_trip_us),
        distance: Duration::from_micros(distance_us),
        interval: secs(interval),
    }
}

const PLACES: [Place; 7] = [
    place("own network, asked each 4 s", 300, 100, 4),
    place("own network, asked each 4 s", 300, 500, 4),
    place("own network, asked each 64 s", 300, 100, 64),
    place("a cloud's link, asked each 2 s", 100, 100, 2),
    place("a cloud's link, asked each 2 s", 500, 300, 2),
    place("internet", 20_000, 1_000, 64),
    place("internet", 20_000, 20_000, 64),
];

/// What a clock knows of its oscillator.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// That it is within 200 ppm.
    Nothing,
    /// What was learned of it, with the default allowance of 50 ppm for wander.
    Learned,
    /// Likewise, where the user says that it wanders by no more than 5 ppm.
    LearnedOfASteadyOne,
}

/// Half widths, and how long at most the source chose to wait between two questions meanwhile.
struct Widths {
    fresh: Duration,
    widest: Duration,
    /// The longest, not the last: where twice the wait costs about as much as a fresh claim is wide, the source
    /// doubles it for a round now and then.
    interval: Duration,
}

/// Learns, and then measures; every reading must be true.
fn widths(place: &Place, known: Known) -> Widths {
    let world = World::new(17);
    let half = place.round_trip / 2;
    let server = TimeServer {
        interval: place.interval,
        ..TimeServer::honest(Server {
            root_distance: place.distance,
            forward: half,
            back: half,
            jitter: place.round_trip / 200,
            loss_per_million: 0,
            ..Server::near()
        })
    };
    let _address = world.time_server(server);
    let node = world.node(NodeConfig {
        sources: Sources::Ntp,
        oscillator: Oscillator::steady(3_000),
        ..NodeConfig::default()
    });
    let source = node.ntp().margin(MARGIN);
    let tick = (place.interval / 4).min(secs(1));
    let clock = node
        .clock_with(|builder| {
            // An answer waits for no look that is not due yet.
            let builder = builder.source(source.clone()).look_interval(tick / 2);
            match known {
                Known::Nothing => builder.drift_learning(DriftLearning::Off),
                Known::Learned => builder,
                Known::LearnedOfASteadyOne => builder.max_wander_ppb(5_000),
            }
        })
        .unwrap();
    // The window that is learned from, and then longer than any interval.
    let learning = if known == Known::Nothing { 300 } else { 2_400 };
    let (mut fresh, mut widest) = (Duration::MAX, Duration::ZERO);
    let mut interval = Duration::ZERO;
    let began = world.now();
    let measures = began.saturating_add(secs(learning));
    while world.now() < measures.saturating_add(secs(1_500)) {
        world.advance(tick);
        clock.refresh_sources();
        let before = world.now();
        let Ok(now) = clock.now() else { continue };
        assert!(
            now.earliest() <= world.now() && before <= now.latest(),
            "{now}"
        );
        if before >= measures {
            // Of the claim itself: what was promised before may keep the earliest end above it.
            let half = clock.status().bound.unwrap().total();
            fresh = fresh.min(half);
            widest = widest.max(half);
            interval = interval.max(source.servers()[0].interval);
        }
    }
    Widths {
        fresh,
        widest,
        interval,
    }
}

/// In ms, to two digits that count.
fn millis(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1e3;
    if ms < 10.0 {
        format!("{ms:.2}")
    } else {
        format!("{ms:.1}")
    }
}

fn is_near(measured: Duration, expected: Duration) -> bool {
    let (measured, expected) = (measured.as_secs_f64(), expected.as_secs_f64());
    (measured / expected - 1.0).abs() <= 0.2
}

/// Half of the round trip, the server's distance and the margin; and so much more for each second that is
/// waited. The guide's table is this one.
#[test]
fn half_widths_are_what_the_round_trip_the_distance_and_the_wait_make_them() {
    let mut table = String::from(
        "| where | round trip | server's distance | fresh | unlearned | learned | learned, steady |\n\
         |---|--:|--:|--:|--:|--:|--:|\n",
    );
    for place in &PLACES {
        let fresh = place.distance + place.round_trip / 2 + MARGIN;
        let mut row = String::new();
        let mut freshest = Duration::MAX;
        for known in [Known::Nothing, Known::Learned, Known::LearnedOfASteadyOne] {
            let widths = widths(place, known);
            freshest = freshest.min(widths.fresh);
            assert!(
                is_near(widths.fresh, fresh),
                "{}: {:?} instead of {fresh:?}",
                place.name,
                widths.fresh
            );
            // Beyond the allowance for wander, what two claims leave open over the window that is learned
            // from; and the wait is up to a tenth longer than the interval.
            let rate = match known {
                Known::Nothing => 200e-6,
                Known::Learned => 50e-6 + 2.0 * fresh.as_secs_f64() / 2_000.0,
                Known::LearnedOfASteadyOne => 5e-6 + 2.0 * fresh.as_secs_f64() / 2_000.0,
            };
            let expected = fresh + widths.interval.mul_f64(rate);
            assert!(
                is_near(widths.widest, expected),
                "{}: {:?} instead of {expected:?}",
                place.name,
                widths.widest
            );
            let asked = widths.interval.as_secs();
            let _ = write!(row, " {} ({asked} s) |", millis(widths.widest));
        }
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} |{row}",
            place.name,
            millis(place.round_trip),
            millis(place.distance),
            millis(freshest),
        );
    }
    println!("{table}");
}
