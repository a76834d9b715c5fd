//! A call that is written down before it is known what it will be, and what tells of that.
//!
//! What must stay true: it is made only once what it may cost at the most is stored.

use std::sync::Arc;

use maestro_schemas::report::ModelCall;

use crate::account::{Desk, Error};
use crate::ledger::Entry;

/// A call of which it is not known yet what it will be. Dropped, it is not made.
#[derive(Debug)]
pub struct Announced(pub(crate) Entry);

impl Announced {
    /// It will be this one. Where it may cost more than was announced, that is told before it may be made;
    /// any other news is answered, and told while it is made.
    pub async fn becomes(self, call: ModelCall) -> Result<(Entry, Option<News>), Error> {
        let Self(mut entry) = self;
        let announced = entry.call();
        let is_dearer = call.cost_microusd > announced.cost_microusd;
        let is_news = ModelCall { announced: false, ..announced.clone() } != call;
        entry.amend(call);
        let mut news = if is_news { entry.news() } else { None };
        if is_dearer && let Some(news) = news.take() {
            news.tell().await?;
        }
        Ok((entry, news))
    }
}

/// What is known of a call, to be told to its shard's owner.
#[derive(Debug)]
pub struct News {
    pub(crate) desk: Arc<Desk>,
    pub(crate) ordinal: Option<u32>,
    pub(crate) call: ModelCall,
}

impl News {
    /// Tells it.
    pub(crate) async fn tell(self) -> Result<(), Error> {
        self.desk.tell(self.ordinal, &self.call).await
    }

    /// Tells it where it is no loss if it is lost: the report tells it too.
    pub async fn tell_beside(self) {
        if let Err(error) = self.tell().await {
            tracing::debug!(%error, "what is known of a call was not told");
        }
    }
}
