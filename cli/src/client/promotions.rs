//! `…/promotions`: which artifact may go where.

use maestro_schemas::api::promotions::{Promotion, PromotionPage, PromotionRequest};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{PromotionId, RunId};
use reqwest::Method;

use super::request::escape;
use super::{Client, Error};

/// The largest summary that is fetched, in bytes.
const SUMMARY_BYTES_MAX: usize = 4 << 20;

/// Which promotions.
#[derive(Debug, Clone, Default)]
pub struct PromotionFilter {
    /// Of this artifact.
    pub artifact: Option<Digest>,
    /// To this environment.
    pub environment: Option<String>,
    /// By the evidence of this run.
    pub run: Option<RunId>,
    /// The most.
    pub limit: u32,
    /// What the page before said.
    pub cursor: Option<String>,
}

impl PromotionFilter {
    fn query(&self) -> String {
        let of = [
            ("artifact", self.artifact.map(|artifact| artifact.to_string())),
            ("environment", self.environment.clone()),
            ("run", self.run.map(|run| run.to_string())),
            ("cursor", self.cursor.clone()),
        ];
        let given = of.into_iter().filter_map(|(name, value)| Some((name, escape(&value?))));
        let given = given.map(|(name, value)| format!("&{name}={value}"));
        format!("?limit={}{}", self.limit, given.collect::<String>())
    }
}

impl Client {
    /// Asks for an artifact to go to an environment.
    pub async fn promote(&self, request: &PromotionRequest) -> Result<Promotion, Error> {
        self.post(&self.in_project("/promotions"), request).await
    }

    /// A page of promotions, the youngest first.
    pub async fn promotions(&self, filter: &PromotionFilter) -> Result<PromotionPage, Error> {
        self.get(&self.in_project(&format!("/promotions{}", filter.query()))).await
    }

    /// The signed summary of a promotion; its reader takes the digest anew.
    pub async fn promotion(&self, id: PromotionId) -> Result<Vec<u8>, Error> {
        let path = self.in_project(&format!("/promotions/{id}"));
        self.bytes(self.send(self.request(Method::GET, &path)).await?, SUMMARY_BYTES_MAX).await
    }
}
