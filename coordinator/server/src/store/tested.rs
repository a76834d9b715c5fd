//! What tests said, by the attempt that ran them. Rows are made from objects, by whoever looks first.

use std::collections::BTreeSet;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::StepAddress;
use maestro_schemas::tested::{TESTS_MEDIA_TYPE, TestCase, TestOutcome, TestReport, TestTotals};
use sqlx::{FromRow, PgExecutor, Postgres, Transaction};

use super::number::{bigint_at_most, int_at_most, unsigned};
use super::{Error, json};

/// The most attempts of a run whose reports are looked at.
pub const REPORTS_MAX: i32 = 10_000;

/// Of how many runs the reports of one step are kept as rows, of those that executed it and of those
/// that took it over each, and so of those whose reports are lost; of older ones the objects stay.
pub const RUNS_KEPT: i64 = 50;

/// An attempt, or with number 0 a step that took over a known result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The step.
    pub step: StepAddress,
    /// The attempt's number.
    pub number: u32,
}

/// An attempt that names a report.
#[derive(Debug, Clone)]
pub struct Named {
    /// Which.
    pub place: Place,
    /// When it ended, by the shard's clock.
    pub ended_at_ms: u64,
    /// The report.
    pub report: Artifact,
}

/// A report as it was read.
#[derive(Debug, Clone)]
pub struct Told {
    /// What it says.
    pub report: TestReport,
    /// Whether it is lost, so that this only says so.
    pub is_lost: bool,
}

impl Told {
    /// What was read.
    pub const fn of(report: TestReport) -> Self {
        Self { report, is_lost: false }
    }
}

/// Whose report rows are made of.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    /// The tenant.
    pub project: &'a ProjectName,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The run.
    pub run: RunId,
    /// The step's id in the plan.
    pub step: &'a str,
}

/// A report as its row says, without its cases.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Whose it is.
    pub place: Place,
    /// How many ended how.
    pub totals: TestTotals,
    /// What could not be read.
    pub warnings: Vec<String>,
}

const NAMED: &str = "
  select node, item, visit, number, ended_at_ms, artifacts::text from attempt
   where run = $1 and artifacts::text like '%' || $2 || '%'
  union all
  select node, item, visit, 0, ended_at_ms, artifacts::text from step
   where run = $1 and artifacts::text like '%' || $2 || '%'
  order by node, item, visit, number limit $3";

const KEPT: &str = "
  select node, item, visit, number, passed, failed, errors, skipped, left_out, duration_ms,
         warnings::text as warnings
    from test_report where run = $1 order by node, item, visit, number limit $2";

const CASES: &str = "
  select c.node, c.item, c.visit, c.number, c.ordinal, c.suite, c.class, c.name, c.file, c.outcome,
         c.duration_us, c.message
    from test_case c
   where c.run = $1 and (c.node, c.item, c.visit, c.number, c.ordinal) > ($2, $3, $4, $5, $6)
     and (not $7 or c.outcome in ('failed', 'error'))
     and not exists (select from test_report r
                      where r.run = c.run and r.node = c.node and r.item = c.item
                        and (r.visit, r.number) > (c.visit, c.number))
   order by c.node, c.item, c.visit, c.number, c.ordinal limit $8";

const INSERT_REPORT: &str = "
  insert into test_report (run, node, item, visit, number, project, pipeline, step, digest, passed,
                           failed, errors, skipped, left_out, duration_ms, warnings, ended_at_ms, lost)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16::json, $17, $18)
  on conflict do nothing";

const INSERT_CASES: &str = "
  insert into test_case (run, node, item, visit, number, ordinal, suite, class, name, file, outcome,
                         duration_us, message)
  select $1, $2, $3, $4, $5, ordinal - 1, suite, class, name, file, outcome, duration_us, message
    from unnest($6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::bigint[], $12::text[])
      with ordinality as x (suite, class, name, file, outcome, duration_us, message, ordinal)";

const LET_GO: &str = "
  with told as (
    select run, row_number() over (partition by bool_or(number > 0), bool_and(lost)
                                   order by max(ended_at_ms) desc, run desc) as place
      from test_report where project = $1 and pipeline = $2 and step = $3 group by run)
  delete from test_report r using told
   where r.run = told.run and told.place > $5 and r.run <> $4
     and r.project = $1 and r.pipeline = $2 and r.step = $3";

/// The attempts and steps of a run that name a report, in the plan's order.
pub async fn named(db: impl PgExecutor<'_>, run: RunId) -> Result<Vec<Named>, Error> {
    let rows: Vec<(i32, i32, i32, i32, i64, String)> = sqlx::query_as(NAMED)
        .bind(run.uuid())
        .bind(TESTS_MEDIA_TYPE)
        .bind(REPORTS_MAX)
        .fetch_all(db)
        .await
        .map_err(Error::doing("look for test reports"))?;
    let mut named = Vec::new();
    for (node, item, visit, number, ended_at_ms, artifacts) in rows {
        let artifacts: Vec<Artifact> = json::value("artifacts", &artifacts)?;
        let report = artifacts.into_iter().find(|one| one.media_type == TESTS_MEDIA_TYPE);
        if let Some(report) = report {
            let place = place(node, item, visit, number)?;
            let ended_at_ms = unsigned("ended_at_ms", ended_at_ms)?;
            named.push(Named { place, ended_at_ms, report });
        }
    }
    Ok(named)
}

/// The reports of a run that are rows already.
pub async fn kept(db: impl PgExecutor<'_>, run: RunId) -> Result<Vec<Kept>, Error> {
    let rows: Vec<ReportRecord> = sqlx::query_as(KEPT)
        .bind(run.uuid())
        .bind(REPORTS_MAX)
        .fetch_all(db)
        .await
        .map_err(Error::doing("read test reports"))?;
    rows.into_iter().map(ReportRecord::kept).collect()
}

/// Cases of a run's last reports after a place, at most `count_max`.
pub async fn cases(
    db: impl PgExecutor<'_>,
    run: RunId,
    after: Option<(Place, u32)>,
    (only_bad, count_max): (bool, u16),
) -> Result<Vec<(Place, u32, TestCase)>, Error> {
    let after = after.map(|(place, ordinal)| {
        let StepAddress { node, item, visit } = place.step;
        (
            int_at_most(node),
            int_at_most(item),
            int_at_most(visit),
            int_at_most(place.number),
            int_at_most(ordinal),
        )
    });
    let (node, item, visit, number, ordinal) = after.unwrap_or((-1, 0, 0, 0, 0));
    let rows: Vec<CaseRecord> = sqlx::query_as(CASES)
        .bind(run.uuid())
        .bind(node)
        .bind(item)
        .bind(visit)
        .bind(number)
        .bind(ordinal)
        .bind(only_bad)
        .bind(i32::from(count_max))
        .fetch_all(db)
        .await
        .map_err(Error::doing("read test cases"))?;
    rows.into_iter().map(CaseRecord::case).collect()
}

/// Makes rows of a report; those that are there stay.
pub async fn keep(
    transaction: &mut Transaction<'_, Postgres>,
    owner: Owner<'_>,
    named: &Named,
    told: &Told,
) -> Result<(), Error> {
    if insert_report(transaction, owner, named, told).await? > 0 {
        insert_cases(transaction, owner.run, named.place, &told.report.cases).await?;
    }
    Ok(())
}

/// Lets go the rows of a step's oldest runs, but for the owner's.
pub async fn let_go(db: impl PgExecutor<'_>, owner: Owner<'_>) -> Result<(), Error> {
    sqlx::query(LET_GO)
        .bind(owner.project.as_str())
        .bind(owner.pipeline)
        .bind(owner.step)
        .bind(owner.run.uuid())
        .bind(RUNS_KEPT)
        .execute(db)
        .await
        .map_err(Error::doing("let old test reports go"))?;
    Ok(())
}

async fn insert_report(
    transaction: &mut Transaction<'_, Postgres>,
    owner: Owner<'_>,
    named: &Named,
    Told { report, is_lost }: &Told,
) -> Result<u64, Error> {
    let StepAddress { node, item, visit } = named.place.step;
    let totals = report.totals;
    let warnings = json::text(&report.warnings)
        .map_err(|error| Error::unreadable("test_report.warnings", error))?;
    let done = sqlx::query(INSERT_REPORT)
        .bind(owner.run.uuid())
        .bind(int_at_most(node))
        .bind(int_at_most(item))
        .bind(int_at_most(visit))
        .bind(int_at_most(named.place.number))
        .bind(owner.project.as_str())
        .bind(owner.pipeline)
        .bind(owner.step)
        .bind(named.report.digest.as_bytes().as_slice())
        .bind(int_at_most(totals.passed))
        .bind(int_at_most(totals.failed))
        .bind(int_at_most(totals.errors))
        .bind(int_at_most(totals.skipped))
        .bind(int_at_most(totals.left_out))
        .bind(bigint_at_most(totals.duration_ms))
        .bind(warnings)
        .bind(bigint_at_most(named.ended_at_ms))
        .bind(is_lost)
        .execute(&mut **transaction)
        .await
        .map_err(Error::doing("keep a test report"))?;
    Ok(done.rows_affected())
}

async fn insert_cases(
    transaction: &mut Transaction<'_, Postgres>,
    run: RunId,
    place: Place,
    cases: &[TestCase],
) -> Result<(), Error> {
    let StepAddress { node, item, visit } = place.step;
    fn each<T>(cases: &[TestCase], of: impl Fn(&TestCase) -> T) -> Vec<T> {
        cases.iter().map(of).collect()
    }
    sqlx::query(INSERT_CASES)
        .bind(run.uuid())
        .bind(int_at_most(node))
        .bind(int_at_most(item))
        .bind(int_at_most(visit))
        .bind(int_at_most(place.number))
        .bind(each(cases, |case| case.suite.clone()))
        .bind(each(cases, |case| case.class.clone()))
        .bind(each(cases, |case| case.name.clone()))
        .bind(each(cases, |case| case.file.clone()))
        .bind(each(cases, |case| case.outcome.as_str()))
        .bind(each(cases, |case| case.duration_us.map(bigint_at_most)))
        .bind(each(cases, |case| case.message.clone()))
        .execute(&mut **transaction)
        .await
        .map_err(Error::doing("keep test cases"))?;
    Ok(())
}

/// The last report of each step, of all of a run's.
pub fn last_of_each(kept: Vec<Kept>) -> Vec<Kept> {
    let mut seen = BTreeSet::new();
    let mut last: Vec<Kept> = kept
        .into_iter()
        .rev()
        .filter(|kept| seen.insert((kept.place.step.node, kept.place.step.item)))
        .collect();
    last.reverse();
    last
}

#[derive(FromRow)]
struct ReportRecord {
    node: i32,
    item: i32,
    visit: i32,
    number: i32,
    passed: i32,
    failed: i32,
    errors: i32,
    skipped: i32,
    left_out: i32,
    duration_ms: i64,
    warnings: String,
}

impl ReportRecord {
    fn kept(self) -> Result<Kept, Error> {
        Ok(Kept {
            place: place(self.node, self.item, self.visit, self.number)?,
            totals: TestTotals {
                passed: unsigned("passed", self.passed)?,
                failed: unsigned("failed", self.failed)?,
                errors: unsigned("errors", self.errors)?,
                skipped: unsigned("skipped", self.skipped)?,
                left_out: unsigned("left_out", self.left_out)?,
                duration_ms: unsigned("duration_ms", self.duration_ms)?,
            },
            warnings: json::value("test_report.warnings", &self.warnings)?,
        })
    }
}

#[derive(FromRow)]
struct CaseRecord {
    node: i32,
    item: i32,
    visit: i32,
    number: i32,
    ordinal: i32,
    suite: String,
    class: String,
    name: String,
    file: Option<String>,
    outcome: String,
    duration_us: Option<i64>,
    message: Option<String>,
}

impl CaseRecord {
    fn case(self) -> Result<(Place, u32, TestCase), Error> {
        let outcome = TestOutcome::parse(&self.outcome);
        let case = TestCase {
            suite: self.suite,
            class: self.class,
            name: self.name,
            file: self.file,
            outcome: outcome.ok_or_else(|| Error::unreadable("outcome", &self.outcome))?,
            duration_us: self.duration_us.map(|us| unsigned("duration_us", us)).transpose()?,
            message: self.message,
        };
        let place = place(self.node, self.item, self.visit, self.number)?;
        Ok((place, unsigned("ordinal", self.ordinal)?, case))
    }
}

fn place(node: i32, item: i32, visit: i32, number: i32) -> Result<Place, Error> {
    Ok(Place {
        step: StepAddress {
            node: unsigned("node", node)?,
            item: unsigned("item", item)?,
            visit: unsigned("visit", visit)?,
        },
        number: unsigned("number", number)?,
    })
}
