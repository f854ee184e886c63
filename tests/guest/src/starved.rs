//! A guest that was kept from running for so long that it could not do its part says so itself.
//!
//! It is booted once more then. This is about what the scenario does, never about what the library
//! answers: a reading that is false, or an error that is not expected, is broken and not starved.

/// What a starved scenario unwinds with.
struct Starved;

/// Ends the scenario, for want of a processor.
pub(crate) fn starved(why: &str) -> ! {
    println!("starved: {why}");
    // Not a panic to report: nothing is wrong with the code.
    std::panic::resume_unwind(Box::new(Starved))
}

/// The verdict on a scenario that ended so.
pub(crate) fn verdict(ended: &std::thread::Result<()>) -> &'static str {
    match ended {
        Ok(()) => "kept",
        Err(why) if why.is::<Starved>() => "starved",
        Err(_) => "broken",
    }
}
