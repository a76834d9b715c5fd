//! Signs what runs that ended have left: how each artifact was made, and a list of all files.
//!
//! | module | what it does |
//! |---|---|
//! | [`keys`] | opens the key that signs now |
//! | [`files`] | gathers a run's files, each with a path and a digest |
//! | [`records`] | a run's rows as files |
//! | [`made`] | a statement for each attempt that made something |
//! | [`taken`] | the statements of former runs about what was taken over |
//!
//! It takes no input: a run is due once its end was told ([`crate::store::notice`]), and stays so
//! until it is signed. Several coordinators may sign at once; each takes runs that no other has. It
//! is off the path of every step.
//!
//! What it keeps for verifiers is the list of keys as it is, whether or not anything is signed: a
//! revocation is known at the next look.

mod files;
pub mod keys;
mod made;
mod records;
mod taken;

use std::time::Duration;

use maestro_engine::plan::CheckedPlan;
use maestro_evidence::key;
use maestro_evidence::moment::Moment;
use maestro_evidence::statement::run::{FILES_MAX, RunEvidence};
use maestro_evidence::statement::{Statement, Subject};
use maestro_evidence::store::ArtifactStore;
use maestro_schemas::digest::Digest;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::store::evidence::{self, Due};
use crate::store::{self, key_ring, plan, run};
use files::Files;
use keys::Keys;
pub(crate) use made::is_made;

/// How often runs that are due are looked for.
const PERIOD: Duration = Duration::from_millis(500);

/// How many are taken at once.
const AT_ONCE_MAX: u16 = 20;

/// How long one may take before somebody else tries it.
const HOLD: Duration = Duration::from_secs(300);

/// The longest pause before the next try.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// After so many tries a statement of a former run is not waited for any more.
const WAITS_MAX: u32 = 8;

/// Signs with these keys. Cheap to clone.
#[derive(Clone)]
pub struct Notary {
    /// Where rows are.
    pub pool: PgPool,
    /// Where artifacts are.
    pub store: ArtifactStore,
    /// What signs.
    pub keys: Keys,
}

/// Why a run's evidence is not signed now.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    Key(#[from] key::Error),
    #[error("the database failed while rows were read: {0}")]
    Rows(#[from] sqlx::Error),
    #[error("its {0} is gone")]
    Gone(&'static str),
    #[error("it has {0} files, more than {FILES_MAX}")]
    TooMany(usize),
    #[error("what it took over from a former run has no statement yet")]
    NotYet,
}

/// Signs until `stop`.
pub async fn run(notary: Notary, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut told = Told::default();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = notary.tell_keys(&mut told).await {
            tracing::warn!(%error, "the list of keys cannot be kept now");
        }
        if let Err(error) = notary.sign_due(&stop).await {
            tracing::warn!(%error, "evidence cannot be looked after now");
        }
    }
}

/// The file of the list of keys that was last read, whatever came of it.
#[derive(Debug, Default)]
struct Told(Option<Digest>);

impl Notary {
    /// Keeps the list of keys where it is another than the one that was told, for whoever verifies.
    async fn tell_keys(&self, told: &mut Told) -> Result<(), Unsigned> {
        let Some(file) = self.keys.file()? else { return Ok(()) };
        if told.0.replace(file) == Some(file) {
            return Ok(());
        }
        let kept = self.keep_keys().await;
        if let Err(Unsigned::Store(_)) = kept {
            told.0 = None;
        }
        kept
    }

    async fn keep_keys(&self) -> Result<(), Unsigned> {
        match self.keys.list()? {
            Some(list) => Ok(key_ring::put(&self.pool, &list).await?),
            None => Ok(()),
        }
    }

    async fn sign_due(&self, stop: &CancellationToken) -> Result<(), store::Error> {
        for due in evidence::take(&self.pool, AT_ONCE_MAX, HOLD).await? {
            if stop.is_cancelled() {
                evidence::put_off(&self.pool, due.run, "the coordinator stopped", Duration::ZERO)
                    .await?;
                continue;
            }
            if let Err(error) = self.sign(&due).await {
                let pause = pause(due.tries);
                tracing::warn!(run = %due.run, %error, ?pause, "a run's evidence is not signed");
                evidence::put_off(&self.pool, due.run, &error.to_string(), pause).await?;
            }
        }
        Ok(())
    }

    async fn sign(&self, due: &Due) -> Result<(), Unsigned> {
        let signer = self.keys.signer().await?;
        self.keep_keys().await?;
        let subject = Subjects::load(self, due).await?;
        let mut files = Files::new(self, due);
        records::gather(&mut files, &subject).await?;
        let made = made::gather(&mut files, &subject, signer.as_ref()).await?;
        taken::gather(&mut files, &made).await?;
        let Files { list, left_out, .. } = files;
        if list.len() > FILES_MAX {
            return Err(Unsigned::TooMany(list.len()));
        }
        let count = list.len();
        let statement = Statement::of(list, subject.told(due, left_out));
        let bundle = statement.sign(signer.as_ref()).await?;
        let manifest = Digest::of(&bundle);
        evidence::keep(&self.pool, due.run, manifest, &bundle).await?;
        evidence::signed(&self.pool, due.run, manifest, count).await?;
        tracing::info!(event = "evidence_signed", run = %due.run, files = count, %manifest);
        Ok(())
    }
}

/// The run that is signed, and its plan.
struct Subjects {
    run: run::Ended,
    plan: CheckedPlan,
}

impl Subjects {
    async fn load(notary: &Notary, due: &Due) -> Result<Self, Unsigned> {
        let run = run::ended(&notary.pool, due.run).await?.ok_or(Unsigned::Gone("row"))?;
        let plan = plan::load(&notary.pool, &due.project, run.plan).await?;
        Ok(Self { plan: plan.ok_or(Unsigned::Gone("plan"))?, run })
    }

    fn told(&self, due: &Due, left_out: Vec<String>) -> RunEvidence {
        RunEvidence {
            project: due.project.to_string(),
            run: due.run.to_string(),
            pipeline: self.run.pipeline.clone(),
            plan: self.run.plan,
            state: self.run.state.clone(),
            created_on: Moment::from_ms(self.run.created_at_ms),
            finished_on: Moment::from_ms(self.run.ended_at_ms),
            signed_on: Moment::now(),
            left_out,
        }
    }
}

/// Doubles from two seconds on.
fn pause(tries: u32) -> Duration {
    Duration::from_secs(2).saturating_mul(1 << tries.saturating_sub(1).min(12)).min(PAUSE_MAX)
}

/// A subject by path.
fn subject(path: String, digest: Digest) -> Subject {
    Subject { name: path, digest: maestro_evidence::statement::Digests::sha256(digest) }
}
