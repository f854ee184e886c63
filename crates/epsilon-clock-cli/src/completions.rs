//! `epsilon completions`: what a shell needs to complete the command's arguments.
//!
//! The scripts in `generated/` are made from the commands' own tables by `tests/generated.rs`, which fails
//! where they are stale; so no generator is compiled into the program.

use std::process::ExitCode;

use crate::args::{Word, next, unknown};
use crate::command::{Command, Operand};
use crate::failure::Failure;
use crate::{output, terminal};

/// The shells and their scripts.
const SCRIPTS: [(&str, &str); 5] = [
    ("bash", include_str!("../generated/epsilon.bash")),
    ("elvish", include_str!("../generated/epsilon.elv")),
    ("fish", include_str!("../generated/epsilon.fish")),
    ("powershell", include_str!("../generated/_epsilon.ps1")),
    ("zsh", include_str!("../generated/_epsilon")),
];

pub(crate) static COMMAND: Command = Command {
    operands: &[Operand {
        name: "SHELL",
        about: "the shell",
        words: &["bash", "elvish", "fish", "powershell", "zsh"],
    }],
    ..Command::new(
        "completions",
        "print a script that completes the command's arguments in a shell",
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
    let names = SCRIPTS.map(|(shell, _)| shell).join(", ");
    let wanted = wanted.ok_or_else(|| format!("for which shell? there are {names}"))?;
    let script = SCRIPTS.iter().find(|(shell, _)| *shell == wanted);
    let (_, script) = script.ok_or_else(|| format!("{wanted:?}: there are {names}"))?;
    output::print(script, ExitCode::SUCCESS)
}
