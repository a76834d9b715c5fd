//! The router of this process, for workers that are in it too.

use std::sync::Arc;

use maestro_kit::router::{Answering, Near};
use maestro_schemas::api::route::RouteQuestion;
use maestro_server::routing::Routing;
use maestro_server::routing::answer::answer;

/// A router that workers ask without a bus.
pub fn near(routing: &Routing) -> Arc<dyn Near> {
    Arc::new(Own(routing.clone()))
}

struct Own(Routing);

impl Near for Own {
    fn choose(&self, question: RouteQuestion) -> Answering<'_> {
        Box::pin(answer(&self.0, question))
    }
}
