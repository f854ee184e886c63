//! `epsilon hlc decode`: what a hybrid logical clock's stamp says.

use std::process::ExitCode;

use epsilon_clock::hlc::WideTimestamp;
use epsilon_clock::{RemoteTimestamp, Timestamp};

use crate::args::{Word, next, unknown};
use crate::command::{Command, Flag, Operand};
use crate::failure::Failure;
use crate::json::Json;
use crate::{output, terminal};

pub(crate) static COMMAND: Command = Command {
    commands: &[&DECODE],
    ..Command::new("hlc", "read stamps of hybrid logical clocks", run)
};

static DECODE: Command = Command {
    operands: &[Operand {
        name: "STAMP",
        about: "as logs have it (2026-11-20T05:50:00.123456Z_0042), or its bytes in hexadecimal",
        words: &[],
    }],
    flags: &[&[Flag::switch("json", "print one JSON object")]],
    ..Command::new(
        "decode",
        "print the physical time and the counter of a stamp, and its bytes",
        decode,
    )
};

/// What a stamp is made of.
struct Parts {
    physical: Timestamp,
    counter: u32,
    hex: String,
    text: String,
}

fn run(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    match next(&mut parser)? {
        Some(Word::Operand(name)) if name == DECODE.name => decode(parser),
        Some(Word::Help) => {
            let help = COMMAND.help("epsilon ", terminal::width());
            output::print(&help, ExitCode::SUCCESS)
        }
        Some(other) => Err(unknown(&other).into()),
        None => Err("what is to be done with a stamp? there is decode"
            .to_owned()
            .into()),
    }
}

fn decode(mut parser: lexopt::Parser) -> Result<ExitCode, Failure> {
    let (mut json, mut stamp) = (false, None);
    while let Some(word) = next(&mut parser)? {
        match word {
            Word::Help => {
                let help = DECODE.help("epsilon hlc ", terminal::width());
                return output::print(&help, ExitCode::SUCCESS);
            }
            Word::Option(name) if name == "json" => json = true,
            Word::Operand(text) if stamp.is_none() => stamp = Some(text),
            other => return Err(unknown(&other).into()),
        }
    }
    let stamp = stamp.ok_or_else(|| "which stamp?".to_owned())?;
    let parts = Parts::of(&stamp).map_err(|why| format!("{stamp:?}: {why}"))?;
    let Parts {
        physical,
        counter,
        hex,
        text,
    } = &parts;
    let told = if json {
        let object = Json::object([
            ("physical", physical.to_string().into()),
            ("physical_ns", physical.unix_nanos().into()),
            ("counter", i64::from(*counter).into()),
            ("hex", hex.as_str().into()),
            ("text", text.as_str().into()),
        ]);
        format!("{object}\n")
    } else {
        format!("physical  {physical}\ncounter   {counter}\nbytes     {hex}\ntext      {text}\n")
    };
    output::print(&told, ExitCode::SUCCESS)
}

impl Parts {
    fn of(stamp: &str) -> Result<Self, String> {
        // Those of twelve bytes have longer texts, in both forms.
        if stamp.len() == 24 || stamp.len() == 41 {
            let wide: WideTimestamp = stamp.parse().map_err(told)?;
            return Ok(Self {
                physical: wide.physical(),
                counter: wide.logical(),
                hex: format!("{wide:x}"),
                text: wide.to_string(),
            });
        }
        let narrow: RemoteTimestamp = stamp.parse().map_err(told)?;
        Ok(Self {
            physical: narrow.physical(),
            counter: narrow.logical().into(),
            hex: format!("{narrow:x}"),
            text: narrow.to_string(),
        })
    }
}

fn told(why: impl std::fmt::Display) -> String {
    why.to_string()
}
