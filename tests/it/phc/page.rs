//! The time in a vmclock page as a source: what it must say to be believed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use epsilon_clock::machine::{Machine, NoCounter};
use epsilon_clock::source::{
    Finding, LookContext, PhcRefusal, PhcSource, Refusal, Source, SourceMemory, SyncClaim,
};
use epsilon_clock::testing::ScriptedMachine;

use super::MORNING;

/// The counter of this processor, as pages number them.
const OWN: u64 = if cfg!(target_arch = "x86_64") { 1 } else { 0 };

/// Of 2.5 GHz, in 2⁻⁶⁴ s.
const PERIOD: u64 = 7_378_697_629;

type Words = [u64; 13];

/// A page in a file, which goes when it is dropped.
struct PageFile(PathBuf);

impl PageFile {
    fn new(name: &str) -> Self {
        let name = format!("vmclock-time-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        File::create(&path).unwrap().set_len(4_096).unwrap();
        Self(path)
    }
}

/// Writes it in its place: it may be mapped.
fn write(path: &Path, words: &Words) {
    let file = File::options().write(true).open(path).unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    file.write_all_at(&bytes, 0).unwrap();
}

impl Drop for PageFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A page that tells this machine's time by its counter of 2.5 GHz, off by 250 ns at most.
fn sound(machine: &ScriptedMachine) -> Words {
    let utc = machine.true_time().unix_nanos();
    let count = machine.count();
    let mut words = [0; 13];
    words[0] = 0x4b4c_4356 | (0x1000 << 32);
    words[1] = 1 | (OWN << 16);
    words[3] = 1 | (1 << 4) | (1 << 6);
    words[4] = (2 << 16) | (37 << 32);
    words[5] = u64::try_from(count).unwrap();
    words[6] = PERIOD;
    words[9] = u64::try_from(utc / 1_000_000_000).unwrap();
    let part = u64::try_from(utc % 1_000_000_000).unwrap();
    words[10] = u64::try_from((u128::from(part) << 64) / 1_000_000_000).unwrap();
    words[12] = 250;
    words
}

struct World {
    machine: ScriptedMachine,
    file: PageFile,
    words: Words,
    source: PhcSource,
}

impl World {
    fn new(name: &str, edit: impl FnOnce(&mut Words)) -> Self {
        let file = PageFile::new(name);
        let machine = ScriptedMachine::new(MORNING.parse().unwrap());
        machine.set_counter(Ok(()));
        machine.reset_counter(1_000_000);
        let mut words = sound(&machine);
        edit(&mut words);
        write(&file.0, &words);
        let source = PhcSource::vmclock(&file.0);
        Self {
            machine,
            file,
            words,
            source,
        }
    }

    fn look(&self) -> Result<SyncClaim, PhcRefusal> {
        self.source.refresh(&self.machine);
        let mut memory = SourceMemory::default();
        let context = LookContext::new(&self.machine);
        match self.source.look(&context, &mut memory).finding {
            Finding::Write(sync) => Ok(sync),
            Finding::Refused(Refusal::Phc(refusal)) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// Lets what was read before grow too old to count.
    fn outlive(&self) {
        self.machine.advance(Duration::from_secs(5));
    }

    fn contains_truth(&self) -> bool {
        let sync = self.look().unwrap();
        let now = sync.claim.carry(self.machine.raw_time()).unwrap();
        now.contains(self.machine.true_time())
    }
}

#[test]
fn a_sound_page_serves_its_time_and_its_bound() {
    let world = World::new("sound", |_| {});
    for _ in 0..3 {
        assert!(world.contains_truth());
        let bound = world.look().unwrap().bound;
        // And one for what is rounded on the way.
        assert_eq!(bound.reported_ns, 251, "{bound}");
        world.machine.advance(Duration::from_secs(2));
    }
}

#[test]
fn a_period_that_is_known_less_well_is_charged_with_what_passed_since() {
    // One in a million, of which a second makes a microsecond.
    let world = World::new("period", |words| words[8] = PERIOD / 1_000_000);
    world.machine.advance(Duration::from_secs(1));
    let bound = world.look().unwrap().bound;
    assert!((1_249..=1_253).contains(&bound.reported_ns), "{bound}");
}

#[test]
fn a_page_of_tai_says_how_far_ahead_it_is() {
    let world = World::new("tai", |words| {
        words[1] |= 1 << 24;
        words[9] += 37;
    });
    assert!(world.contains_truth());
}

#[test]
fn what_a_page_does_not_vouch_for_is_refused() {
    type Edit = fn(&mut Words);
    let pages: [(&str, Edit, PhcRefusal); 4] = [
        (
            "unsynchronized",
            |w| w[4] = 37 << 32,
            PhcRefusal::Unsynchronized,
        ),
        ("other-counter", |w| w[1] ^= 3 << 16, PhcRefusal::NoCounter),
        ("smeared", |w| w[1] |= 3 << 24, PhcRefusal::OtherTimescale),
        ("no-bound", |w| w[3] = 1, PhcRefusal::NoBound),
    ];
    for (name, edit, refusal) in pages {
        assert_eq!(World::new(name, edit).look(), Err(refusal), "{name}");
    }
    let mut world = World::new("no-counter", |_| {});
    assert!(world.contains_truth());
    // Its count of writes is odd while it is written.
    world.words[1] |= 1 << 32;
    write(&world.file.0, &world.words);
    world.outlive();
    assert_eq!(world.look(), Err(PhcRefusal::Busy));
    world.machine.set_counter(Err(NoCounter::Unsupported));
    assert_eq!(world.look(), Err(PhcRefusal::NoCounter));
    let missing = PhcSource::vmclock("/dev/no-such-vmclock");
    missing.refresh(&world.machine);
    let finding = missing.look(
        &LookContext::new(&world.machine),
        &mut SourceMemory::default(),
    );
    let refused = Finding::Refused(Refusal::Phc(PhcRefusal::Missing));
    assert_eq!(finding.finding, refused);
}

/// As at a migration: what was read of the counter may be another counter's by then.
#[test]
fn a_page_that_is_written_anew_while_it_is_read_is_read_again() {
    let world = World::new("anew", |_| {});
    assert!(world.contains_truth());
    let reads = world.machine.reads();
    world.source.refresh(&world.machine);
    let reads = world.machine.reads() - reads;
    let mut busy = 0;
    for read in 0..reads {
        world.outlive();
        let (path, mut words) = (world.file.0.clone(), sound(&world.machine));
        write(&path, &words);
        words[9] += 1;
        world
            .machine
            .before_read(read, move |_| write(&path, &words));
        busy += u64::from(world.look() == Err(PhcRefusal::Busy));
        world.machine.forget_hooks();
    }
    assert!(busy > 0, "of {reads}");
}
