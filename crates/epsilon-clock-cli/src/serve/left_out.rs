//! `epsilon serve` where it was not built.

use std::process::ExitCode;

use crate::command::Command;
use crate::failure::Failure;

pub(crate) static COMMAND: Command = Command::new(
    "serve",
    "left out of this build: cargo install epsilon-clock-cli",
    run,
);

#[allow(
    clippy::needless_pass_by_value,
    reason = "as those of the commands that read their arguments"
)]
fn run(_: lexopt::Parser) -> Result<ExitCode, Failure> {
    let message = "this build has no HTTP: cargo install epsilon-clock-cli";
    Err(message.to_owned().into())
}
