//! Lists what the router decided, a page at a time.

use maestro_schemas::api::route::DecisionPage;
use maestro_schemas::name::ProjectName;

use super::{App, Error};
use crate::store::route_decision::{self, Filter, Place};

/// The most decisions of a page.
pub const PAGE_MAX: u16 = 100;

/// What is asked for, as texts.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// From this time on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
    /// The most decisions.
    pub limit: Option<u16>,
    /// What the page before said.
    pub cursor: Option<String>,
}

impl App {
    /// The page, the youngest first. It ends early where another configuration was in force before.
    pub async fn list_decisions(
        &self,
        project: &ProjectName,
        query: Query,
    ) -> Result<DecisionPage, Error> {
        let count = usize::from(query.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX));
        let filter = Filter {
            since_ms: query.since_ms.unwrap_or(0),
            after: query.cursor.as_deref().map(place).transpose()?,
            count_max: u16::try_from(count + 1).unwrap_or(PAGE_MAX),
        };
        let found = route_decision::list(&self.pool, project, filter).await?;
        let Some(config_digest) = found.first().map(|(digest, _)| *digest) else {
            return Ok(DecisionPage::default());
        };
        let config = route_decision::config(&self.pool, config_digest).await?;
        let config = config.ok_or_else(|| Error::not_found("configuration", config_digest))?;
        let all = found.len();
        let same = found.into_iter().take_while(|(digest, _)| *digest == config_digest);
        let decisions: Vec<_> = same.take(count).map(|(_, decision)| decision).collect();
        let next = decisions.last().filter(|_| decisions.len() < all);
        let next = next.map(|last| format!("{}-{}", last.at_ms, last.decision_id));
        Ok(DecisionPage { config, config_digest: Some(config_digest), decisions, next })
    }
}

/// Reads a cursor, as `1700000000000-dec_…`.
fn place(text: &str) -> Result<Place, Error> {
    let read = text
        .split_once('-')
        .and_then(|(at_ms, id)| Some(Place { at_ms: at_ms.parse().ok()?, id: id.parse().ok()? }));
    read.ok_or_else(|| Error::invalid("cursor", "expected what the page before gave as `next`"))
}
