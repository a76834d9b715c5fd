//! What policies cost and score on rows that were not learnt from.

use std::collections::BTreeSet;

use serde::Serialize;

use super::bound::{Confidence, standard_error, wilson};
use super::choice::{Choice, Goals, Room, Verdict};
use super::outcome::Outcome;
use super::policy::Model;
use super::price::{Cost, Prices};

/// Two sums of the same costs, made in another order, differ by less than this part of them.
const ROUNDING: f64 = 1e-9;

/// The whole report. Shares are in percent, scores in points of 100.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What was learnt from.
    pub train: Rows,
    /// What was judged on.
    pub judge: Rows,
    /// Topics of the judged rows that were not learnt from.
    pub topics_unseen: usize,
    /// How sure intervals and bounds are, in percent.
    pub confidence_percent: f64,
    /// How the setting was chosen.
    pub setting: Setting,
    /// Each policy, in the order of the table.
    pub policies: Vec<Figures>,
    /// The router's loss as a share of random's; nothing where random loses nothing.
    pub loss_ratio: Option<f64>,
    /// Which goals the router reaches on the judged rows.
    pub reached: Reached,
}

/// A file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// How many rows.
    pub rows: usize,
    /// Of how many topics.
    pub topics: usize,
}

/// The setting, as the training rows showed it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Setting {
    /// Whether one was found.
    pub verdict: Verdict,
    /// The most loss, in correct answers, that a saved dollar may cost.
    pub loss_per_usd_max: Option<f64>,
    /// What it saved.
    pub saving_percent: Option<f64>,
    /// Router less always-strong, cross-validated.
    pub difference_points: Option<f64>,
    /// Its lower bound.
    pub difference_lower_points: Option<f64>,
    /// Standard errors to each goal.
    pub room: Option<Room>,
}

/// A policy's figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Its name.
    pub policy: &'static str,
    /// What it costs.
    pub cost_usd: f64,
    /// What it saves of the costs of always-strong.
    pub saving_percent: f64,
    /// The share of questions that go to the weak model.
    pub weak_percent: f64,
    /// Its score.
    pub score_points: f64,
    /// The score's interval.
    pub score_interval_points: [f64; 2],
    /// Its score less that of always-strong.
    pub difference_points: f64,
    /// The difference's one-sided lower bound.
    pub difference_lower_points: f64,
}

/// Which goals were reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// The saving.
    pub saving: bool,
    /// The lower bound of the difference.
    pub loss: bool,
    /// The loss as a share of random's; also where the router loses nothing.
    pub loss_ratio: bool,
}

/// Replays the judged rows.
pub fn replay(train: &[Outcome], judge: &[Outcome], choice: &Choice, goals: &Goals) -> Report {
    let table = Table::new(judge, &choice.policy.prices, goals.confidence);
    let routed: Vec<f64> = judge.iter().map(|row| sent(choice.policy.choose(row))).collect();
    let router = table.figures("router", &routed);
    let random = table.random(router.cost_usd);
    let oracle = table.figures("oracle", &table.oracle(router.cost_usd));
    let all = |share| vec![share; judge.len()];
    let loss_ratio = (random.difference_points < 0.0)
        .then(|| router.difference_points / random.difference_points);
    let reached = Reached {
        saving: router.saving_percent >= 100.0 * goals.saving_min,
        loss: router.difference_lower_points > -100.0 * goals.loss_max,
        loss_ratio: router.difference_points >= 0.0
            || loss_ratio.is_some_and(|ratio| ratio <= goals.loss_ratio_max),
    };
    let unseen = topics(judge).into_iter().filter(|topic| !choice.policy.belief.knows(topic));
    Report {
        train: Rows { rows: train.len(), topics: topics(train).len() },
        judge: Rows { rows: judge.len(), topics: topics(judge).len() },
        topics_unseen: unseen.count(),
        confidence_percent: 100.0 * goals.confidence.share(),
        setting: setting(choice),
        policies: vec![
            table.figures("always-strong", &all(0.0)),
            table.figures("always-weak", &all(1.0)),
            random,
            oracle,
            router,
        ],
        loss_ratio,
        reached,
    }
}

impl Report {
    /// A policy's figures.
    pub fn policy(&self, name: &str) -> Option<&Figures> {
        self.policies.iter().find(|figures| figures.policy == name)
    }
}

fn topics(rows: &[Outcome]) -> BTreeSet<&str> {
    rows.iter().map(|row| row.topic.as_str()).collect()
}

fn sent(model: Model) -> f64 {
    match model {
        Model::Weak => 1.0,
        Model::Strong => 0.0,
    }
}

fn setting(choice: &Choice) -> Setting {
    let percent = |pick: fn(&super::choice::Setting) -> f64| {
        choice.setting.as_ref().map(|setting| 100.0 * pick(setting))
    };
    Setting {
        verdict: choice.verdict,
        loss_per_usd_max: choice.policy.threshold,
        saving_percent: percent(|setting| setting.saving),
        difference_points: percent(|setting| setting.difference),
        difference_lower_points: percent(|setting| setting.difference_lower),
        room: choice.setting.map(|setting| setting.room),
    }
}

struct Row {
    strong_correct: f64,
    loss: f64,
    cost: Cost,
}

/// The judged rows, priced.
struct Table {
    rows: Vec<Row>,
    confidence: Confidence,
}

impl Table {
    fn new(judge: &[Outcome], prices: &Prices, confidence: Confidence) -> Self {
        let row = |outcome: &Outcome| Row {
            strong_correct: f64::from(u8::from(outcome.strong_correct)),
            loss: outcome.loss(),
            cost: prices.cost(outcome),
        };
        Self { rows: judge.iter().map(row).collect(), confidence }
    }

    /// The figures of a policy that sends each row to the weak model with a probability. Costs and
    /// scores are expectations, exact over the policy's own chance; intervals hold for one draw of
    /// it. Rows are answered right or wrong, so a draw's score is a share of right answers, and a
    /// draw's loss is, squared, its expectation's size.
    fn figures(&self, policy: &'static str, sent: &[f64]) -> Figures {
        let count = self.rows.len() as f64;
        let (mut cost, mut weak, mut right, mut loss, mut squares) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (row, sent) in self.rows.iter().zip(sent) {
            cost += row.cost.strong - sent * row.cost.saving();
            weak += sent;
            right += row.strong_correct - sent * row.loss;
            loss += sent * row.loss;
            squares += sent * row.loss * row.loss;
        }
        let (low, high) = wilson((right / count).clamp(0.0, 1.0), count, self.confidence);
        let error = standard_error(loss, squares, count);
        let strong: f64 = self.rows.iter().map(|row| row.cost.strong).sum();
        let saving = if strong > 0.0 { (strong - cost) / strong } else { 0.0 };
        Figures {
            policy,
            cost_usd: cost,
            saving_percent: 100.0 * saving,
            weak_percent: 100.0 * weak / count,
            score_points: 100.0 * right / count,
            score_interval_points: [100.0 * low, 100.0 * high],
            difference_points: 0.0 - 100.0 * loss / count,
            difference_lower_points: 0.0
                - 100.0 * (loss / count + self.confidence.one_sided() * error),
        }
    }

    /// Every row is sent with the one probability that costs as much.
    fn random(&self, cost: f64) -> Figures {
        let strong: f64 = self.rows.iter().map(|row| row.cost.strong).sum();
        let saving: f64 = self.rows.iter().map(|row| row.cost.saving()).sum();
        let share = if saving > 0.0 { ((strong - cost) / saving).clamp(0.0, 1.0) } else { 0.0 };
        self.figures("random", &vec![share; self.rows.len()])
    }

    /// The best that one who knows the outcomes can do at that cost or below: the weak model where
    /// it loses nothing, and then, since each further row loses one answer, where it
    /// saves most.
    fn oracle(&self, cost_max: f64) -> Vec<f64> {
        let mut sent: Vec<f64> =
            self.rows.iter().map(|row| f64::from(u8::from(row.loss <= 0.0))).collect();
        let mut cost: f64 = self
            .rows
            .iter()
            .zip(&sent)
            .map(|(row, sent)| row.cost.strong - sent * row.cost.saving())
            .sum();
        let mut kept: Vec<(&Row, &mut f64)> =
            self.rows.iter().zip(&mut sent).filter(|(_, sent)| **sent == 0.0).collect();
        kept.sort_by(|(one, _), (other, _)| other.cost.saving().total_cmp(&one.cost.saving()));
        for (row, sent) in kept {
            if cost <= cost_max * (1.0 + ROUNDING) {
                break;
            }
            *sent = 1.0;
            cost -= row.cost.saving();
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(weak: bool, strong: bool, prompt_chars: u32) -> Outcome {
        Outcome {
            topic: "law".to_owned(),
            prompt_chars,
            weak_correct: weak,
            strong_correct: strong,
        }
    }

    fn table(rows: &[Outcome]) -> Table {
        Table::new(rows, &Prices::default(), Confidence::USUAL)
    }

    #[test]
    fn random_costs_what_it_is_asked_to_and_scores_its_exact_expectation() {
        let rows = [
            row(true, true, 400),
            row(false, true, 800),
            row(true, false, 90),
            row(false, true, 9),
        ];
        let table = table(&rows);
        let (strong, weak) =
            (table.figures("always-strong", &[0.0; 4]), table.figures("always-weak", &[1.0; 4]));
        let random = table.random(f64::midpoint(strong.cost_usd, weak.cost_usd));
        // Every pattern of four coins, each as likely.
        let scores = (0..16_u8).map(|coins| {
            let sent = [0, 1, 2, 3].map(|coin| f64::from(coins >> coin & 1));
            table.figures("coins", &sent).score_points
        });
        assert!((random.score_points - scores.sum::<f64>() / 16.0).abs() < 1e-9);
        assert!((random.weak_percent - 50.0).abs() < 1e-9);
    }

    #[test]
    fn the_bound_of_a_policy_is_that_of_its_paired_differences() {
        let rows =
            [row(true, false, 9), row(false, true, 9), row(true, true, 9), row(false, true, 9)];
        let weak = table(&rows).figures("always-weak", &[1.0; 4]);
        let lower = -0.25 - Confidence::USUAL.one_sided() * (11.0_f64 / 48.0).sqrt();
        assert!((weak.difference_lower_points - 100.0 * lower).abs() < 1e-9);
    }

    proptest::proptest! {
        #[test]
        fn no_policy_of_that_cost_scores_more_than_the_oracle(
            rows in proptest::collection::vec((proptest::bool::ANY, proptest::bool::ANY, 0u32..2_000), 1..9),
            pick: usize,
        ) {
            let rows: Vec<Outcome> =
                rows.into_iter().map(|(weak, strong, chars)| row(weak, strong, chars)).collect();
            let table = table(&rows);
            let policies: Vec<Figures> = (0..1_usize << rows.len())
                .map(|sent| {
                    let sent: Vec<f64> =
                        (0..rows.len()).map(|bit| (sent >> bit & 1) as f64).collect();
                    table.figures("some", &sent)
                })
                .collect();
            let cost_max = policies[pick % policies.len()].cost_usd;
            let oracle = table.figures("oracle", &table.oracle(cost_max));
            proptest::prop_assert!(oracle.cost_usd <= cost_max * (1.0 + 1e-9));
            for policy in policies.iter().filter(|policy| policy.cost_usd <= cost_max) {
                proptest::prop_assert!(policy.score_points <= oracle.score_points + 1e-9);
            }
        }
    }
}
