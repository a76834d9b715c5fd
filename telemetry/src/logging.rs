//! The log of a process, on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::SubscriberInitExt as _;

/// What is logged where nothing else is said: ours from `info` on, others' from `warn` on.
pub const DIRECTIVES: &str = "warn,maestro=info";

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people; coloured in a terminal.
    #[default]
    Text,
    /// One object a line, for machines.
    Json,
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is to be logged cannot be read.
    #[error(
        "{directives:?} does not say what to log; expected as `info` or `maestro_server=debug`"
    )]
    Directives {
        /// The text as it was given.
        directives: String,
        /// What is wrong with it.
        #[source]
        source: ParseError,
    },
    /// The process logs already.
    #[error("the log is set up twice")]
    Twice,
}

/// Sets the log of the process up, once. `directives` as in [`DIRECTIVES`], which stands for none.
pub fn set_up(directives: Option<&str>, format: Format) -> Result<(), Error> {
    let filter = filter(directives)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let set = match format {
        Format::Text => builder.finish().try_init(),
        Format::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    set.map_err(|_| Error::Twice)
}

fn filter(directives: Option<&str>) -> Result<EnvFilter, Error> {
    let directives = directives.filter(|text| !text.trim().is_empty()).unwrap_or(DIRECTIVES);
    EnvFilter::try_new(directives).map_err(|source| Error::Directives {
        directives: directives.chars().take(200).collect(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_means_the_default_and_nonsense_is_refused() {
        for text in [None, Some(""), Some("  ")] {
            assert!(filter(text).unwrap().to_string().contains("maestro"));
        }
        assert!(matches!(filter(Some("maestro=loudly")), Err(Error::Directives { .. })));
    }
}
