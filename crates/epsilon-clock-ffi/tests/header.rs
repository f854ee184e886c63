//! The headers that are checked in are what cbindgen makes of the code.
//!
//! `EPSILON_CLOCK_WRITE_HEADERS=1 cargo test -p epsilon-clock-ffi --test header` writes them anew.

use std::error::Error;
use std::path::Path;

/// A header as it would be written, and as it is.
fn made_and_kept(package: &Path, header: &str) -> Result<(String, String), Box<dyn Error>> {
    let header = package.join("include").join(header);
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(cbindgen::Config::from_file(package.join("cbindgen.toml"))?)
        .with_src(package.join("src/lib.rs"))
        .generate()?
        .write(&mut made);
    let made = String::from_utf8(made)?;
    if std::env::var_os("EPSILON_CLOCK_WRITE_HEADERS").is_some() {
        std::fs::write(&header, &made)?;
    }
    Ok((made, std::fs::read_to_string(header)?))
}

fn compare(package: &Path, header: &str) -> Result<(), Box<dyn Error>> {
    let (made, kept) = made_and_kept(package, header)?;
    for (number, (made, kept)) in (1..).zip(made.lines().zip(kept.lines())) {
        assert_eq!(made, kept, "line {number} of {header} is stale");
    }
    assert!(made == kept, "{header} is stale");
    Ok(())
}

#[test]
fn the_header_is_what_the_code_says() -> Result<(), Box<dyn Error>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    compare(here, "epsilon_clock.h")
}

#[test]
fn the_header_for_tests_is_what_the_code_says() -> Result<(), Box<dyn Error>> {
    let testing = Path::new(env!("CARGO_MANIFEST_DIR")).join("../epsilon-clock-ffi-testing");
    compare(&testing, "epsilon_clock_testing.h")
}
