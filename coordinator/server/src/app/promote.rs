//! Lets an artifact go to an environment, where its evidence holds and the policies permit it.

use maestro_evidence::moment::Moment;
use maestro_evidence::statement::summary::{
    PASSED, PROMOTION_PREFIX, SLSA_VERSION, Summary, VERIFIER, Verifier,
};
use maestro_evidence::statement::{Descriptor, Digests, Statement};
use maestro_policies::input::{Now, Promotion as Asked};
use maestro_schemas::api::promotions::{
    PAGE_MAX, Promotion, PromotionPage, PromotionRequest, is_environment,
};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{PromotionId, RunId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::verdict::{Hook, Reason, Verdict};

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::notary::keys::Keys;
use crate::promotion::{Archive, Proven, Unproven};
use crate::store::promotion::{self, Filter, Kept};
use crate::store::{evidence, run};

/// The promotions of a page where nobody says how many.
const PAGE_DEFAULT: u16 = 50;

const WEEKDAYS: [&str; 7] =
    ["thursday", "friday", "saturday", "sunday", "monday", "tuesday", "wednesday"];

/// Which page of which promotions.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Of this artifact.
    pub artifact: Option<Digest>,
    /// To this environment.
    pub environment: Option<String>,
    /// By the evidence of this run.
    pub run: Option<RunId>,
    /// The most.
    pub limit: Option<u16>,
    /// What the page before said.
    pub cursor: Option<String>,
}

impl App {
    /// Verifies, asks the policies, and signs.
    pub async fn promote(
        &self,
        asker: &Asker,
        request: PromotionRequest,
    ) -> Result<Promotion, Error> {
        if !is_environment(&request.environment) {
            let message = "expected 1 to 64 lower-case letters, digits, _ and -, as staging";
            return Err(Error::invalid("environment", message));
        }
        let keys = self.keys.as_ref().ok_or(Error::NoSigner)?;
        let run = self.run_of(&asker.project, &request).await?;
        let now = Moment::now();
        let proven = self.prove(asker, keys, (request.artifact, run), now).await?;
        let asked = asked(asker, &request.environment, &proven, now);
        let verdict = self.ask(&asker.project, asked.clone()).await?;
        if !verdict.allowed {
            let PromotionRequest { artifact, environment, .. } = request;
            return Err(Error::Denied { artifact, environment, reasons: verdict.reasons });
        }
        let summary = summary(&request, &proven, (verdict.bundle, keys.are_local()), now);
        let bundle = self.sign(keys, &summary).await?;
        let promotion = Promotion {
            id: PromotionId::generate(),
            artifact: request.artifact,
            environment: request.environment.clone(),
            run,
            promoted_by: asker.actor.clone(),
            promoted_at_ms: now.as_ms(),
            policy: verdict.bundle,
            input: verdict.input,
            statement: Digest::of(&bundle),
        };
        let asked = serde_json::to_value(&asked).unwrap_or_default().to_string();
        let kept = Kept { asked: &asked, body: &bundle };
        self.keep_promotion(asker, &promotion, (kept, &request)).await?;
        Ok(promotion)
    }

    /// The run that is named, or the newest that made the artifact.
    async fn run_of(
        &self,
        project: &ProjectName,
        request: &PromotionRequest,
    ) -> Result<RunId, Error> {
        if let Some(id) = request.run {
            let found = run::head(&self.pool, project, id).await?;
            return found.map(|_| id).ok_or_else(|| Error::not_found("run", id));
        }
        let newest = evidence::newest_about(&self.pool, project, request.artifact).await?;
        newest.ok_or_else(|| {
            let artifact = request.artifact;
            Error::Unproven(format!(
                "no signed statement of this project says how {artifact} was made"
            ))
        })
    }

    async fn prove(
        &self,
        asker: &Asker,
        keys: &Keys,
        (artifact, run): (Digest, RunId),
        now: Moment,
    ) -> Result<Proven, Error> {
        let trust = keys.trust().map_err(|error| Error::Unproven(error.to_string()))?;
        let (pool, objects, project) = (&self.pool, &self.objects, &asker.project);
        let archive = Archive { pool, objects, trust: &trust, project };
        archive.prove(artifact, run, now).await.map_err(|error| match error {
            Unproven::Store(error) => Error::Store(error),
            Unproven::Broken(what) => Error::Unproven(what),
        })
    }

    /// Policies may take their time, so they are asked where one may block.
    async fn ask(&self, project: &ProjectName, asked: Asked) -> Result<Verdict, Error> {
        let (routing, project) = (self.routing.clone(), project.clone());
        let asking = tokio::task::spawn_blocking(move || routing.judge_promotion(&project, &asked));
        let verdict =
            asking.await.map_err(|_| Error::Unavailable("the policies do not answer now"))?;
        Ok(verdict.unwrap_or_else(|| Verdict {
            hook: Hook::Promotion,
            allowed: false,
            reasons: vec![Reason {
                rule: Hook::Promotion.package().to_owned(),
                message:
                    "this server has no policies, so nothing is permitted; start it with --policies"
                        .to_owned(),
            }],
            bundle: Digest::of(b""),
            input: Digest::of(b""),
        }))
    }

    async fn sign(&self, keys: &Keys, summary: &Statement<Summary>) -> Result<Vec<u8>, Error> {
        let failed = |error: maestro_evidence::key::Error| {
            tracing::error!(%error, "a promotion cannot be signed");
            Error::Unavailable("the key that signs does not answer now; the server's log says why")
        };
        let signer = keys.signer().await.map_err(failed)?;
        evidence::put_ring(&self.pool, &keys.ring_bytes().map_err(failed)?).await?;
        summary.sign(signer.as_ref()).await.map_err(failed)
    }

    async fn keep_promotion(
        &self,
        asker: &Asker,
        promotion: &Promotion,
        (kept, request): (Kept<'_>, &PromotionRequest),
    ) -> Result<(), Error> {
        let mut transaction = self.begin().await?;
        promotion::add(&mut *transaction, &asker.project, promotion, kept).await?;
        let about =
            format!("{} to {} by {}", promotion.artifact, promotion.environment, promotion.run);
        let done = Done::to("promotion.grant", about).asked(request);
        act::keep(&mut transaction, asker, done).await?;
        act::end(transaction).await
    }

    /// The page, the youngest first.
    pub async fn list_promotions(
        &self,
        project: &ProjectName,
        query: Query,
    ) -> Result<PromotionPage, Error> {
        let count = query.limit.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        let before = query.cursor.map(|text| text.parse::<PromotionId>()).transpose();
        let before = before.map_err(|_| {
            Error::invalid("cursor", "expected what the page before gave as `next`")
        })?;
        let Query { artifact, environment, run, .. } = query;
        let filter = Filter { artifact, environment, run, before, count_max: count + 1 };
        let mut promotions = promotion::list(&self.pool, project, &filter).await?;
        let is_last = promotions.len() <= usize::from(count);
        promotions.truncate(usize::from(count));
        let next = promotions.last().filter(|_| !is_last).map(|one| one.id.to_string());
        Ok(PromotionPage { promotions, next })
    }

    /// The signed summary of a promotion.
    pub async fn read_promotion(
        &self,
        project: &ProjectName,
        id: PromotionId,
    ) -> Result<Vec<u8>, Error> {
        let body = promotion::summary(&self.pool, project, id).await?;
        body.ok_or_else(|| Error::not_found("promotion", id))
    }
}

fn asked(asker: &Asker, environment: &str, proven: &Proven, now: Moment) -> Asked {
    let proven = proven.clone();
    Asked {
        project: asker.project.to_string(),
        environment: environment.to_owned(),
        by: asker.actor.clone(),
        now: spoken(now),
        artifact: proven.artifact,
        run: proven.run,
        keys: proven.keys,
        builders: proven.builders,
        sources: proven.sources,
        steps: proven.steps,
        sbom: proven.sbom,
    }
}

/// A time as policies compare it. The first day of 1970 was a Thursday.
fn spoken(now: Moment) -> Now {
    let day = usize::try_from(now.as_ms() / 86_400_000).unwrap_or_default();
    let text = now.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    let weekday = WEEKDAYS.get(day % WEEKDAYS.len()).copied().unwrap_or_default();
    Now { date: part(0, 10), weekday: weekday.to_owned(), time: part(11, 16) }
}

fn summary(
    request: &PromotionRequest,
    proven: &Proven,
    (policy, is_local): (Digest, bool),
    now: Moment,
) -> Statement<Summary> {
    let level = if is_local { "SLSA_BUILD_LEVEL_1" } else { "SLSA_BUILD_LEVEL_2" };
    let policy = Descriptor {
        name: "policies".to_owned(),
        digest: Digests::sha256(policy),
        ..Descriptor::default()
    };
    let summary = Summary {
        verifier: Verifier { id: VERIFIER.to_owned() },
        time_verified: now,
        resource_uri: format!("{PROMOTION_PREFIX}{}", request.environment),
        policy,
        input_attestations: proven.read.clone(),
        verification_result: PASSED.to_owned(),
        verified_levels: vec![level.to_owned()],
        slsa_version: SLSA_VERSION.to_owned(),
    };
    Statement::of(vec![proven.subject.clone()], summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_spoken_in_utc() {
        let now = spoken("2026-11-27T16:05:09.123Z".parse().unwrap());
        let expected = ("2026-11-27", "friday", "16:05");
        assert_eq!((now.date.as_str(), now.weekday.as_str(), now.time.as_str()), expected);
        assert_eq!(spoken(Moment::from_ms(0)).weekday, "thursday");
    }
}
