//! A leader on etcd's leases: one task renews, others act, and the resource has a fence.
//!
//! etcd is played in memory, with its rules: a key with a lease goes when the lease does, and each key is
//! created at a revision of its own, which only goes up.

use std::error::Error;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use epsilon_clock::lease::{FencingToken, GrantorClock, StaleToken, Tenure, TermLease};
use epsilon_clock::testing::ScriptedMachine;
use epsilon_clock::{Clock, CommitGroup, Fence, Timestamp};

const TERM: Duration = Duration::from_secs(10);

#[derive(Clone)]
struct Etcd {
    machine: ScriptedMachine,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    revision: i64,
    /// The lock's key: whose it is, its `create_revision`, and when its lease ends.
    lock: Option<(&'static str, i64, Timestamp)>,
}

impl Etcd {
    /// `LeaseGrant`, and a transaction that creates the key where there is none.
    fn campaign(&self, name: &'static str) -> Option<(Duration, i64)> {
        let now = self.machine.true_time();
        let mut kept = self.kept.lock().unwrap();
        if kept.lock.is_some_and(|(_, _, ends)| now <= ends) {
            return None;
        }
        kept.revision += 1;
        kept.lock = Some((name, kept.revision, now.saturating_add(TERM)));
        Some((TERM, kept.revision))
    }

    /// `LeaseKeepAlive`: the term that begins now, if the lease still is.
    fn keep_alive(&self, name: &str) -> Option<Duration> {
        let now = self.machine.true_time();
        let mut kept = self.kept.lock().unwrap();
        let (whose, _, ends) = kept.lock.as_mut()?;
        if *whose != name || now > *ends {
            return None;
        }
        *ends = now.saturating_add(TERM);
        Some(TERM)
    }
}

/// What only one node at a time may write, with its fence beside it.
struct Resource {
    fence: Mutex<Fence>,
}

impl Resource {
    fn write(&self, token: FencingToken) -> Result<(), StaleToken> {
        let mut fence = self.fence.lock().unwrap();
        *fence = fence.admit(token)?;
        Ok(())
    }
}

/// A leader, as each of its tasks has it.
#[derive(Clone)]
struct Leader {
    clock: Clock,
    lease: TermLease,
    token: FencingToken,
}

impl Leader {
    fn elected(clock: &Clock, etcd: &Etcd, name: &'static str) -> Result<Self, Box<dyn Error>> {
        let request = clock.request_lease()?; // before it is sent
        let (term, revision) = etcd.campaign(name).ok_or("another leads")?;
        Ok(Self {
            clock: clock.clone(),
            lease: request.granted(term, GrantorClock::MonotonicTime)?,
            token: FencingToken::try_from(revision)?,
        })
    }

    fn renew(&self, etcd: &Etcd, name: &str) -> Result<(), Box<dyn Error>> {
        let request = self.clock.request_lease()?;
        let term = etcd.keep_alive(name).ok_or("the lease is gone")?;
        self.lease
            .renew(&request.granted(term, GrantorClock::MonotonicTime)?);
        Ok(())
    }

    fn act(&self, resource: &Resource) -> Result<(), Box<dyn Error>> {
        let guard = self.lease.guard()?; // says afterwards if another may have led meanwhile
        resource.write(self.token)?;
        match guard.finish() {
            Tenure::Throughout => Ok(()),
            // The resource's fence had the last word; here it is only told.
            other => Err(other.to_string().into()),
        }
    }
}

#[test]
fn a_leader_on_etcds_leases() -> Result<(), Box<dyn Error>> {
    let machine = ScriptedMachine::default();
    machine.write_maxerror(1_003);
    let clock = machine.clock()?;
    let etcd = Etcd {
        machine: machine.clone(),
        kept: Arc::default(),
    };
    let resource = Resource {
        fence: Mutex::new(Fence::OPEN),
    };
    let leader = Leader::elected(&clock, &etcd, "a")?;
    assert!(Leader::elected(&clock, &etcd, "b").is_err());

    // One handle renews, the others see it: for three terms.
    let worker = leader.clone();
    for _ in 0..5 {
        machine.advance(Duration::from_secs(6));
        leader.renew(&etcd, "a")?;
        thread::scope(|scope| {
            let acted = scope.spawn(|| worker.act(&resource).map_err(|error| error.to_string()));
            acted.join().unwrap()
        })?;
    }

    // The task that renews is stuck. The holder knows first, by the clock alone; then etcd lets another in.
    let group = CommitGroup::driven(&clock);
    let mut over = group.until_past(leader.lease.expires_no_earlier());
    assert!(over.wait_timeout(Duration::ZERO).is_err());
    machine.advance(Duration::from_secs(9));
    over.wait_timeout(Duration::ZERO)?;
    assert!(!worker.lease.held()?);
    assert!(worker.act(&resource).is_err());
    assert!(Leader::elected(&clock, &etcd, "b").is_err());
    machine.advance(Duration::from_secs(3));
    let next = Leader::elected(&clock, &etcd, "b")?;
    next.act(&resource)?;

    // What was checked in time and is written too late meets the fence.
    assert!(next.token > leader.token);
    let stale = resource.write(leader.token).unwrap_err();
    assert_eq!(stale.shown, leader.token);
    assert!(leader.renew(&etcd, "a").is_err());
    Ok(())
}
