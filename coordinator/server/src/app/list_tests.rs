//! Lists what the tests of a run said.
//!
//! Reports lie in object storage and are named by the attempts that made them. Whoever looks first
//! makes rows of them; two who look at once make the same.

use std::collections::BTreeSet;

use maestro_engine::plan::CheckedPlan;
use maestro_schemas::api::tested::{CaseView, Durations, StepTests, TestPage};
use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::step::StepAddress;
use maestro_schemas::tested::{
    CASES_MAX, MESSAGE_BYTES_MAX, NAME_BYTES_MAX, TESTS_BYTES_MAX, TESTS_MEDIA_TYPE, TestReport,
};

use super::act;
use super::list_steps::step_name;
use super::{App, Error};
use crate::store::load::Taken;
use crate::store::tested::{self, Kept, Named, Owner, Place, REPORTS_MAX, Told};
use crate::store::{self, durations, load, step};

/// The cases of a page.
pub const PAGE: u16 = 1_000;

/// The most warnings of a report.
const WARNINGS_MAX: usize = 20;

/// What is said in a report's place where there is none any more.
const LOST: &str = "MAE-7123: its test report is lost or cannot be read";

impl App {
    /// A page of cases, of those that failed only where `only_bad`; `cursor` is what the page before gave.
    pub async fn list_tests(
        &self,
        project: &ProjectName,
        run: RunId,
        (only_bad, cursor): (bool, Option<&str>),
    ) -> Result<TestPage, Error> {
        let after = cursor.map(parse).transpose()?;
        let (_, plan) = self.head_and_plan(project, run).await?;
        let steps = match after {
            Some(_) => Vec::new(),
            None => self.steps_with_tests(project, run, &plan).await?,
        };
        let mut rows = tested::cases(&self.pool, run, after, (only_bad, PAGE + 1)).await?;
        let is_last = rows.len() <= usize::from(PAGE);
        rows.truncate(usize::from(PAGE));
        let next = rows
            .last()
            .filter(|_| !is_last)
            .map(|(place, ordinal, _)| format!("{}.{}.{ordinal}", place.step, place.number));
        let cases = rows.into_iter().map(|(place, _, case)| CaseView {
            step: name(&plan, place),
            attempt: place.number,
            case,
        });
        Ok(TestPage { steps, cases: cases.collect(), next })
    }

    /// How long the tests of a pipeline's steps took in its last runs.
    pub async fn test_durations(
        &self,
        project: &ProjectName,
        pipeline: &str,
    ) -> Result<Durations, Error> {
        let mut seen = BTreeSet::new();
        // Whose reports turn out to be lost gives its place to an older run, so it is asked again.
        loop {
            let runs = durations::last_runs(&self.pool, project, pipeline).await?;
            let new: Vec<RunId> = runs.into_iter().filter(|run| seen.insert(*run)).collect();
            if new.is_empty() {
                break;
            }
            for run in new {
                // It is only a hint: what cannot be read any more is not told.
                if let Err(error) = self.keep_tests_of(project, run).await {
                    tracing::warn!(%run, %error, "a run's tests are not told");
                }
            }
        }
        Ok(Durations { steps: durations::durations(&self.pool, project, pipeline).await? })
    }

    async fn keep_tests_of(&self, project: &ProjectName, run: RunId) -> Result<(), Error> {
        let (_, plan) = self.head_and_plan(project, run).await?;
        self.keep_tests(project, run, &plan).await.map(drop)
    }

    async fn steps_with_tests(
        &self,
        project: &ProjectName,
        run: RunId,
        plan: &CheckedPlan,
    ) -> Result<Vec<StepTests>, Error> {
        let lost = self.keep_tests(project, run, plan).await?;
        let kept = tested::last_of_each(tested::kept(&self.pool, run).await?);
        let told = kept.into_iter().map(|Kept { place, totals, warnings }| StepTests {
            step: name(plan, place),
            attempt: place.number,
            totals,
            warnings,
        });
        Ok(told.chain(lost).collect())
    }

    /// Makes rows of the reports of a run that are none yet, and tells of those that cannot be read now.
    /// Of one that is lost the row says so.
    pub(super) async fn keep_tests(
        &self,
        project: &ProjectName,
        run: RunId,
        plan: &CheckedPlan,
    ) -> Result<Vec<StepTests>, Error> {
        let named = self.named_tests(run).await?;
        if named.is_empty() {
            return Ok(Vec::new());
        }
        let kept = tested::kept(&self.pool, run).await?;
        let kept: BTreeSet<Place> = kept.into_iter().map(|kept| kept.place).collect();
        let mut unread = Vec::new();
        let mut steps = BTreeSet::new();
        for one in named.iter().filter(|one| !kept.contains(&one.place)) {
            let Some(node) = plan.nodes.get(one.place.step.node as usize) else { continue };
            let owner = Owner { project, pipeline: &plan.name, run, step: node.id.as_str() };
            match self.report(one).await {
                Some(told) => {
                    let mut transaction = self.begin().await?;
                    tested::keep(&mut transaction, owner, one, &told).await?;
                    act::end(transaction).await?;
                    steps.insert(owner.step);
                }
                None => unread.push(StepTests {
                    step: name(plan, one.place),
                    attempt: one.place.number,
                    totals: Default::default(),
                    warnings: vec![LOST.into()],
                }),
            }
        }
        for step in steps {
            let owner = Owner { project, pipeline: &plan.name, run, step };
            tested::let_go(&self.pool, owner).await?;
        }
        Ok(unread)
    }

    /// The reports that a run names, those of items that it took over from runs before it included.
    async fn named_tests(&self, run: RunId) -> Result<Vec<Named>, Error> {
        let mut named = tested::named(&self.pool, run).await?;
        let fanouts = step::taken_over(&self.pool, run).await?;
        if fanouts.is_empty() {
            return Ok(named);
        }
        let begin = self.pool.acquire().await;
        let mut conn = begin.map_err(store::Error::doing("look at a run"))?;
        let most = usize::try_from(REPORTS_MAX).unwrap_or_default();
        for (node, ended_at_ms) in fanouts {
            if named.len() >= most {
                break;
            }
            for Taken { item, artifacts, .. } in load::items_taken(&mut conn, run, node).await? {
                let place = Place { step: StepAddress::item(node, item), number: 0 };
                let report = artifacts.into_iter().find(|one| one.media_type == TESTS_MEDIA_TYPE);
                named.extend(report.map(|report| Named { place, ended_at_ms, report }));
            }
        }
        named.truncate(most);
        Ok(named)
    }

    /// A report within limits; absent where it cannot be read now, and may be later.
    async fn report(&self, named: &Named) -> Option<Told> {
        let read = match self.objects.get(named.report.digest, TESTS_BYTES_MAX).await {
            Err(error) if error.is_transient() => return None,
            Err(_) => None,
            Ok(bytes) => serde_json::from_slice(&bytes).ok(),
        };
        let lost = || TestReport { warnings: vec![LOST.into()], ..TestReport::default() };
        Some(match read {
            Some(report) => Told::of(within_limits(report)),
            None => Told { report: lost(), is_lost: true },
        })
    }
}

/// A report comes from a worker: nothing of it is longer than rows are meant to be.
fn within_limits(mut report: TestReport) -> TestReport {
    report.cases.truncate(CASES_MAX);
    report.warnings.truncate(WARNINGS_MAX);
    for case in &mut report.cases {
        let names = [&mut case.suite, &mut case.class, &mut case.name];
        for text in names.into_iter().chain(case.file.as_mut()) {
            cut(text, NAME_BYTES_MAX);
        }
        if let Some(message) = case.message.as_mut() {
            cut(message, MESSAGE_BYTES_MAX);
        }
    }
    report.warnings.iter_mut().for_each(|warning| cut(warning, MESSAGE_BYTES_MAX));
    report
}

fn cut(text: &mut String, most: usize) {
    text.truncate(text.floor_char_boundary(most));
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

fn name(plan: &CheckedPlan, place: Place) -> String {
    step_name(plan, place.step).unwrap_or_else(|| place.step.to_string())
}

fn parse(cursor: &str) -> Result<(Place, u32), Error> {
    let mut parts = cursor.split('.');
    let place = (|| {
        let step = parts.next()?.parse().ok()?;
        let number = parts.next()?.parse().ok()?;
        Some((Place { step, number }, parts.next()?.parse().ok()?))
    })();
    place.ok_or_else(|| Error::invalid("cursor", "expected what the page before gave as `next`"))
}
