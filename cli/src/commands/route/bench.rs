//! `maestro route bench`: how long a server takes to decide.

use std::sync::Arc;
use std::time::{Duration, Instant};

use maestro_schemas::route::RouteRequest;
use serde::Serialize;
use tokio::task::JoinSet;

use crate::args::Global;
use crate::bench::figures::quantile;
use crate::client::Client;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Asks POST /route/choose, one question after the other, and then as many at once as --at-once says. Each
is kept like any decision. Figures count from a release build on a machine that does nothing else.

Examples:
  maestro route bench --model gpt-4o
  maestro route bench --model gpt-4o --questions 20000 --at-once 64 --json")]
pub struct Args {
    /// The model that is asked for.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// How many questions of each kind.
    #[arg(long, default_value_t = 2_000, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(10..=1_000_000))]
    questions: u32,
    /// How many are asked at once in the second part.
    #[arg(long, default_value_t = 32, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    at_once: u32,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    /// From a question to its answer, one after the other, in milliseconds.
    ms_p50: Option<f64>,
    /// The same, of which one in a hundred is longer.
    ms_p99: Option<f64>,
    /// With several at once.
    decisions_per_second: f64,
    /// How many at once.
    at_once: u32,
    /// How many of each kind.
    questions: u32,
    /// How many deployments the last decision weighed or excluded.
    candidates: usize,
    /// Whether policies were asked.
    policies: bool,
}

pub(crate) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let target = target::connect(global).await?;
    let client = Arc::new(target.client.clone());
    let request = Arc::new(RouteRequest {
        model: args.model.clone(),
        messages: vec![serde_json::json!({ "role": "user", "content": "Name a prime above 100." })],
        ..RouteRequest::default()
    });
    output.talk("one after the other");
    let mut took = Vec::new();
    let mut last = None;
    for _ in 0..args.questions {
        let begun = Instant::now();
        last = Some(client.choose(&request).await?);
        took.push(micros(begun.elapsed()));
    }
    took.sort_unstable();
    output.talk(&format!("{} at once", args.at_once));
    let decisions_per_second = rate(&client, &request, &args).await?;
    let rationale = last.map(|decision| decision.choice.rationale);
    let figures = Figures {
        ms_p50: quantile(&took, 0.5),
        ms_p99: quantile(&took, 0.99),
        decisions_per_second,
        at_once: args.at_once,
        questions: args.questions,
        candidates: rationale.as_ref().map_or(0, |one| one.scores.len() + one.excluded.len()),
        policies: rationale.is_some_and(|one| one.policy_digest.is_some()),
    };
    output.show(&figures, || text(&figures))?;
    Ok(Exit::Ok)
}

async fn rate(
    client: &Arc<Client>,
    request: &Arc<RouteRequest>,
    args: &Args,
) -> Result<f64, Error> {
    let each = args.questions.div_ceil(args.at_once);
    let begun = Instant::now();
    let mut asking = JoinSet::new();
    for _ in 0..args.at_once {
        let (client, request) = (client.clone(), request.clone());
        asking.spawn(async move {
            for _ in 0..each {
                client.choose(&request).await?;
            }
            Ok::<(), crate::client::Error>(())
        });
    }
    while let Some(asked) = asking.join_next().await {
        asked.map_err(|source| Error::service("ask", source))??;
    }
    Ok(f64::from(each * args.at_once) / begun.elapsed().as_secs_f64())
}

fn micros(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

fn text(figures: &Figures) -> String {
    let ms =
        |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.2} ms"));
    format!(
        "a decision       p50 {}, p99 {}   ({} candidates, policies {})\n\
         per second       {:.0}   ({} at once)\n",
        ms(figures.ms_p50),
        ms(figures.ms_p99),
        figures.candidates,
        if figures.policies { "asked" } else { "off" },
        figures.decisions_per_second,
        figures.at_once,
    )
}
