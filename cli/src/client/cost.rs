//! `…/cost`: what calls of models cost.

use maestro_schemas::api::cost::{By, CostReport};

use super::request::escape;
use super::{Client, Error};

/// Which calls are summed up, and how.
#[derive(Debug, Clone, Default)]
pub struct CostFilter {
    /// What a row is about.
    pub by: By,
    /// Only of this run.
    pub run: Option<String>,
    /// From this time on, in milliseconds since 1970.
    pub since_ms: Option<u64>,
}

impl CostFilter {
    fn query(&self) -> String {
        let mut query = format!("?by={}", self.by.as_str());
        if let Some(run) = &self.run {
            query.push_str(&format!("&run={}", escape(run)));
        }
        if let Some(since) = self.since_ms {
            query.push_str(&format!("&since_ms={since}"));
        }
        query
    }
}

impl Client {
    /// What calls of models cost the project.
    pub async fn cost(&self, filter: &CostFilter) -> Result<CostReport, Error> {
        self.get(&self.in_project(&format!("/cost{}", filter.query()))).await
    }
}
