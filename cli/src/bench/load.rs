//! Submits runs and waits for their ends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use maestro_schemas::codec::{self, InboxMessage};
use maestro_schemas::command::{Command, CommandKind, Submission};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, RunId};
use maestro_schemas::name::ProjectName;
use maestro_server::store;
use maestro_streams::connect::Connection;
use maestro_streams::publish::Publisher;
use maestro_streams::topology::permission::Role;
use maestro_streams::topology::{Topology, subject};
use sqlx::PgPool;

use super::fleet::{Fleet, Uses};
use super::noop::AT_US;
use super::shape::Shape;
use crate::error::Error;
use crate::up::servers;

/// How often the rows are looked at while runs go on.
const PERIOD: Duration = Duration::from_millis(50);

/// A measurement that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(300);

/// One measured round.
#[derive(Debug, Clone, Copy)]
pub struct Round {
    /// Steps that were carried out.
    pub steps: u64,
    /// From the first submission to the last run's end.
    pub elapsed: Duration,
    /// What the processes used meanwhile.
    pub used: Uses,
}

/// Submits as the API does, and reads the rows.
pub struct Load {
    publisher: Publisher,
    rows: PgPool,
    project: ProjectName,
    shards: u16,
}

impl Load {
    /// Connects to a fleet.
    pub async fn open(fleet: &Fleet) -> Result<Self, Error> {
        let bus = Connection::open(fleet.bus(&Role::Api))
            .await
            .map_err(|source| Error::service("reach the bus", source))?;
        let publisher = Publisher::open(&bus)
            .await
            .map_err(|source| Error::service("reach the bus", source))?;
        let options = store::connect::options(&fleet.stack.postgres.url()).map_err(database)?;
        let project = servers::PROJECT
            .parse()
            .map_err(|source| Error::service("name the project", source))?;
        let load = Self {
            publisher,
            rows: store::connect::pool(options, 2),
            project,
            shards: Topology::default().shards,
        };
        load.wait_for_shards().await?;
        Ok(load)
    }

    /// Waits until every shard has its owner.
    async fn wait_for_shards(&self) -> Result<(), Error> {
        let began = Instant::now();
        loop {
            let owned = store::shard::list(&self.rows).await.unwrap_or_default();
            if owned.len() == usize::from(self.shards) && owned.iter().all(|lease| !lease.is_free) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::service("measure", "the coordinator did not take its shards"));
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// Carries out `runs` runs of a shape.
    pub async fn round(
        &self,
        fleet: &Fleet,
        shape: Shape,
        runs: u32,
    ) -> Result<(Round, Vec<RunId>), Error> {
        let plan = shape.plan()?;
        let digest =
            store::plan::store(&self.rows, &self.project, &plan).await.map_err(database)?;
        let before = fleet.uses();
        let began_ms = now_ms();
        let ids = self.submit(digest, runs).await?;
        let ended_ms = self.ended(&ids).await?;
        let after = fleet.uses();
        let round = Round {
            steps: u64::from(runs) * u64::from(shape.steps()),
            elapsed: Duration::from_millis(ended_ms.saturating_sub(began_ms).max(1)),
            used: after.since(before),
        };
        Ok((round, ids))
    }

    async fn submit(&self, plan: Digest, runs: u32) -> Result<Vec<RunId>, Error> {
        let mut ids = Vec::new();
        let mut messages = Vec::new();
        for number in 0..runs {
            let run = RunId::generate();
            let shard = u16::try_from(number % u32::from(self.shards)).unwrap_or(0);
            let command = Command {
                id: CommandId::generate(),
                run,
                project: self.project.clone(),
                actor: "bench".to_owned(),
                answer_to: None,
                ask: CommandKind::Submit(Submission { plan, labels: BTreeMap::new(), rerun: None }),
            };
            let bytes = codec::encode(&InboxMessage::Command(Box::new(command)))
                .map_err(|source| Error::service("write a command", source))?;
            messages.push((run, subject::inbox_command(shard, run), bytes.into()));
            ids.push(run);
        }
        let results = self.publisher.publish_all(messages).await;
        match results.iter().find(|(_, result)| !result.is_there()) {
            Some((run, result)) => {
                Err(Error::service("submit", format!("the inbox does not take {run}: {result:?}")))
            }
            None => Ok(ids),
        }
    }

    /// Waits until the runs have ended, and says when the last one did, in milliseconds since 1970.
    async fn ended(&self, ids: &[RunId]) -> Result<u64, Error> {
        let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.uuid()).collect();
        let began = Instant::now();
        loop {
            let (ended, failed, last): (i64, i64, Option<i64>) = sqlx::query_as(
                "select count(*) filter (where ended_at_ms is not null),
                        count(*) filter (where ended_at_ms is not null and state <> 'succeeded'),
                        max(ended_at_ms)
                   from run where id = any ($1)",
            )
            .bind(&ids)
            .fetch_one(&self.rows)
            .await
            .map_err(|source| Error::service("read the runs", source))?;
            if failed > 0 {
                return Err(Error::service("measure", format!("{failed} runs did not succeed")));
            }
            if usize::try_from(ended).unwrap_or(0) == ids.len() {
                return Ok(u64::try_from(last.unwrap_or(0)).unwrap_or(0));
            }
            if began.elapsed() > PATIENCE {
                return Err(Error::service(
                    "measure",
                    format!("{ended} of {} runs ended in {PATIENCE:?}", ids.len()),
                ));
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// The times between one step of a chain and the next, in microseconds, sorted.
    pub async fn hops(&self, run: RunId) -> Result<Vec<u64>, Error> {
        let texts: Vec<String> =
            sqlx::query_scalar("select outputs::text from attempt where run = $1 order by node")
                .bind(run.uuid())
                .fetch_all(&self.rows)
                .await
                .map_err(|source| Error::service("read the attempts", source))?;
        let at = |text: &String| {
            serde_json::from_str::<serde_json::Value>(text).ok()?.get(AT_US)?.as_u64()
        };
        let times: Vec<u64> = texts.iter().filter_map(at).collect();
        let mut hops: Vec<u64> = times
            .windows(2)
            .filter_map(|pair| Some(pair.last()?.saturating_sub(*pair.first()?)))
            .collect();
        hops.sort_unstable();
        Ok(hops)
    }

    /// Whether Postgres flushes what it commits.
    pub async fn fsync(&self) -> Result<String, Error> {
        let show = "select 'fsync=' || current_setting('fsync') || ' synchronous_commit=' || current_setting('synchronous_commit')";
        sqlx::query_scalar(show)
            .fetch_one(&self.rows)
            .await
            .map_err(|source| Error::service("ask for settings", source))
    }
}

fn database(source: store::Error) -> Error {
    Error::service("use the database", source)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
