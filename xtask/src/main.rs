//! The house's own tools: `cargo xtask tidy` and `cargo xtask schemas [--check | --new-golden]`.

mod checkout;
mod error;
mod schemas;
mod tidy;

use std::process::ExitCode;

use error::Error;

const USAGE: &str = "\
usage: cargo xtask tidy
       cargo xtask schemas                writes schemas/json and schemas/openapi
       cargo xtask schemas --check        fails where they differ from the types
       cargo xtask schemas --new-golden   adds the fixtures that are missing; changes none";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {}", error::chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Whether all was found in order.
fn run(words: &[&str]) -> Result<bool, Error> {
    match words {
        ["tidy"] => tidy::run(),
        ["schemas"] => schemas::write().map(|()| true),
        ["schemas", "--check"] => schemas::check(),
        ["schemas", "--new-golden"] => schemas::golden::add_missing().map(|()| true),
        _ => Err(Error::Usage(USAGE)),
    }
}
