//! Clocks that are broken on purpose are caught, each in the scenario named for it; the same clock
//! without the flaw is not. So the campaign can fail.

use core::time::Duration;
use epsilon_clock_sim::{
    BrokenClock, Campaign, Counter, Daemon, Flaw, Law, NodeConfig, Preemption, Reader, Scenario,
    Server, World, seed_of,
};

const SEEDS: u64 = 6;

/// How many readings of a clock with this flaw were false in this scenario.
fn false_readings(flaw: Flaw, scenario: &str) -> u64 {
    let scenario = Scenario::named(scenario).unwrap();
    let campaign = Campaign::new().readings_per_run(1_500);
    (0..SEEDS)
        .map(|run| {
            let build = &|node: &_, _| Ok(Box::new(BrokenClock::new(node, flaw)) as Box<_>);
            let tally = campaign.play_with(scenario, seed_of(run), build).unwrap();
            assert!(tally.readings() > 500);
            tally.broken(Law::T1)
        })
        .sum()
}

fn caught(flaw: Flaw) {
    let scenario = flaw.scenario();
    let found = false_readings(flaw, scenario);
    let control = false_readings(Flaw::Nothing, scenario);
    assert!(found > 0, "{flaw} was not found out in {scenario}");
    assert_eq!(control, 0, "the control is false in {scenario}");
}

#[test]
fn a_bound_cached_on_realtime_is_false_across_slews() {
    caught(Flaw::CachedOnRealtime);
}

#[test]
fn the_running_maxerror_is_false_between_writes() {
    caught(Flaw::RunningMaxerror);
}

#[test]
fn a_max_drift_below_the_oscillators_error_is_false() {
    caught(Flaw::DriftTooSmall);
}

#[test]
fn no_unseen_term_is_false_where_a_write_is_seen_late() {
    caught(Flaw::NoUnseenTerm);
}

#[test]
fn a_suspend_that_is_ignored_is_false() {
    caught(Flaw::SuspendIgnored);
}

#[test]
fn a_suspend_taken_for_a_write_is_false() {
    caught(Flaw::SuspendTakenForWrite);
}

#[test]
fn intersected_claims_amplify_what_a_broken_assumption_does() {
    // Here A2 is broken, so a clock that replaces its claims is false too: until the next write.
    let scenario = Flaw::ClaimsIntersected.scenario();
    let intersected = false_readings(Flaw::ClaimsIntersected, scenario);
    let replaced = false_readings(Flaw::Nothing, scenario);
    assert!(replaced > 0);
    assert!(
        intersected > 2 * replaced,
        "{intersected} against {replaced}"
    );
}

#[test]
fn a_cleared_unsync_flag_alone_is_false_under_liars() {
    let scenario = Flaw::UnsyncFlagTrusted.scenario();
    assert!(false_readings(Flaw::UnsyncFlagTrusted, scenario) > 0);
}

#[test]
fn a_leap_second_that_is_ignored_is_false() {
    // The control knows no leap seconds either: the crate's own clock takes its place.
    let scenario = Scenario::named(Flaw::LeapIgnored.scenario()).unwrap();
    assert!(false_readings(Flaw::LeapIgnored, scenario.name()) > 0);
    let campaign = Campaign::new().readings_per_run(1_500);
    for run in 0..SEEDS {
        let tally = campaign.play(scenario, seed_of(run)).unwrap();
        assert_eq!(tally.violations(), 0, "{}", tally.first().unwrap());
    }
}

/// With every check the counter is read, and nothing is false; without any one of them something is.
fn caught_by_the_counter(flaw: Flaw) {
    let scenario = flaw.scenario();
    assert!(
        false_readings(flaw, scenario) > 0,
        "{flaw} was not found out in {scenario}"
    );
    let control = false_readings(Flaw::CounterRead, scenario);
    assert_eq!(control, 0, "the control is false in {scenario}");
}

#[test]
fn a_counter_that_the_kernel_left_is_false() {
    caught_by_the_counter(Flaw::CounterUnasked);
}

#[test]
fn a_counter_that_is_not_held_against_raw_time_is_false() {
    caught_by_the_counter(Flaw::CounterUnchecked);
}

#[test]
fn a_counter_that_was_set_back_is_false_under_a_window_with_a_sign() {
    caught_by_the_counter(Flaw::CounterWindowSigned);
}

/// Of two readings right after each other the later may not be sure of less, which takes a line drawn anew
/// between the two to show.
#[test]
fn a_line_drawn_anew_that_forgets_what_was_told_lets_past_instants_come_back() {
    let fallen = |flaw: Flaw| {
        let world = World::new(5);
        world.set_preemption(Preemption {
            per_million: 100_000,
            longest: Duration::from_nanos(1_500),
        });
        let node = world.node(NodeConfig {
            counter: Counter::Sleepless {
                hertz: 1_000_000_000,
            },
            ..NodeConfig::with_daemon(Daemon::forecasting(Server::near()))
        });
        let clock = BrokenClock::new(&node, flaw);
        let mut fallen = 0;
        let mut told = None;
        for _ in 0..20_000 {
            world.advance(Duration::from_millis(1));
            for _ in 0..3 {
                let earliest = clock.now().ok().map(|now| now.earliest());
                fallen += u32::from(earliest.is_some() && earliest < told);
                told = earliest.max(told);
            }
        }
        fallen
    };
    let (found, control) = (fallen(Flaw::CounterNotClosed), fallen(Flaw::CounterRead));
    assert!(found > 0, "it was not found out");
    assert_eq!(control, 0, "the control takes back what it told");
}

#[test]
fn every_flaw_names_a_scenario() {
    for flaw in Flaw::ALL {
        assert!(Scenario::named(flaw.scenario()).is_some(), "{flaw}");
    }
}
