//! Learns what is told over HTTP of calls and their answers, and tells it to every other process that
//! serves the API.

use std::collections::BTreeMap;

use maestro_schemas::api::route::{
    Learnt, OUTCOMES_MAX, Outcomes, SCORES_MAX, Score, Scored, Scores,
};
use maestro_schemas::call::NAME_BYTES_MAX;
use maestro_schemas::id::DecisionId;

use super::act::{self, Done};
use super::{App, Asker, Error};
use crate::routing;
use crate::store::route_decision::{self, Served};

/// Why nothing was learnt.
#[derive(Debug, thiserror::Error)]
pub enum Unlearnt {
    /// What was told cannot be.
    #[error(transparent)]
    Told(#[from] Error),
    /// There is no router.
    #[error(transparent)]
    Routing(#[from] routing::Error),
}

impl App {
    /// Learns what became of calls.
    ///
    /// # Errors
    /// Where there are too many, or there is no router; then nothing is learnt.
    pub fn learn(
        &self,
        Outcomes { outcomes, unmade }: Outcomes,
        now_ms: u64,
    ) -> Result<Learnt, Unlearnt> {
        at_most("outcomes", outcomes.len(), OUTCOMES_MAX)?;
        at_most("unmade", unmade.len(), OUTCOMES_MAX)?;
        let learnt = self.routing.learn(outcomes.clone(), now_ms)?;
        self.routing.unmade(&unmade);
        self.routing.share(&outcomes, &[]);
        self.routing.share_unmade(&unmade);
        Ok(Learnt { learnt })
    }

    /// Learns how good answers were.
    ///
    /// # Errors
    /// Where one cannot be, or follows a decision that is not the project's; then none is learnt.
    pub async fn score(&self, asker: &Asker, told: Scores) -> Result<Learnt, Unlearnt> {
        let done = Done::to("route.score", format!("{} answers", told.scores.len())).asked(&told);
        let Scores { scores } = told;
        at_most("scores", scores.len(), SCORES_MAX)?;
        scores.iter().enumerate().try_for_each(|(place, score)| check(place, score))?;
        let decisions: Vec<DecisionId> = scores.iter().filter_map(|one| one.decision_id).collect();
        let served = route_decision::served(&self.pool, &asker.project, &decisions)
            .await
            .map_err(Error::Store)?;
        let scored = scores.into_iter().map(|score| scored(score, &served));
        let scored = scored.collect::<Result<Vec<_>, _>>()?;
        let learnt = self.routing.score(&scored)?;
        let mut transaction = self.begin().await?;
        act::keep(&mut transaction, asker, done).await.map_err(Error::Store)?;
        act::end(transaction).await?;
        self.routing.share(&[], &scored);
        Ok(Learnt { learnt })
    }
}

fn at_most(field: &'static str, found: usize, most: usize) -> Result<(), Error> {
    if found <= most {
        return Ok(());
    }
    Err(Error::invalid(field, format!("found {found}; expected at most {most}")))
}

fn check(place: usize, score: &Score) -> Result<(), Error> {
    let wrong = |problem: &str| Err(Error::invalid("scores", format!("entry {place}: {problem}")));
    if score.deployment.is_some() == score.decision_id.is_some() {
        return wrong("expected either `deployment` or `decision_id`");
    }
    if !(0.0..=1.0).contains(&score.score) {
        return wrong("expected `score` from 0 to 1");
    }
    let is_name = |name: &String| {
        (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control)
    };
    if [&score.deployment, &score.topic].into_iter().flatten().all(is_name) {
        return Ok(());
    }
    wrong("expected names of 1 to 128 bytes without control characters")
}

/// A score with its deployment; of a decision, the one that was chosen.
fn scored(score: Score, served: &BTreeMap<DecisionId, Served>) -> Result<Scored, Error> {
    let Score { deployment, decision_id, topic, score } = score;
    let found = decision_id.and_then(|id| served.get(&id));
    let named = deployment.or_else(|| found.map(|served| served.deployment.clone()));
    let Some(deployment) = named else {
        let name = decision_id.map(|id| id.to_string()).unwrap_or_default();
        return Err(Error::NotFound { what: "decision", name });
    };
    let topic = topic.or_else(|| found.and_then(|served| served.topic.clone()));
    Ok(Scored { deployment, topic, score })
}
