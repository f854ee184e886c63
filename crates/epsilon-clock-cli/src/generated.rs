//! `epsilon completions` and `epsilon manual`: what a shell needs to complete the command's arguments, and the
//! manual's pages.
//!
//! The files in `generated/` are made from the commands' own tables by `tests/generated.rs`, which fails where
//! they are stale; so no generator is compiled into the program.

use std::process::ExitCode;

use crate::args::{Word, next, unknown};
use crate::command::{Command, Operand};
use crate::failure::Failure;
use crate::{output, terminal};

/// Texts by what they are asked for by.
type Texts = [(&'static str, &'static str)];

/// The scripts, by their shells.
const SCRIPTS: &Texts = &[
    ("bash", include_str!("../generated/epsilon.bash")),
    ("elvish", include_str!("../generated/epsilon.elv")),
    ("fish", include_str!("../generated/epsilon.fish")),
    ("powershell", include_str!("../generated/_epsilon.ps1")),
    ("zsh", include_str!("../generated/_epsilon")),
];

/// The pages, by the command that each is about.
const PAGES: &Texts = &[
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

pub(crate) static COMPLETIONS: Command = Command {
    operands: &[Operand {
        name: "SHELL",
        about: "the shell",
        words: &["bash", "elvish", "fish", "powershell", "zsh"],
    }],
    ..Command::new(
        "completions",
        "print a script that completes the command's arguments in a shell",
        |parser| print(parser, &COMPLETIONS, SCRIPTS, None),
    )
};

pub(crate) static MANUAL: Command = Command {
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
        |parser| print(parser, &MANUAL, PAGES, Some("epsilon")),
    )
};

fn print(
    mut parser: lexopt::Parser,
    command: &Command,
    texts: &Texts,
    usual: Option<&str>,
) -> Result<ExitCode, Failure> {
    let mut wanted = None;
    while let Some(word) = next(&mut parser)? {
        match word {
            Word::Help => {
                let help = command.help("epsilon ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Operand(name) if wanted.is_none() => wanted = Some(name),
            other => return Err(unknown(&other).into()),
        }
    }
    let names: Vec<_> = texts.iter().map(|(name, _)| *name).collect();
    let there_are = format!("there are {}", names.join(", "));
    let wanted = wanted.or_else(|| usual.map(str::to_owned));
    let wanted = wanted.ok_or_else(|| format!("for which one? {there_are}"))?;
    let text = texts.iter().find(|(name, _)| *name == wanted);
    let (_, text) = text.ok_or_else(|| format!("{wanted:?}: {there_are}"))?;
    output::print(text, ExitCode::SUCCESS)
}
