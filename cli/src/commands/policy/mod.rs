//! `maestro policy`: bundles of Rego, checked, tested and asked, without a server; and asked again about
//! what a server's router decided.

pub mod check;
pub mod explain;
mod replay;
pub mod test;

use std::path::{Path, PathBuf};

use maestro_policies::bundle::Bundle;
use maestro_policies::fault::Fault;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro policy check policies/global
  maestro policy test policies/global
  maestro policy explain --hook cost --input step.json
  maestro policy replay --with-policies policies.next")]
pub struct Args {
    #[command(subcommand)]
    ask: Ask,
}

#[derive(Debug, clap::Subcommand)]
enum Ask {
    /// Run the tests that lie beside policies.
    Test(test::Args),
    /// Find what is wrong with policies, without asking them anything.
    Check(check::Args),
    /// Ask policies about an input, and show why they allow or deny it.
    Explain(explain::Args),
    /// Ask other policies about what the router decided, and show what they would have changed.
    Replay(replay::Args),
}

/// Does what the subcommand says.
pub async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    match args.ask {
        Ask::Test(args) => test::perform(&args, output),
        Ask::Check(args) => check::perform(&args, output),
        Ask::Explain(args) => explain::perform(&args, output),
        Ask::Replay(args) => replay::perform(args, global, output).await,
    }
}

/// Faults for people, some lines for each.
pub fn faults(faults: &[Fault]) -> String {
    faults.iter().map(told).collect::<Vec<_>>().join("\n")
}

/// Which bundle is meant.
#[derive(Debug, clap::Args)]
struct Directory {
    /// The bundle's directory; without it the bundle that comes with Maestro.
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

impl Directory {
    fn read(&self) -> Result<Bundle, Error> {
        read(self.directory.as_deref())
    }

    fn rejected(&self, faults: Vec<Fault>) -> Error {
        Error::Policies { directory: named(self.directory.as_deref()), faults }
    }

    /// Whether none is named.
    fn is_shipped(&self) -> bool {
        self.directory.is_none()
    }

    fn name(&self) -> String {
        named(self.directory.as_deref()).display().to_string()
    }
}

fn read(directory: Option<&Path>) -> Result<Bundle, Error> {
    let Some(path) = directory else { return Ok(Bundle::shipped()) };
    if !path.is_dir() {
        let what = format!("the directory {}", path.display());
        return Err(Error::NotFound { what, hint: None });
    }
    Bundle::read(path)
        .map_err(|fault| Error::Policies { directory: path.to_owned(), faults: vec![fault] })
}

fn named(directory: Option<&Path>) -> PathBuf {
    directory.unwrap_or(Path::new("the bundle that comes with Maestro")).to_owned()
}

fn told(fault: &Fault) -> String {
    let mut lines = vec![format!("  {fault} [{}]", fault.code)];
    let mut more = |name: &str, text: &Option<Box<str>>| {
        lines.extend(text.iter().map(|text| format!("    {name}: {text}")));
    };
    more("found", &fault.found);
    more("expected", &fault.expected);
    more("hint", &fault.hint);
    lines.join("\n")
}
