//! `/v1/whoami`: whose token it is.

use std::collections::BTreeMap;

use axum::Json;
use schemars::JsonSchema;
use serde::Serialize;

use super::admit::Caller;
use super::route::{Access, Route};

/// Whose token it is, and what it may do.
#[derive(Debug, Serialize, JsonSchema)]
struct Identity {
    /// The token's name.
    name: String,
    /// Role by project; `*` stands for every one.
    roles: BTreeMap<String, String>,
}

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/whoami", Access::Token, "Whose token it is, and what it may do.", whoami)
            .answers::<Identity>(),
    ]
}

async fn whoami(caller: Caller) -> Json<Identity> {
    Json(Identity { name: caller.name.to_string(), roles: caller.grants.texts() })
}
