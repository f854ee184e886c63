//! The headers that are checked in are what cbindgen makes of the code.
//!
//! `EPSILON_CLOCK_WRITE_HEADERS=1 cargo test -p epsilon-clock-ffi --test header` writes them anew.

use std::path::Path;

fn compare(source: &Path, header: &Path) {
    let config = cbindgen::Config::from_file(source.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(source.join("src/lib.rs"))
        .generate()
        .unwrap()
        .write(&mut made);
    let made = String::from_utf8(made).unwrap();
    if std::env::var_os("EPSILON_CLOCK_WRITE_HEADERS").is_some() {
        std::fs::write(header, &made).unwrap();
    }
    let kept = std::fs::read_to_string(header).unwrap();
    for (number, (made, kept)) in made.lines().zip(kept.lines()).enumerate() {
        assert_eq!(
            made,
            kept,
            "line {} of {} is stale",
            number + 1,
            header.display()
        );
    }
    assert!(made == kept, "{} is stale", header.display());
}

#[test]
fn the_header_is_what_the_code_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    compare(here, &here.join("include/epsilon_clock.h"));
}

#[test]
fn the_header_for_tests_is_what_the_code_says() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let testing = here.join("../epsilon-clock-ffi-testing");
    compare(&testing, &testing.join("include/epsilon_clock_testing.h"));
}
