//! Liveness: how long a lease that nobody renews keeps everybody out.

use std::time::Duration;

use epsilon_clock::{Clock, Lease, Timestamp};
use epsilon_clock_sim::{Daemon, Node, NodeConfig, Oscillator, Random, Server, World, seed_of};

/// What reading clocks and polling adds.
const SLACK: Duration = Duration::from_micros(200);
/// How often the holder asks whether it may still act.
const STEP: Duration = Duration::from_micros(100);

fn healthy(world: &World, random: &mut Random) -> Node {
    let server = if random.chance(500_000) {
        Server::near()
    } else {
        Server::far()
    };
    let poll = Duration::from_secs(random.between(4, 32).unsigned_abs());
    world.node(NodeConfig {
        oscillator: Oscillator::ordinary(random),
        ..NodeConfig::with_daemon(Daemon {
            poll,
            ..Daemon::chrony(server)
        })
    })
}

fn epsilon(clock: &Clock) -> Duration {
    clock.now().unwrap().epsilon()
}

fn after(later: Timestamp, earlier: Timestamp) -> Duration {
    Duration::from_nanos(
        later
            .checked_since(earlier)
            .unwrap()
            .nanos()
            .max(0)
            .unsigned_abs(),
    )
}

/// The grantor's clock, the holder's and the claimant's are healthy; the holder is never heard of
/// again. The claimant takes over within the margin and twice both epsilons of the true expiry.
#[test]
fn a_healthy_claimant_takes_over_within_the_margin_and_twice_both_epsilons() {
    let worlds = if super::terms_wanted() > 100_000 {
        1_000
    } else {
        30
    };
    let mut longest = Duration::ZERO;
    let mut tightest = 0;
    for run in 0..worlds {
        let seed = seed_of(run);
        let world = World::new(seed);
        let mut random = Random::new(seed ^ 0x11fe);
        let nodes = [(); 3].map(|()| healthy(&world, &mut random));
        let [grantor, holder, claimant] = nodes.map(|node| node.clock().unwrap());
        // An honest bound may look like a liar's at first, which one write in 500 does.
        for clock in [&grantor, &holder, &claimant] {
            clock
                .wait_until_synchronized(Duration::from_secs(120))
                .unwrap();
        }
        world.advance(Duration::from_secs(60));
        for _ in 0..10 {
            world.advance(Duration::from_nanos(
                random.scattered(1, 20_000_000_000).unsigned_abs(),
            ));
            let term = Duration::from_millis(random.between(300, 3_000).unsigned_abs());
            let margin = Duration::from_millis(random.between(0, 20).unsigned_abs());

            let now = grantor.now().unwrap();
            let granted = world.now();
            let lease = Lease::grant(&now, term).unwrap().with_margin(margin);
            let truly_over = granted.checked_add(term).unwrap();

            let mut acted = granted;
            let mut of_holder = Duration::ZERO;
            let gives_up = margin + epsilon(&holder) * 2 + Duration::from_millis(10);
            world.advance(term.saturating_sub(gives_up));
            while lease.held(&holder).unwrap() {
                acted = world.now();
                of_holder = epsilon(&holder);
                world.advance(STEP);
            }

            let before = epsilon(&claimant);
            lease.wait_until_expired(&claimant).unwrap();
            let taken = world.now();
            let of_claimant = epsilon(&claimant).max(before);

            // Not before the expiry, and not much after it.
            assert!(
                taken > lease.expiry(),
                "seed {seed}: taken at {taken}, {lease}"
            );
            let late = after(taken, lease.expiry());
            assert!(
                late <= of_claimant * 2 + SLACK,
                "seed {seed}: {late:?}, {of_claimant:?}"
            );
            // The term was truly over once it had lasted so long since the grant.
            let both = (now.epsilon() + of_claimant) * 2;
            let late = after(taken, truly_over);
            assert!(
                late <= margin + both + SLACK,
                "seed {seed}: {late:?}, {both:?}"
            );
            // And for no longer than that did nobody act.
            let idle = after(taken, acted);
            let both = (of_holder + of_claimant) * 2;
            let allowed = margin + both + SLACK + STEP;
            assert!(idle <= allowed, "seed {seed}: {idle:?}, {allowed:?}");
            longest = longest.max(idle);
            tightest = tightest.max(idle.as_nanos() * 1_000 / allowed.as_nanos());
        }
    }
    println!("nobody acted for {longest:?} at most; {tightest} thousandths of what is allowed");
    // The bound is no guess: something comes near it.
    assert!(tightest > 800, "{tightest}");
}
