//! A run as people name it: by its id, or `last`.

use std::str::FromStr;

use maestro_schemas::id::{InvalidId, RunId};

use crate::client::Client;
use crate::client::runs::RunFilter;
use crate::error::Error;

/// A run as it is named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunName {
    /// By its id.
    Id(RunId),
    /// The youngest of the project.
    Last,
}

impl FromStr for RunName {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "last" { Ok(Self::Last) } else { text.parse().map(Self::Id) }
    }
}

impl RunName {
    /// The run's id.
    pub async fn find(self, client: &Client) -> Result<RunId, Error> {
        match self {
            Self::Id(run) => Ok(run),
            Self::Last => {
                let page = client.runs(&RunFilter { limit: 1, ..RunFilter::default() }).await?;
                page.runs.first().map(|run| run.id).ok_or_else(|| Error::NotFound {
                    what: format!("a run in project {}", client.project()),
                    hint: Some("submit one with `maestro run`".to_owned()),
                })
            }
        }
    }
}

/// A label as `k=v`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(format!("{text:?} has no name and value; expected k=v")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_by_its_id_or_as_the_last() {
        assert_eq!("last".parse(), Ok(RunName::Last));
        assert!("run_01h455vb4pex5vsknk084sn02q".parse::<RunName>().is_ok());
        assert!("latest".parse::<RunName>().is_err());
    }

    #[test]
    fn a_pair_needs_a_name_and_may_hold_more_equal_signs() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("=b").is_err());
        assert!(pair("ab").is_err());
    }
}
