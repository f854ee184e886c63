//! Pages of any content and length, as the hypervisor's vmclock.
//!
//! `cargo +nightly fuzz run vmclock_page fuzz/corpus/vmclock_page fuzz/seeds/vmclock_page`
//!
//! The input is a page and what becomes of it. A clock reads it as a device; nothing may panic or hang, no
//! access may leave the page, and a page that changes is either understood or refused for good.
#![no_main]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use epsilon_clock::Clock;
use epsilon_clock::source::KernelSource;
use libfuzzer_sys::fuzz_target;

/// A file for all runs, in memory.
static PAGE: LazyLock<(PathBuf, File)> = LazyLock::new(|| {
    let path = PathBuf::from(format!(
        "/dev/shm/epsilon-clock-fuzz-{}",
        std::process::id()
    ));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&path)
        .unwrap();
    (path, file)
});

fuzz_target!(|data: &[u8]| {
    let [length, changes, rest @ ..] = data else {
        return;
    };
    let (path, file) = &*PAGE;
    let (page, mut edits) = rest.split_at(rest.len().min(128));
    let length = match length {
        0..200 => 4096,
        short => u64::from(*short - 200) * 4,
    };
    file.set_len(0).unwrap();
    file.set_len(length).unwrap();
    file.write_all_at(page, 0).unwrap();
    file.set_len(length).unwrap();
    let Ok(clock) = Clock::builder()
        .source(KernelSource::new())
        .assume_error(Duration::from_millis(50))
        .vmclock(path)
        .build()
    else {
        return;
    };
    for _ in 0..changes % 8 {
        if let Ok(now) = clock.now() {
            assert!(now.earliest() <= now.latest());
        }
        let _ = clock.look();
        let _ = format!("{:?}", clock.status().vmclock);
        let [at, value, rest @ ..] = edits else {
            break;
        };
        edits = rest;
        // Never shorter: a device's page does not shrink, and a file that does is a bus error.
        if u64::from(*at) < length {
            file.write_all_at(&[*value], u64::from(*at)).unwrap();
        }
    }
});
