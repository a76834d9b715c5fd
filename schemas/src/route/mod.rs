//! What is asked of the router and what it answers: the bodies of `POST /route/choose`, and the same
//! over the bus.
//!
//! | module | what it holds |
//! |---|---|
//! | [`request`] | what is asked, and its limits |
//! | [`purpose`] | what a call is for: step and prompt |
//! | [`decision`] | what is answered, and why |
//! | [`refusal`] | why there is no answer |

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub mod decision;
pub mod purpose;
pub mod refusal;
pub mod request;

pub use self::decision::{
    Alternative, Basis, Cause, Choice, Costs, Excluded, Interval, Rationale, RouteDecision, Score,
    SloForecast, Terms,
};
pub use self::purpose::{PromptRef, Purpose, Registered};
pub use self::refusal::Refusal;
pub use self::request::{Hint, InvalidRequest, OBJECTIVES_BYTES_MAX, RouteRequest};

/// What a project lets the router do.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It decides beside the model that was asked for, and that one is used.
    #[default]
    Shadow,
    /// It decides and says so; the caller does as it likes.
    Advise,
    /// What it decides is done.
    Act,
}

impl Mode {
    /// The word for it, in rows and messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Advise => "advise",
            Self::Act => "act",
        }
    }
}
