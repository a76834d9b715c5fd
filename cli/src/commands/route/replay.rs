//! `maestro route replay`: a decision made again from what it was made from, or by other policies.

use std::path::PathBuf;

use maestro_policies::reload::Policies;
use maestro_router::config::Config;
use maestro_router::decide::{Facts, choose};
use maestro_router::objective::Objectives;
use maestro_schemas::api::route::DecisionRecord;
use maestro_schemas::id::DecisionId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::route::Choice;
use maestro_server::routing;
use maestro_server::routing::judge::{Case, Judge};
use serde::Serialize;
use serde_json::value::Value;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends with exit code 1 where the same facts do not give the same decision, letter by letter, which would
be a fault of the router's; and with 5 where other policies deny what was decided.

Examples:
  maestro route replay dec_01h455vb4pex5vsknk084sn02q
  maestro route replay dec_01h455vb4pex5vsknk084sn02q --with-policies policies.next --json")]
pub struct Args {
    /// The decision's id, as the answer or the header x-maestro-decision-id has it.
    decision: DecisionId,
    /// Ask these policies instead of those that were asked: a directory with global/ and
    /// projects/NAME/.
    #[arg(long, value_name = "DIRECTORY")]
    with_policies: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Replayed {
    /// Whether it is what was decided, letter by letter.
    same: bool,
    /// What was decided.
    decided: Value,
    /// What is decided now; absent where nothing may serve.
    now: Option<Value>,
    /// Why nothing may serve.
    refused: Option<String>,
}

pub(crate) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let client = &target.client;
    let record = client.decision(args.decision).await?;
    let replayed = replay(&record, client.project(), args.with_policies.clone())?;
    output.show(&replayed, || text(&replayed))?;
    Ok(match (&args.with_policies, replayed.same, replayed.now.is_some()) {
        (None, false, _) => Exit::Error,
        (Some(_), _, false) => Exit::PolicyDenied,
        _ => Exit::Ok,
    })
}

fn replay(
    record: &DecisionRecord,
    project: &ProjectName,
    policies: Option<PathBuf>,
) -> Result<Replayed, Error> {
    let config =
        Config::read(&record.config, "the decision's configuration").map_err(Error::Router)?;
    let judge = policies.map(|root| Judge::new(Policies::open(root)));
    let made = Made { facts: &record.facts, objectives: &record.objectives };
    let case = Case { project, config: &config, request: &record.request };
    let again = again(case, made, judge.as_ref())?;
    let decided = serde_json::from_str(&record.choice).map_err(unreadable("choice"))?;
    Ok(match again {
        Ok(choice) => {
            let text = serde_json::to_string(&choice).map_err(unreadable("choice"))?;
            let now = serde_json::from_str(&text).map_err(unreadable("choice"))?;
            Replayed { same: text == record.choice, decided, now: Some(now), refused: None }
        }
        Err(error) => {
            Replayed { same: false, decided, now: None, refused: Some(error.to_string()) }
        }
    })
}

/// What a decision was made from beside its request, as its record has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made<'a> {
    /// What was known.
    pub(crate) facts: &'a Value,
    /// What was wanted.
    pub(crate) objectives: &'a Value,
}

/// Makes a decision again; by other policies where there is a judge. The inner error is why nothing may
/// serve.
pub(crate) fn again(
    case: Case<'_>,
    made: Made<'_>,
    judge: Option<&Judge>,
) -> Result<Result<Choice, routing::Error>, Error> {
    let mut facts: Facts =
        serde_json::from_value(made.facts.clone()).map_err(unreadable("facts"))?;
    let objectives: Objectives =
        serde_json::from_value(made.objectives.clone()).map_err(unreadable("objectives"))?;
    if let Some(Err(denied)) = judge.map(|judge| judge.judge(case, &mut facts)) {
        return Ok(Err(denied));
    }
    Ok(choose(case.config, &facts, case.request, &objectives).map_err(routing::Error::Failed))
}

pub(crate) fn unreadable(what: &'static str) -> impl FnOnce(serde_json::Error) -> Error {
    move |error| Error::service("read the decision", format!("{what}: {error}"))
}

fn text(replayed: &Replayed) -> String {
    let named = |choice: &Value| {
        let field = |name: &str| choice.get(name).and_then(Value::as_str).unwrap_or("-").to_owned();
        format!("{} at {} ({})", field("model"), field("provider"), field("deployment"))
    };
    let now = match (&replayed.now, &replayed.refused) {
        (Some(choice), _) => named(choice),
        (None, why) => why.clone().unwrap_or_default(),
    };
    let same = if replayed.same { "the same, letter by letter" } else { "not the same" };
    format!("decided  {}\nnow      {now}\n{same}\n", named(&replayed.decided))
}
