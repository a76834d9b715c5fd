//! What is reported, from how a handler ended: the right class for why it was stopped, and within
//! the limits of a report.

use maestro_schemas::artifact::Artifact;
use maestro_schemas::outcome::{FailureClass, INLINE_BYTES_MAX, Outcome};
use tokio::task::JoinError;

use crate::redact::Redactor;
use crate::registry::Cause;

const MESSAGE_BYTES_MAX: usize = 4 * 1024;
/// The most artifacts that one report names.
const ARTIFACTS_MAX: usize = 1_024;

/// How a handler ended.
pub(crate) enum Ended {
    /// It returned.
    Returned(Outcome),
    /// It panicked, with these words.
    Panicked(String),
    /// It was asked to stop and did not in time.
    Abandoned,
}

impl Ended {
    pub(crate) fn of(joined: Result<Outcome, JoinError>) -> Self {
        match joined.map_err(JoinError::try_into_panic) {
            Ok(outcome) => Self::Returned(outcome),
            Err(Ok(panic)) => Self::Panicked(words(panic.as_ref())),
            Err(Err(_)) => Self::Abandoned,
        }
    }

    /// The same, with nothing of the execution's secrets in it.
    pub(crate) fn without_secrets(self, redactor: &Redactor) -> Self {
        match self {
            Self::Returned(outcome) => Self::Returned(redactor.outcome(outcome)),
            Self::Panicked(words) => Self::Panicked(redactor.text(&words)),
            Self::Abandoned => Self::Abandoned,
        }
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let string = panic.downcast_ref::<String>().map(String::as_str);
    text.or(string).unwrap_or("without words").to_owned()
}

/// What is reported; `None` where somebody else begins the attempt anew.
pub(crate) fn reported(ended: Ended, cause: Option<Cause>, timeout_ms: u64) -> Option<Outcome> {
    let timed_out = || {
        let message = format!("it ran longer than its timeout of {timeout_ms} ms");
        Outcome::failed(FailureClass::TimedOut, message)
    };
    let outcome = match (cause, ended) {
        // A success that was quicker than whatever stopped it is a success.
        (_, Ended::Returned(outcome @ Outcome::Succeeded { .. })) => outcome,
        (Some(Cause::GivenUp), _) => return None,
        (Some(Cause::TimedOut), Ended::Returned(outcome)) => {
            with_artifacts(timed_out(), outcome.artifacts().to_vec())
        }
        (Some(Cause::TimedOut), _) => timed_out(),
        (Some(Cause::Cancelled), Ended::Returned(outcome)) => {
            Outcome::Cancelled { artifacts: outcome.artifacts().to_vec() }
        }
        (Some(Cause::Cancelled), _) => Outcome::Cancelled { artifacts: Vec::new() },
        (None, Ended::Returned(Outcome::Cancelled { artifacts })) => {
            let message = "the action ended as cancelled, and nobody had cancelled it";
            with_artifacts(Outcome::failed(FailureClass::Transient, message), artifacts)
        }
        (None, Ended::Returned(outcome)) => outcome,
        (None, Ended::Panicked(words)) => {
            Outcome::failed(FailureClass::Permanent, format!("panicked: {words}"))
        }
        (None, Ended::Abandoned) => {
            Outcome::failed(FailureClass::Transient, "the worker dropped the action")
        }
    };
    Some(within_limits(outcome))
}

/// The same outcome with more artifacts.
pub(crate) fn with_artifacts(mut outcome: Outcome, more: Vec<Artifact>) -> Outcome {
    match &mut outcome {
        Outcome::Succeeded { artifacts, .. }
        | Outcome::Failed { artifacts, .. }
        | Outcome::Cancelled { artifacts } => artifacts.extend(more),
    }
    outcome
}

fn within_limits(mut outcome: Outcome) -> Outcome {
    if outcome.artifacts().len() > ARTIFACTS_MAX {
        let found = outcome.artifacts().len();
        let message = format!("it made {found} artifacts; the most is {ARTIFACTS_MAX}");
        return Outcome::failed(FailureClass::Permanent, message);
    }
    match &mut outcome {
        Outcome::Succeeded { outputs, .. } if !outputs.is_empty() => {
            let bytes = serde_json::to_vec(outputs).map_or(usize::MAX, |json| json.len());
            if bytes > INLINE_BYTES_MAX {
                let message = format!(
                    "its outputs have {bytes} bytes; the most is {INLINE_BYTES_MAX}, larger ones are artifacts"
                );
                return Outcome::failed(FailureClass::Permanent, message);
            }
        }
        Outcome::Failed { failure, .. } => cut(&mut failure.message),
        Outcome::Succeeded { .. } | Outcome::Cancelled { .. } => {}
    }
    outcome
}

fn cut(message: &mut String) {
    let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
    message.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_it_was_stopped_decides_what_is_reported() {
        let cancelled = || Ended::Returned(Outcome::Cancelled { artifacts: vec![] });
        let of = |cause, ended| reported(ended, cause, 7);
        assert!(matches!(
            of(Some(Cause::TimedOut), cancelled()),
            Some(Outcome::Failed { failure, .. }) if failure.class == FailureClass::TimedOut
        ));
        assert!(matches!(
            of(Some(Cause::Cancelled), Ended::Abandoned),
            Some(Outcome::Cancelled { .. })
        ));
        let won = of(Some(Cause::Cancelled), Ended::Returned(Outcome::succeeded()));
        assert_eq!(won, Some(Outcome::succeeded()));
        assert_eq!(of(Some(Cause::GivenUp), cancelled()), None);
    }

    #[test]
    fn what_does_not_fit_a_report_is_a_failure_that_says_so() {
        let outputs = [("big".to_owned(), "x".repeat(INLINE_BYTES_MAX).into())];
        let large =
            Outcome::Succeeded { outputs: outputs.into_iter().collect(), artifacts: vec![] };
        let found = reported(Ended::Returned(large), None, 0).unwrap();
        assert!(
            matches!(found, Outcome::Failed { failure, .. } if failure.message.contains("65536"))
        );
        let long = Outcome::failed(FailureClass::Permanent, "é".repeat(10_000));
        let found = reported(Ended::Returned(long), None, 0).unwrap();
        assert!(matches!(found, Outcome::Failed { failure, .. } if failure.message.len() == 4_096));
    }
}
