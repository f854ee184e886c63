//! The program's two roles: the test of a cluster, and with `--node` one of its nodes.

use std::env::Args;
use std::error::Error;
use std::iter::{Peekable, Skip};
use std::process::ExitCode;

use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use crate::processes::end_with_parent;

pub type Failure = Box<dyn Error>;

/// The arguments behind the program's name.
pub type Arguments = Peekable<Skip<Args>>;

/// Runs the node that this process was started as, or the test.
///
/// The judge says whether all is as it must be.
pub fn run<Settings: DeserializeOwned, Options>(
    help: &str,
    node: impl AsyncFnOnce(Settings) -> Result<(), Failure>,
    options: impl FnOnce(Arguments) -> Result<Options, String>,
    judge: impl AsyncFnOnce(Options) -> Result<bool, Failure>,
) -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    match arguments.peek().map(String::as_str) {
        Some("--node") => {
            let settings = arguments.nth(1).unwrap_or_default();
            return match serve(&settings, node) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("node: {error}");
                    ExitCode::FAILURE
                }
            };
        }
        Some("--help") => {
            println!("{help}");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let options = match options(arguments) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}; --help tells what there is");
            return ExitCode::from(64);
        }
    };
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(judge(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            println!("not as it must be");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve<Settings: DeserializeOwned>(
    settings: &str,
    node: impl AsyncFnOnce(Settings) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let settings = serde_json::from_str(settings)?;
    end_with_parent();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(node(settings))
}
