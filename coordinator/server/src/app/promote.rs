//! Lets an artifact go to an environment, where its evidence holds and the policies permit it.

use maestro_evidence::key;
use maestro_evidence::moment::Moment;
use maestro_evidence::statement::summary::{
    PASSED, POLICIES_URI, PROMOTION_PREFIX, SLSA_VERSION, Summary, VERIFIER, Verifier,
};
use maestro_evidence::statement::{Descriptor, Digests, Statement};
use maestro_policies::input::Promotion as Asked;
use maestro_schemas::api::promotions::{
    PAGE_MAX, Promotion, PromotionPage, PromotionRequest, is_environment,
};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{PromotionId, RunId};
use maestro_schemas::name::ProjectName;
use maestro_schemas::verdict::{Hook, Reason, Verdict};
use tokio::runtime::Handle;

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::notary::keys::{Keys, Pen};
use crate::promotion::line::Place;
use crate::promotion::{Archive, Proven, Unproven, Wanted};
use crate::store::promotion::{self, Filter, Kept};
use crate::store::{evidence, key_ring, run};

/// The promotions of a page where nobody says how many.
const PAGE_DEFAULT: u16 = 50;

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
        let busy = Error::Unavailable(
            "as many promotions as this server verifies at once are under way; try again when one has ended",
        );
        let place = self.proofs.place().ok_or(busy)?;
        let keys = self.keys.as_ref().ok_or(Error::NoSigner)?;
        let run = self.run_of(&asker.project, &request).await?;
        let pen = keys.pen().await.map_err(unsigned)?;
        let proven = self.prove(asker, (&request, run), (&pen, place)).await?;
        let verdict = self.ask(&asker.project, proven.asked.clone()).await?;
        if !verdict.allowed {
            let PromotionRequest { artifact, environment, .. } = request;
            return Err(Error::Denied { artifact, environment, reasons: verdict.reasons });
        }
        let summary = summary(&request, &proven, (verdict.bundle, keys.are_local()), pen.at);
        let bundle = self.sign(keys, &pen, &summary).await?;
        let promotion = Promotion {
            id: PromotionId::generate(),
            artifact: request.artifact,
            environment: request.environment.clone(),
            run,
            promoted_by: asker.actor.clone(),
            promoted_at_ms: pen.at.as_ms(),
            policy: verdict.bundle,
            input: verdict.input,
            statement: Digest::of(&bundle),
        };
        let asked = serde_json::to_value(&proven.asked).unwrap_or_default().to_string();
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

    /// Large files are read and many signatures verified, so it is done where one may block. It keeps its
    /// place to its end, also where nobody waits for it any more.
    async fn prove(
        &self,
        asker: &Asker,
        (request, run): (&PromotionRequest, RunId),
        (pen, place): (&Pen, Place),
    ) -> Result<Proven, Error> {
        let (environment, by) = (request.environment.clone(), asker.actor.clone());
        let wanted = Wanted { artifact: request.artifact, run, environment, by };
        let (pool, objects, project) =
            (self.pool.clone(), self.objects.clone(), asker.project.clone());
        let (trust, now, runtime) = (pen.trust.clone(), pen.at, Handle::current());
        let proving = tokio::task::spawn_blocking(move || {
            let _place = place;
            let (pool, objects, trust, project) = (&pool, &objects, &trust, &project);
            runtime.block_on(Archive { pool, objects, trust, project }.prove(&wanted, now))
        });
        let proven = proving.await;
        let proven = proven.map_err(|_| Error::Unavailable("evidence cannot be verified now"))?;
        proven.map_err(|error| match error {
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

    async fn sign(
        &self,
        keys: &Keys,
        pen: &Pen,
        summary: &Statement<Summary>,
    ) -> Result<Vec<u8>, Error> {
        if let Some(list) = keys.list().map_err(unsigned)? {
            key_ring::put(&self.pool, &list).await?;
        }
        summary.sign(pen.signer.as_ref()).await.map_err(unsigned)
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

fn unsigned(error: key::Error) -> Error {
    tracing::error!(%error, "a promotion cannot be signed");
    Error::Unavailable("the key that signs does not answer now; the server's log says why")
}

fn summary(
    request: &PromotionRequest,
    proven: &Proven,
    (policy, is_local): (Digest, bool),
    now: Moment,
) -> Statement<Summary> {
    let level = if is_local { "SLSA_BUILD_LEVEL_1" } else { "SLSA_BUILD_LEVEL_2" };
    let policy = Descriptor {
        uri: POLICIES_URI.to_owned(),
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
