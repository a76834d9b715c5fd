//! `/v1/pools`: who works.

use axum::Json;
use axum::extract::State;
use maestro_schemas::api::pools::PoolList;

use super::Api;
use super::admit::Caller;
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/pools",
            Access::Somewhere(Role::Viewer),
            "The pools that live workers serve.",
            list,
        )
        .answers::<PoolList>(),
    ]
}

async fn list(State(api): State<Api>, caller: Caller) -> Result<Json<PoolList>, Refusal> {
    let grants = &caller.grants;
    Ok(Json(api.app.list_pools(|project| grants.in_project(project).is_some()).await?))
}
