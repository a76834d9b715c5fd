//! `maestro worker`: carry out the steps of pools.

use maestro_telemetry::logging::{self, Format};

use crate::env_vars;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::service::{stop, worker};

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The bus' password is in MAESTRO_NATS_PASSWORD, the model gateway's key in MAESTRO_LITELLM_KEY. SIGTERM
drains: no more steps are taken, and those in hand may end.

Examples:
  maestro worker --pool build --nats nats://10.0.0.5:4222 --store /srv/maestro
  maestro worker --pool build --slots 8 --scratch /var/lib/maestro/work
  maestro worker --pool llm --slots 64 --litellm http://litellm:4000
  maestro worker --pool llm --litellm http://litellm:4000 --direct deploy/router/litellm.yaml
  maestro worker --pool llm --ollama-hosts /etc/maestro/ollama.yaml
  MAESTRO_OLLAMA_HOST=gpu-1:11434 maestro worker --pool llm")]
pub struct Args {
    #[command(flatten)]
    settings: worker::Settings,
}

pub(crate) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let format = if output.is_json() { Format::Json } else { Format::Text };
    logging::set_up(std::env::var(env_vars::LOG).ok().as_deref(), format)
        .map_err(|source| Error::service("set the log up", source))?;
    worker::run(args.settings, stop::token()?).await?;
    Ok(Exit::Ok)
}
