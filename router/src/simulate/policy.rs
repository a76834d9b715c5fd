//! The decision for one question: the weak model where the loss that must be expected is worth the
//! dollars that it saves.

use serde::Serialize;

use super::belief::Belief;
use super::outcome::Outcome;
use super::price::Prices;

/// Standard deviations that are added to a believed loss: what little is known of costs more.
const CAUTION: f64 = 0.5;

/// Which model a question goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Model {
    /// The cheap one.
    Weak,
    /// The dear one.
    Strong,
}

/// What decides. It looks at a question's topic and length, never at its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// What is believed of topics.
    pub belief: Belief,
    /// What a question costs.
    pub prices: Prices,
    /// The most loss, in correct answers, that a saved dollar may cost; nothing sends all to the
    /// strong model.
    pub threshold: Option<f64>,
}

impl Policy {
    /// Decides.
    pub fn choose(&self, question: &Outcome) -> Model {
        let worth = loss_per_dollar(&self.belief, &self.prices, question);
        match (worth, self.threshold) {
            (Some(worth), Some(threshold)) if worth <= threshold => Model::Weak,
            _ => Model::Strong,
        }
    }
}

/// The loss to reckon with per dollar that the weak model saves; nothing where it saves nothing, or
/// where nothing is known of the topic.
pub fn loss_per_dollar(belief: &Belief, prices: &Prices, question: &Outcome) -> Option<f64> {
    let saving = prices.cost(question).saving();
    let loss = belief.of(&question.topic)?;
    (saving > 0.0).then(|| (loss.mean + CAUTION * loss.deviation) / saving)
}

/// For each share of the costs of these rows, in rising order, the threshold at which so much is
/// saved. It ends with the last share that can be saved.
pub fn thresholds(belief: &Belief, prices: &Prices, rows: &[&Outcome], shares: &[f64]) -> Vec<f64> {
    let total: f64 = rows.iter().map(|row| prices.cost(row).strong).sum();
    let mut worth: Vec<(f64, f64)> = rows
        .iter()
        .filter_map(|row| Some((loss_per_dollar(belief, prices, row)?, prices.cost(row).saving())))
        .collect();
    worth.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut found, mut saved) = (Vec::new(), 0.0);
    let mut shares = shares.iter().peekable();
    for (loss, saving) in worth {
        saved += saving;
        while shares.next_if(|share| saved >= **share * total).is_some() {
            found.push(loss);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::price::Price;

    fn row(topic: &str, prompt_chars: u32, weak_correct: bool) -> Outcome {
        Outcome { topic: topic.to_owned(), prompt_chars, weak_correct, strong_correct: true }
    }

    fn rows() -> Vec<Outcome> {
        let of = |topic: &str, lost: usize| -> Vec<Outcome> {
            (0..100).map(|index| row(topic, 400, index >= lost)).collect()
        };
        [of("easy", 1), of("middling", 20), of("hard", 60)].concat()
    }

    #[test]
    fn easy_topics_go_to_the_weak_model_first_and_long_prompts_before_short_ones() {
        let rows = rows();
        let belief = Belief::learn(&rows);
        let worth = |topic, chars| {
            loss_per_dollar(&belief, &Prices::default(), &row(topic, chars, true)).unwrap()
        };
        assert!(worth("easy", 400) < worth("middling", 400));
        assert!(worth("middling", 400) < worth("hard", 400));
        assert!(worth("middling", 4_000) < worth("middling", 400));
    }

    #[test]
    fn a_threshold_saves_the_share_that_it_is_for() {
        let rows = rows();
        let rows: Vec<&Outcome> = rows.iter().collect();
        let (belief, prices) = (Belief::learn(rows.iter().copied()), Prices::default());
        let found = thresholds(&belief, &prices, &rows, &[0.1, 0.4, 0.9, 0.999]);
        assert_eq!(found.len(), 3, "no threshold saves all");
        assert!(found.is_sorted());
    }

    #[test]
    fn what_is_not_cheaper_and_what_nothing_is_known_of_goes_to_the_strong_model() {
        let dear = Price { input: 20.0, output: 60.0 };
        let belief = Belief::learn(&rows());
        let prices = Prices { weak: dear, ..Prices::default() };
        let policy = Policy { belief, prices, threshold: Some(f64::MAX) };
        assert_eq!(policy.choose(&row("easy", 400, true)), Model::Strong);
        let belief = Belief::learn(&[row("one", 400, true)]);
        let policy = Policy { belief, prices: Prices::default(), threshold: Some(f64::MAX) };
        assert_eq!(policy.choose(&row("one", 400, true)), Model::Weak);
        assert_eq!(policy.choose(&row("other", 400, true)), Model::Strong);
    }
}
