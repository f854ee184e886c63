//! `epsilon manual`: the manual's pages, for `man` and for those who package the program.
//!
//! As the completions, they are made by `tests/generated.rs`.

use std::process::ExitCode;

use crate::args::{Word, next, unknown};
use crate::command::{Command, Operand};
use crate::failure::Failure;
use crate::{output, terminal};

/// The pages, by the command that each is about.
const PAGES: [(&str, &str); 10] = [
    ("epsilon", include_str!("../generated/epsilon.1")),
    ("now", include_str!("../generated/epsilon-now.1")),
    ("doctor", include_str!("../generated/epsilon-doctor.1")),
    ("watch", include_str!("../generated/epsilon-watch.1")),
    ("sources", include_str!("../generated/epsilon-sources.1")),
    ("serve", include_str!("../generated/epsilon-serve.1")),
    ("compare", include_str!("../generated/epsilon-compare.1")),
    ("hlc", include_str!("../generated/epsilon-hlc.1")),
    ("decode", include_str!("../generated/epsilon-hlc-decode.1")),
    (
        "completions",
        include_str!("../generated/epsilon-completions.1"),
    ),
];

pub(crate) static COMMAND: Command = Command {
    operands: &[Operand {
        name: "[COMMAND]",
        about: "the command that the page is about, in place of all of it",
        words: &[],
    }],
    // Those who want it have `man`.
    is_listed: false,
    ..Command::new(
        "manual",
        "print a page of the manual as man reads it: epsilon manual now | man -l -",
        run,
    )
};

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let mut wanted = None;
    while let Some(word) = next(&mut parser)? {
        match word {
            Word::Help => {
                let help = COMMAND.help("epsilon ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Operand(name) if wanted.is_none() => wanted = Some(name),
            other => return Err(unknown(&other).into()),
        }
    }
    let wanted = wanted.unwrap_or_else(|| "epsilon".to_owned());
    let page = PAGES.iter().find(|(name, _)| *name == wanted);
    let (_, page) = page.ok_or_else(|| format!("{wanted:?}: there is no such command"))?;
    output::print(page, ExitCode::SUCCESS)
}
