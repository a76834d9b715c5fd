//! `maestro policy check`.

use maestro_policies::engine::Compiled;
use maestro_schemas::verdict::Hook;
use serde_json::json;

use super::Directory;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::view::words::count;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A fault has a file, line and column, what was found and expected, and a hint. docs/policies.md says
what a bundle is.

Examples:
  maestro policy check policies/global
  maestro policy check policies/global --json")]
pub struct Args {
    #[command(flatten)]
    bundle: Directory,
}

pub(super) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let checked = args.bundle.read().and_then(|bundle| {
        let compiled = Compiled::of(&bundle).map_err(|faults| args.bundle.rejected(faults))?;
        Ok((compiled, bundle.policies().count()))
    });
    let (compiled, files) = match checked {
        Ok(checked) => checked,
        Err(Error::Policies { faults, .. }) if output.is_json() => {
            output.json(&json!({ "valid": false, "faults": faults }))?;
            return Ok(Exit::Error);
        }
        Err(error) => return Err(error),
    };
    let hooks: Vec<_> = Hook::ALL.into_iter().filter(|hook| compiled.has(*hook)).collect();
    let report =
        json!({ "valid": true, "files": files, "hooks": hooks, "digest": compiled.digest() });
    output.show(&report, || {
        let names: Vec<_> = hooks.iter().map(|hook| hook.name()).collect();
        let asked = if names.is_empty() { "no hook".to_owned() } else { names.join(", ") };
        let name = args.bundle.name();
        let digest = compiled.digest();
        format!("{name} is valid: {} for {asked}\n{digest}", count(files as u64, "file"))
    })?;
    Ok(Exit::Ok)
}
