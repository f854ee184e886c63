//! The completions and the manual's pages are those of the commands as they are.
//!
//! `EPSILON_WRITE_GENERATED=1 cargo test -p epsilon-clock-cli --test generated` makes them anew.
#![cfg(feature = "serve")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction};
use clap_complete::Shell;
use epsilon_clock_cli::EPSILON;
use epsilon_clock_cli::command::{Command, EXIT_CODES};

/// A command as the generators know it.
fn described(command: &Command, path: &str) -> clap::Command {
    let path = format!("{path}{}", command.name);
    let mut made = clap::Command::new(command.name)
        .about(command.about)
        .version(env!("CARGO_PKG_VERSION"))
        .disable_version_flag(true)
        .disable_help_subcommand(true)
        .bin_name(path.clone())
        .display_name(path.replace(' ', "-"))
        .hide(!command.is_listed);
    for flag in command.flags.iter().copied().flatten() {
        let mut arg = Arg::new(flag.long).long(flag.long).help(flag.about);
        arg = match flag.value {
            None => arg.action(ArgAction::SetTrue),
            Some(value) => arg.value_name(value).action(ArgAction::Append),
        };
        if !flag.words.is_empty() {
            arg = arg.value_parser(PossibleValuesParser::new(flag.words));
        }
        made = made.arg(arg);
    }
    for operand in command.operands {
        let name = operand.name.trim_matches(['[', ']']);
        let mut arg = Arg::new(name)
            .help(operand.about)
            .required(name == operand.name);
        if !operand.words.is_empty() {
            arg = arg.value_parser(PossibleValuesParser::new(operand.words));
        }
        made = made.arg(arg);
    }
    for command in command.commands {
        made = made.subcommand(described(command, &format!("{path} ")));
    }
    made
}

/// Every file by its name.
fn generated() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let whole = described(&EPSILON, "");
    for shell in [
        Shell::Bash,
        Shell::Elvish,
        Shell::Fish,
        Shell::PowerShell,
        Shell::Zsh,
    ] {
        let name = clap_complete::Generator::file_name(&shell, "epsilon");
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut whole.clone(), "epsilon", &mut script);
        files.push((name, script));
    }
    let mut open = vec![whole];
    while let Some(command) = open.pop() {
        if command.is_hide_set() {
            continue;
        }
        open.extend(command.get_subcommands().cloned());
        let name = command.get_display_name().unwrap().to_owned();
        let page = clap_mangen::Man::new(command.clone())
            .title(name.clone())
            .manual("epsilon");
        let mut text = Vec::new();
        page.render_title(&mut text).unwrap();
        page.render_name_section(&mut text).unwrap();
        page.render_synopsis_section(&mut text).unwrap();
        page.render_description_section(&mut text).unwrap();
        page.render_options_section(&mut text).unwrap();
        if command.has_subcommands() {
            page.render_subcommands_section(&mut text).unwrap();
        }
        let codes = format!(".SH \"EXIT STATUS\"\n{}\n", EXIT_CODES.replace('-', "\\-"));
        text.extend(codes.as_bytes());
        files.push((format!("{name}.1"), text));
    }
    files
}

#[test]
fn what_is_checked_in_is_what_the_commands_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated");
    let write = std::env::var_os("EPSILON_WRITE_GENERATED").is_some();
    let mut stale = Vec::new();
    let mut names = BTreeSet::new();
    for (name, made) in generated() {
        let path = folder.join(&name);
        if write {
            fs::write(&path, &made).unwrap();
        }
        if fs::read(&path).ok() != Some(made) {
            stale.push(name.clone());
        }
        names.insert(name);
    }
    assert!(
        stale.is_empty(),
        "stale: {stale:?}; see the top of this file"
    );
    let there: BTreeSet<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(there, names);
}

#[test]
fn every_option_that_is_told_of_is_taken() {
    let mut checked = 0;
    let mut open: Vec<(&Command, Vec<&str>)> = EPSILON
        .commands
        .iter()
        .map(|command| (*command, vec![command.name]))
        .collect();
    while let Some((command, path)) = open.pop() {
        for below in command.commands {
            open.push((below, [path.as_slice(), &[below.name]].concat()));
        }
        for flag in command.flags.iter().copied().flatten() {
            let value = match flag.value {
                None => String::new(),
                Some("SPAN") => "=5ms".to_owned(),
                Some("HOST[:PORT]") => "=127.0.0.1:9".to_owned(),
                Some("ADDRESS:PORT") => "=127.0.0.1:9184".to_owned(),
                Some("FILE") => concat!("=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml").to_owned(),
                Some("NAME") => format!("={}", flag.words.first().unwrap()),
                Some("N" | "SECONDS") => "=5".to_owned(),
                Some(other) => panic!("what is {other}?"),
            };
            // Help ends it once the option before was taken.
            let output = std::process::Command::new(env!("CARGO_BIN_EXE_epsilon"))
                .args(&path)
                .args([format!("--{}{value}", flag.long), "--help".to_owned()])
                .output()
                .unwrap();
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(0), "{path:?}: {complaint}");
            let help = String::from_utf8(output.stdout).unwrap();
            assert!(help.contains(&format!("--{}", flag.long)), "{help}");
            checked += 1;
        }
    }
    assert!(checked > 20, "only {checked}");
}
