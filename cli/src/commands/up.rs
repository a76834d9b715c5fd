//! `maestro up`: the local stack, kept running.

use std::path::Path;

use maestro_telemetry::logging::{self, Format};
use serde_json::json;

use crate::env_vars;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::service::stop;
use crate::up::{Ending, Owner};

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
nats-server, Postgres, a coordinator, the API and a worker of this directory, on loopback, with all
state in .maestro/. Commands in this directory find it by themselves. Ends at Ctrl-C or SIGTERM.

Examples:
  maestro up
  maestro up --json")]
pub struct Args {
    /// End by itself once nobody uses it and no run goes on.
    #[arg(long)]
    while_used: bool,
}

pub(crate) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let directives = std::env::var(env_vars::LOG).ok();
    logging::set_up(directives.as_deref(), Format::Text)
        .map_err(|source| Error::service("set the log up", source))?;
    let stop = stop::token()?;
    let started = tokio::select! {
        started = Owner::start(Path::new(".")) => started,
        () = stop.cancelled() => return Ok(Exit::Interrupted),
    };
    let mut owner = match started {
        // Whoever started this one looks for the other owner.
        Err(Error::Local(crate::local::Error::Held { .. })) if args.while_used => {
            return Ok(Exit::Held);
        }
        started => started?,
    };
    tell(&owner, output)?;
    let ending = owner.until_over(stop, args.while_used).await;
    let stopped = owner.stop().await;
    match ending {
        Ending::Broken(error) => Err(error),
        Ending::Asked | Ending::Abandoned => stopped.map(|()| Exit::Ok),
    }
}

fn tell(owner: &Owner, output: Output) -> Result<(), Error> {
    let state = owner.stack.state();
    let files = owner.stack.paths().root();
    let document = json!({
        "api": owner.endpoint.api,
        "nats": format!("nats://{}", state.nats),
        "postgres": state.postgres,
        "files": files,
        "pid": state.pid,
    });
    output.show(&document, || {
        format!(
            "api       {}\nnats      nats://{}\npostgres  {}\nfiles     {}",
            owner.endpoint.api,
            state.nats,
            state.postgres,
            files.display()
        )
    })?;
    output.talk("ready; `maestro run` in this directory uses it; Ctrl-C ends it");
    Ok(())
}
