//! What a command is called, what it takes, and the help that follows from it.

use std::fmt::Write as _;
use std::process::ExitCode;

use crate::failure::Failure;
use crate::terminal::wrapped;

/// A command of `epsilon`, or the program itself.
///
/// Help, completions and the manual pages are made of it.
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// What it does, in a sentence without its end.
    pub about: &'static str,
    /// What it takes beside options, in their order.
    pub operands: &'static [Operand],
    /// Its options, in groups that commands share.
    pub flags: &'static [&'static [Flag]],
    /// Its own commands.
    pub commands: &'static [&'static Self],
    /// Whether help lists it.
    pub is_listed: bool,
    /// Reads the rest of the arguments, and does it.
    pub(crate) run: fn(lexopt::Parser) -> Result<ExitCode, Failure>,
}

/// What a command takes beside options.
pub struct Operand {
    /// What stands for it in help.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// The words that it may be, if there are few.
    pub words: &'static [&'static str],
}

/// An option of a command.
pub struct Flag {
    /// Its name, without the dashes.
    pub long: &'static str,
    /// What stands for its value in help, if it takes one.
    pub value: Option<&'static str>,
    /// The words that the value may be, if there are few.
    pub words: &'static [&'static str],
    /// What it does, without an end.
    pub about: &'static str,
}

/// The exit codes, which are those of every command.
pub const EXIT_CODES: &str = "\
0 done; 2 no interval (with --strict); 64 bad arguments; 69 a clock or an address is missing; \
74 the output could not be written.";

impl Command {
    /// Returns a command without options and operands, to be named and filled.
    pub(crate) const fn new(
        name: &'static str,
        about: &'static str,
        run: fn(lexopt::Parser) -> Result<ExitCode, Failure>,
    ) -> Self {
        Self {
            name,
            about,
            operands: &[],
            flags: &[],
            commands: &[],
            is_listed: true,
            run,
        }
    }

    /// Returns what `--help` prints after `path`, the words before the command's name.
    #[must_use]
    pub fn help(&self, path: &str, width: usize) -> String {
        let mut help = wrapped(&format!("{}.", capitalised(self.about)), "", "", width);
        let mut usage = format!("{path}{}", self.name);
        if !self.commands.is_empty() {
            usage.push_str(" COMMAND");
        }
        usage.push_str(" [OPTIONS]");
        for operand in self.operands {
            let _ = write!(usage, " {}", operand.name);
        }
        let _ = writeln!(help, "\n\nUsage: {usage}");
        if !self.commands.is_empty() {
            let listed = self.commands.iter().filter(|command| command.is_listed);
            let rows = listed.map(|command| (command.name.to_owned(), command.about.to_owned()));
            write_table(&mut help, "Commands", rows.collect(), width);
        }
        if !self.operands.is_empty() {
            let operand = |operand: &Operand| (operand.name.to_owned(), operand.told());
            let rows = self.operands.iter().map(operand).collect();
            write_table(&mut help, "Arguments", rows, width);
        }
        let flags = self.flags.iter().copied().flatten();
        let mut rows: Vec<_> = flags
            .map(|flag| (flag.spelled(), flag.about.to_owned()))
            .collect();
        rows.push(("-h, --help".to_owned(), "print this".to_owned()));
        write_table(&mut help, "Options", rows, width);
        let codes = wrapped(&format!("Exit codes: {EXIT_CODES}"), "", "  ", width);
        let _ = writeln!(help, "\n{codes}");
        help
    }
}

impl Operand {
    fn told(&self) -> String {
        if self.words.is_empty() {
            self.about.to_owned()
        } else {
            format!("{}: {}", self.about, self.words.join(", "))
        }
    }
}

impl Flag {
    /// Returns an option without a value.
    pub(crate) const fn switch(long: &'static str, about: &'static str) -> Self {
        Self {
            long,
            value: None,
            words: &[],
            about,
        }
    }

    /// Returns an option that takes a value.
    pub(crate) const fn taking(
        long: &'static str,
        value: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            long,
            value: Some(value),
            words: &[],
            about,
        }
    }

    fn spelled(&self) -> String {
        // As far in as those that have a letter as well.
        match self.value {
            Some(value) => format!("    --{} {value}", self.long),
            None => format!("    --{}", self.long),
        }
    }
}

fn write_table(help: &mut String, title: &str, rows: Vec<(String, String)>, width: usize) {
    let longest = rows.iter().map(|(name, _)| name.chars().count()).max();
    // A terminal of few columns has its names on lines of their own.
    let column = longest.unwrap_or(0).min(width / 3);
    let indent = " ".repeat(column + 4);
    let _ = writeln!(help, "\n{title}:");
    for (name, about) in rows {
        let first = if name.chars().count() > column {
            format!("  {name}\n{indent}")
        } else {
            format!("  {name:<column$}  ")
        };
        let about = wrapped(&about, &indent, &indent, width);
        let about = about.get(indent.len()..).unwrap_or_default();
        let _ = writeln!(help, "{first}{about}");
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}", first.unwrap_or_default(), chars.as_str())
}
