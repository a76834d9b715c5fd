//! `maestro demo`: the story of a real build, and of what happens when parts of the system die.

use std::path::PathBuf;

use crate::demo::story::Story;
use crate::demo::voice::Voice;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::{Color, Output};
use crate::service::stop;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Fetches a project with pip, has a model review a file of it, builds it with processes of its own and
ends them all. Needs python3 with pip, and the network for the first time; for the review LiteLLM,
and a provider's key in the environment, as OPENAI_API_KEY, or else LiteLLM's offline mock answers.
Fails where anything that it tells does not happen.

Examples:
  maestro demo
  maestro demo crash
  maestro demo --directory /tmp/demo --json")]
pub struct Args {
    #[command(subcommand)]
    tale: Option<Tale>,
    /// Where it happens; what an earlier demo left there is cleared.
    #[arg(long, global = true, value_name = "DIRECTORY", default_value = "target/demo")]
    directory: PathBuf,
}

#[derive(Debug, Clone, Copy, clap::Subcommand)]
enum Tale {
    /// Kill the coordinator and nats-server in mid-run instead of a worker.
    Crash,
}

pub(crate) async fn perform(args: Args, output: Output) -> Result<Exit, Error> {
    let stop = stop::token()?;
    // Talk is for people, whatever the data is.
    let talk = if output.is_json() { Output::new(false, Color::Never) } else { output };
    let mut story = Story::new(Voice::new(talk));
    let telling = async {
        match args.tale {
            None => story.tell(&args.directory).await,
            Some(Tale::Crash) => story.tell_of_the_crash(&args.directory).await,
        }
    };
    let told = tokio::select! {
        told = telling => Some(told),
        () = stop.cancelled() => None,
    };
    let ended = story.end().await;
    let Some(told) = told else {
        talk.talk("interrupted; everything is ended");
        return ended.map(|()| Exit::Interrupted);
    };
    let facts = told?;
    ended?;
    if output.is_json() {
        output.json(&facts)?;
    }
    Ok(Exit::Ok)
}
