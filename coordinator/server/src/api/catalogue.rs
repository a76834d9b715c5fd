//! `/v1/actions`: what can be run.

use axum::Json;
use axum::extract::State;
use maestro_schemas::api::plans::Catalogue;

use super::Api;
use super::problem::Refusal;
use super::role::Role;
use super::route::{Access, Route};
use crate::store::action;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/actions",
            Access::Somewhere(Role::Viewer),
            "The actions that workers serve or have served.",
            list,
        )
        .answers::<Catalogue>(),
    ]
}

async fn list(State(api): State<Api>) -> Result<Json<Catalogue>, Refusal> {
    Ok(Json(action::catalogue(&api.app.pool).await?))
}
