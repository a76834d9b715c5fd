//! Why the server could not be asked, or what it refused.

use maestro_schemas::api::problem::Problem;

use crate::exit::Exit;

/// Why a request has no good answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused, and said why.
    #[error("{}", if .0.detail.is_empty() { &.0.title } else { &.0.detail })]
    Refused(Box<Problem>),
    /// Nobody answers there.
    #[error("cannot reach {server}")]
    Unreachable {
        /// The address.
        server: String,
        /// What the transport said.
        source: reqwest::Error,
    },
    /// The answer did not come in time, or ended before its end.
    #[error("{server} did not answer to the end")]
    Broken {
        /// The address.
        server: String,
        /// What the transport said.
        source: reqwest::Error,
    },
    /// An error without a problem document: something else than a Maestro server answers.
    #[error("{server} answered {status} to {method} {path}, and not as a Maestro server does")]
    Unexpected {
        /// The address.
        server: String,
        /// The HTTP status.
        status: u16,
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
    },
    /// The answer is no document of the expected form.
    #[error("{server} gave an answer that cannot be read; it may be of another version")]
    Malformed {
        /// The address.
        server: String,
        /// What the decoder said.
        source: serde_json::Error,
    },
    /// The answer is larger than any of its kind may be.
    #[error("{server} gave an answer of more than {most} bytes")]
    TooLarge {
        /// The address.
        server: String,
        /// The most that is read.
        most: usize,
    },
    /// The text is no address.
    #[error("{found:?} is not a server's address; expected one as https://maestro.example.org")]
    Address {
        /// The text as it was given, cut.
        found: String,
    },
    /// The client cannot be set up: no certificates, or a token that no header may hold.
    #[error("the client cannot be set up for {server}")]
    Setup {
        /// The address.
        server: String,
        /// What the transport said.
        source: reqwest::Error,
    },
    /// The token holds characters that no header may hold.
    #[error("the token holds characters that a token cannot have")]
    Token,
}

impl Error {
    /// The process' exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(problem) => exit(problem),
            Self::Unexpected { status: 401 | 403, .. } | Self::Token => Exit::Authentication,
            Self::Broken { source, .. } if source.is_timeout() => Exit::TimedOut,
            Self::Address { .. } => Exit::Usage,
            _ => Exit::Error,
        }
    }

    /// The problem's stable code.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => {
                Some(&problem.code).filter(|code| !code.is_empty()).map(String::as_str)
            }
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Refused(problem) if problem.hint.is_some() => return problem.hint.clone(),
            Self::Refused(problem) if problem.status == 401 => {
                "set MAESTRO_TOKEN to a token of this server"
            }
            Self::Unreachable { .. } => {
                "start a local stack with `maestro up`, or name a server with --server URL or MAESTRO_SERVER"
            }
            Self::Unexpected { .. } => {
                "check --server and MAESTRO_SERVER, and what stands between here and there"
            }
            Self::Setup { .. } => "install the system's certificates (package ca-certificates)",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// Whether the same request may fare better: nothing is known to have been done.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused(problem) => matches!(problem.status, 429 | 502 | 503 | 504),
            Self::Unexpected { status, .. } => matches!(status, 429 | 502..=504),
            _ => false,
        }
    }
}

fn exit(problem: &Problem) -> Exit {
    match problem.status {
        _ if !problem.reasons.is_empty() => Exit::PolicyDenied,
        401 | 403 => Exit::Authentication,
        404 => Exit::NotFound,
        408 | 504 => Exit::TimedOut,
        _ => Exit::Error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16) -> Error {
        Error::Refused(Box::new(Problem {
            kind: "/docs/errors/MAE-1".into(),
            title: "no".into(),
            status,
            detail: String::new(),
            code: "MAE-1".into(),
            hint: None,
            reasons: Vec::new(),
        }))
    }

    #[test]
    fn a_refusal_has_the_exit_code_of_its_status() {
        assert_eq!(refused(401).exit(), Exit::Authentication);
        assert_eq!(refused(403).exit(), Exit::Authentication);
        assert_eq!(refused(404).exit(), Exit::NotFound);
        assert_eq!(refused(504).exit(), Exit::TimedOut);
        assert_eq!(refused(422).exit(), Exit::Error);
        assert_eq!(refused(422).to_string(), "no");
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert!(refused(503).is_passing());
        assert!(!refused(409).is_passing());
    }
}
