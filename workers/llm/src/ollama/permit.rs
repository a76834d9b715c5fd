//! Whether the router lets a model be asked that no other can stand for, and where it may run.

use crate::attempt::Attempt;
use crate::error::Error;
use crate::request::Call;
use crate::route::{Named, Route, TRIES_MAX};
use maestro_schemas::route::Refusal;

/// The router's word on a model.
pub(crate) struct Permit {
    /// Its decision.
    pub(crate) route: Route,
    /// Where the model runs by its configuration.
    pub(crate) home: Option<String>,
}

impl Attempt<'_> {
    /// Asks the router for this very model. Where another is named and this one is permitted all the
    /// same, it is asked again without that other, until it says where this one runs. What the step may
    /// spend is not part of the question: the hosts' own prices count.
    pub(crate) async fn permit(&self, call: &Call) -> Result<Permit, Error> {
        let mut others = Vec::new();
        while others.len() < TRIES_MAX {
            let route = Route::find(self.execution, call, (None, &others)).await?;
            match route.of_model(&call.model) {
                Named::Here(home) => return Ok(Permit { route, home }),
                Named::Permitted(other) => others.push(other),
                Named::Forbidden => break,
            }
        }
        let message = format!("the router does not let {} be asked with this text", call.model);
        Err(Error::Routed { code: Refusal::CODE.to_owned(), status: 403, message })
    }
}
