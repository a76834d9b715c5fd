//! `maestro route score`: how good an answer was.

use maestro_schemas::api::route::{Score, Scores};
use maestro_schemas::id::DecisionId;

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Scores of a deployment, and of a topic apart, are what the objective quality compares. Every process of
the server learns them, and keeps them in memory only. It takes the role admin, since deployments are
shared by all projects. Ends with exit code 1 where the deployment is not configured.

Examples:
  maestro route score --decision dec_01h455vb4pex5vsknk084sn02q --score 0.8
  maestro route score --deployment own-5e8c6a11 --score 0.4 --topic law")]
pub struct Args {
    /// The decision that the call followed, whose deployment and topic are meant.
    #[arg(long, value_name = "DECISION", required_unless_present = "deployment")]
    decision: Option<DecisionId>,
    /// The deployment that answered.
    #[arg(long, value_name = "ID", conflicts_with = "decision")]
    deployment: Option<String>,
    /// How good the answer was, from 0 to 1.
    #[arg(long, value_name = "NUMBER", value_parser = score)]
    score: f64,
    /// What the prompt was about, in the words of the evaluations.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
}

fn score(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "expected a number from 0 to 1, as 0.8".to_owned())
}

pub(super) async fn perform(args: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let Args { decision, deployment, score, topic } = args;
    let scores = vec![Score { deployment, decision_id: decision, topic, score }];
    let target = target::connect(global).await?;
    let learnt = target.client.score(&Scores { scores }).await?;
    output.show(&learnt, || match learnt.learnt {
        0 => "not learnt: no deployment of that name is configured".to_owned(),
        _ => format!("learnt: {score}"),
    })?;
    Ok(if learnt.learnt == 0 { Exit::Error } else { Exit::Ok })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_is_a_number_from_0_to_1() {
        assert_eq!(score("0.8"), Ok(0.8));
        for text in ["1.1", "-0.1", "NaN", "good"] {
            assert!(score(text).is_err(), "{text} was taken");
        }
    }
}
