//! `maestro coordinator`: fold runs, and serve the API where an address is given.

use maestro_telemetry::logging::{self, Format};

use crate::env_vars;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::service::{coordinator, stop};

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bus' password is in MAESTRO_NATS_PASSWORD, the database's in MAESTRO_DATABASE_URL. SIGTERM hands
the shards over and ends.

Examples:
  maestro coordinator --nats nats://10.0.0.5:4222 --store /srv/maestro --listen 0.0.0.0:8080
  maestro coordinator --name coordinator-2")]
pub struct Args {
    #[command(flatten)]
    settings: coordinator::Settings,
}

pub(crate) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let format = if output.is_json() { Format::Json } else { Format::Text };
    logging::set_up(std::env::var(env_vars::LOG).ok().as_deref(), format)
        .map_err(|source| Error::service("set the log up", source))?;
    coordinator::run(args.settings, stop::token()?).await?;
    Ok(Exit::Ok)
}
