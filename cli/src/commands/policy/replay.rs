//! `maestro policy replay`: decisions made again by other policies.

use std::path::{Path, PathBuf};
use std::time::Duration;

use maestro_policies::reload::Policies;
use maestro_router::config::Config;
use maestro_schemas::api::route::{DecisionPage, KeptDecision};
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::Choice;
use maestro_server::routing::judge::{Case, Judge};
use serde::Serialize;

use crate::args::Global;
use crate::commands::route::replay::{Made, again, unreadable};
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::duration;
use crate::view::paint::Paint;
use crate::view::table::Table;
use crate::view::words::count;

/// The most decisions of a page, as the server has it.
const PAGE_MAX: u64 = 100;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Asks a bundle about the decisions of the project that the server has kept, the youngest first, and says
which of them it would have refused or sent elsewhere, and why. What was refused at the time is not
kept. Ends with exit code 5 where one would have been refused.

Examples:
  maestro policy replay --with-policies policies.next
  maestro policy replay --with-policies policies.next --since 2h --limit 5000 --json")]
pub struct Args {
    /// The policies: a directory with global/ and projects/NAME/.
    #[arg(long, value_name = "DIRECTORY")]
    with_policies: PathBuf,
    /// Decisions of the last while, as 90m or 24h.
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration::parse)]
    since: Duration,
    /// The most decisions.
    #[arg(long, default_value_t = 1_000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    limit: u64,
}

/// What the other policies make of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    /// It goes where it went.
    Allowed,
    /// It goes to another deployment.
    Elsewhere,
    /// It goes nowhere.
    Refused,
}

/// A decision, made again.
#[derive(Debug, Serialize)]
struct Replayed {
    decision: DecisionId,
    at_ms: u64,
    outcome: Outcome,
    /// The deployment that it went to.
    decided: String,
    /// The deployment that it would go to; absent where it would be refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<String>,
    /// What speaks against the deployment that it went to, or against all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<String>,
}

/// All of them.
#[derive(Debug, Serialize)]
struct Report {
    /// How many were asked about.
    decisions: usize,
    /// How many go where they went.
    allowed: usize,
    /// How many would go elsewhere.
    elsewhere: usize,
    /// How many would go nowhere.
    refused: usize,
    /// Whether there are more of the time that was asked for than the limit.
    more: bool,
    /// Those that would go elsewhere or nowhere.
    changed: Vec<Replayed>,
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let judge = open(&args.with_policies)?;
    let target = target::connect(global).await?;
    let client = &target.client;
    let ago = u64::try_from(args.since.as_millis()).unwrap_or(u64::MAX);
    let since_ms = duration::now_ms().saturating_sub(ago);
    let (mut report, mut cursor, mut left) = (Report::new(), None, args.limit);
    loop {
        let page = client.decisions(since_ms, left.min(PAGE_MAX), cursor.as_deref()).await?;
        let found = page.decisions.len() as u64;
        report.add(client.project(), &page, &judge)?;
        left = left.saturating_sub(found);
        cursor = page.next;
        if cursor.is_none() || left == 0 || found == 0 {
            break;
        }
    }
    report.more = cursor.is_some();
    output.show(&report, || text(&report, output.paint()))?;
    Ok(if report.refused > 0 { Exit::PolicyDenied } else { Exit::Ok })
}

/// A bundle with a fault would deny everything, which says nothing of what it is meant to say.
fn open(directory: &Path) -> Result<Judge, Error> {
    if !directory.is_dir() {
        let what = format!("the directory {}", directory.display());
        return Err(Error::NotFound { what, hint: None });
    }
    let policies = Policies::open(directory);
    let faults = policies.status().faults;
    if faults.is_empty() {
        return Ok(Judge::new(policies));
    }
    Err(Error::Policies { directory: directory.to_owned(), faults })
}

impl Report {
    fn new() -> Self {
        let changed = Vec::new();
        Self { decisions: 0, allowed: 0, elsewhere: 0, refused: 0, more: false, changed }
    }

    fn add(
        &mut self,
        project: &ProjectName,
        page: &DecisionPage,
        judge: &Judge,
    ) -> Result<(), Error> {
        if page.decisions.is_empty() {
            return Ok(());
        }
        let config =
            Config::read(&page.config, "the decisions' configuration").map_err(Error::Router)?;
        for decision in &page.decisions {
            let case = Case { project, config: &config, request: &decision.request };
            self.count(replay(case, decision, judge)?);
        }
        Ok(())
    }

    fn count(&mut self, replayed: Replayed) {
        self.decisions += 1;
        match replayed.outcome {
            Outcome::Allowed => self.allowed += 1,
            Outcome::Elsewhere => self.elsewhere += 1,
            Outcome::Refused => self.refused += 1,
        }
        if replayed.outcome != Outcome::Allowed {
            self.changed.push(replayed);
        }
    }
}

fn replay(case: Case<'_>, kept: &KeptDecision, judge: &Judge) -> Result<Replayed, Error> {
    let made = Made { facts: &kept.facts, objectives: &kept.objectives };
    let decided: Choice = serde_json::from_str(&kept.choice).map_err(unreadable("choice"))?;
    let decided = decided.deployment;
    let (outcome, now, reasons) = match again(case, made, Some(judge))? {
        Ok(choice) if choice.deployment == decided => {
            (Outcome::Allowed, Some(choice.deployment), Vec::new())
        }
        Ok(choice) => {
            let excluded = choice.rationale.excluded.iter();
            let against = excluded.filter(|one| one.deployment == decided);
            let reasons = against.map(|one| format!("{} ({})", one.message, one.rule)).collect();
            (Outcome::Elsewhere, Some(choice.deployment), reasons)
        }
        Err(refused) => (Outcome::Refused, None, vec![refused.to_string()]),
    };
    let (decision, at_ms) = (kept.decision_id, kept.at_ms);
    Ok(Replayed { decision, at_ms, outcome, decided, now, reasons })
}

fn text(report: &Report, paint: Paint) -> String {
    let mut table = Table::new(&["decision", "outcome", "decided", "now", "why"]);
    for one in &report.changed {
        let outcome = if one.outcome == Outcome::Refused { "refused" } else { "elsewhere" };
        let now = one.now.clone().unwrap_or_else(|| "-".to_owned());
        let why = one.reasons.join("; ");
        table.row([one.decision.to_string(), outcome.to_owned(), one.decided.clone(), now, why]);
    }
    let asked = count(report.decisions as u64, "decision");
    let Report { refused, elsewhere, allowed, .. } = report;
    let mut sum = format!(
        "{asked}: {refused} refused, {elsewhere} elsewhere, {allowed} allowed as they were"
    );
    if report.more {
        sum.push_str("; there are more, see --limit");
    }
    let sum = if *refused > 0 { paint.bad(&sum) } else { paint.good(&sum) };
    if report.changed.is_empty() { sum } else { format!("{}\n{sum}", table.render("")) }
}
