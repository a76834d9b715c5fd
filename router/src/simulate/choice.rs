//! The policy's setting, chosen on the training rows alone.
//!
//! A setting is a share of the costs that is to be saved, in half percents. What it loses is
//! estimated by cross-validation: topics are believed, and thresholds set, on nine tenths of the
//! rows, and the tenth is routed. What it saves needs no such care, for no outcome goes into it.
//!
//! Each goal has room: the distance to it in standard errors of what rows as many as these, drawn
//! anew, would show. Of the settings that hold the loss and save as much as is asked, the one whose
//! tightest goal has the most room is taken. Where there is none, settings are taken from the least
//! saving on, as long as they hold the loss with room for what chance may do, at the confidence that
//! is asked for (a fixed sequence of tests, as in Angelopoulos and others, "Learn then Test",
//! arXiv:2110.01052); the last of these that is as much better than random as is asked counts.

use serde::Serialize;

use super::belief::Belief;
use super::bound::{Confidence, standard_error};
use super::outcome::Outcome;
use super::policy::{Policy, loss_per_dollar, thresholds};
use super::price::{Cost, Prices};
use super::shuffle;

const FOLDS: usize = 10;
/// Settings are so many to the whole.
const STEPS: u32 = 200;
/// The training rows are a sample as the judged ones are: a difference of both varies by this more
/// than either.
const TWO_SAMPLES: f64 = std::f64::consts::SQRT_2;

/// So many answers more than were lost are taken as lost: where few rows show no loss, that is no
/// proof that there is none.
const MORE_LOST: f64 = 1.0;

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goals {
    /// The least saving, as a share of the costs with the strong model alone.
    pub saving_min: f64,
    /// The most loss, in correct answers per question, that the lower bound may admit.
    pub loss_max: f64,
    /// The most loss as a share of what sending at random loses at the same saving.
    pub loss_ratio_max: f64,
    /// How sure bounds are.
    pub confidence: Confidence,
}

impl Default for Goals {
    fn default() -> Self {
        Self {
            saving_min: 0.15,
            loss_max: 0.01,
            loss_ratio_max: 0.35,
            confidence: Confidence::USUAL,
        }
    }
}

/// Whether a setting was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It reaches all goals on the training rows.
    Reached,
    /// It holds the loss, and saves less than was asked.
    SavesLess,
    /// None holds the loss: all goes to the strong model.
    NoneHolds,
}

/// A setting as the training rows show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The share of the costs that is saved.
    pub saving: f64,
    /// Router less always-strong, in correct answers per question, cross-validated.
    pub difference: f64,
    /// Its lower bound.
    pub difference_lower: f64,
    /// Standard errors between saving, loss, loss ratio and their goals.
    pub room: Room,
}

/// The distance to each goal in standard errors; below 0 where it is missed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Room {
    /// To the least saving.
    pub saving: f64,
    /// To the most loss.
    pub loss: f64,
    /// To the most loss as a share of random's.
    pub loss_ratio: f64,
}

impl Room {
    fn tightest(self) -> f64 {
        self.saving.min(self.loss).min(self.loss_ratio)
    }
}

/// A policy, and how it came to its setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// What decides.
    pub policy: Policy,
    /// Whether a setting was found.
    pub verdict: Verdict,
    /// The setting; none where none holds the loss.
    pub setting: Option<Setting>,
}

/// Learns from the rows and chooses the setting on them.
pub fn choose(rows: &[Outcome], prices: &Prices, goals: &Goals, seed: u64) -> Choice {
    let shares: Vec<f64> = (1..=STEPS).map(|step| f64::from(step) / f64::from(STEPS)).collect();
    let belief = Belief::learn(rows);
    let all: Vec<&Outcome> = rows.iter().collect();
    let final_thresholds = thresholds(&belief, prices, &all, &shares);
    let settings = settings(&cross_validated(rows, prices, &shares, seed), &shares, goals);
    // The last shares may be beyond what the final belief can save.
    let candidates: Vec<(Setting, f64)> = settings.into_iter().zip(final_thresholds).collect();
    let best = candidates
        .iter()
        .filter(|(setting, _)| setting.room.tightest() >= 0.0)
        .max_by(|(one, _), (other, _)| one.room.tightest().total_cmp(&other.room.tightest()));
    // From the least saving on, up to the first that fails: of many tried one would pass by chance.
    // The ratio is not part of the sequence: what little is lost at its beginning says little of it.
    let most = candidates
        .iter()
        .take_while(|(setting, _)| setting.room.loss >= goals.confidence.one_sided())
        .filter(|(setting, _)| setting.room.loss_ratio >= 0.0)
        .last();
    let (verdict, taken) = match (best, most) {
        (Some(best), _) => (Verdict::Reached, Some(*best)),
        (None, Some(most)) => (Verdict::SavesLess, Some(*most)),
        (None, None) => (Verdict::NoneHolds, None),
    };
    let threshold = taken.map(|(_, threshold)| threshold);
    Choice {
        policy: Policy { belief, prices: prices.clone(), threshold },
        verdict,
        setting: taken.map(|(setting, _)| setting),
    }
}

/// A row, and from which setting on it goes to the weak model.
struct Routed {
    loss: f64,
    cost: Cost,
    from: usize,
}

fn cross_validated(rows: &[Outcome], prices: &Prices, shares: &[f64], seed: u64) -> Vec<Routed> {
    let order = shuffle::order(rows.len(), seed);
    let fold = |number: usize, inside: bool| {
        let of_fold = move |place: usize| (place % FOLDS == number) == inside;
        let places = order.iter().enumerate().filter(move |(place, _)| of_fold(*place));
        places.filter_map(|(_, index)| rows.get(*index)).collect::<Vec<_>>()
    };
    let mut routed = Vec::with_capacity(rows.len());
    for number in 0..FOLDS {
        let rest = fold(number, false);
        let belief = Belief::learn(rest.iter().copied());
        let thresholds = thresholds(&belief, prices, &rest, shares);
        routed.extend(fold(number, true).into_iter().map(|row| Routed {
            loss: row.loss(),
            cost: prices.cost(row),
            from: loss_per_dollar(&belief, prices, row).map_or(usize::MAX, |worth| {
                let from = thresholds.partition_point(|threshold| *threshold < worth);
                if from < thresholds.len() { from } else { usize::MAX }
            }),
        }));
    }
    routed.sort_by_key(|row| row.from);
    routed
}

/// Sums over rows, from which every figure of a setting follows.
#[derive(Default)]
struct Sums {
    count: f64,
    cost: f64,
    cost_squares: f64,
    saving_all: f64,
    loss_all: f64,
    loss_squares_all: f64,
    saving: f64,
    saving_squares: f64,
    saving_by_cost: f64,
    loss: f64,
    loss_squares: f64,
}

impl Sums {
    fn of_all(rows: &[Routed]) -> Self {
        let begin = Self {
            count: rows.len() as f64,
            loss: MORE_LOST,
            loss_squares: MORE_LOST,
            ..Self::default()
        };
        rows.iter().fold(begin, |sums, row| Self {
            cost: sums.cost + row.cost.strong,
            cost_squares: sums.cost_squares + row.cost.strong.powi(2),
            saving_all: sums.saving_all + row.cost.saving(),
            loss_all: sums.loss_all + row.loss,
            loss_squares_all: sums.loss_squares_all + row.loss.powi(2),
            ..sums
        })
    }

    fn route(&mut self, row: &Routed) {
        let saving = row.cost.saving();
        self.saving += saving;
        self.saving_squares += saving.powi(2);
        self.saving_by_cost += saving * row.cost.strong;
        self.loss += row.loss;
        self.loss_squares += row.loss.powi(2);
    }

    fn setting(&self, share: f64, goals: &Goals) -> Setting {
        let difference = -self.loss / self.count;
        let error = standard_error(self.loss, self.loss_squares, self.count);
        let lower = difference - goals.confidence.one_sided() * error;
        Setting {
            saving: share,
            difference,
            difference_lower: lower,
            room: Room {
                saving: room(share - goals.saving_min, self.saving_error()),
                loss: room(lower + goals.loss_max, error),
                loss_ratio: self.room_of_ratio(goals.loss_ratio_max),
            },
        }
    }

    /// The standard error of the saved share, a ratio of two sums over the same rows (Cochran,
    /// "Sampling Techniques", section 2.11).
    fn saving_error(&self) -> f64 {
        let share = self.saving / self.cost;
        let squares = self.saving_squares - 2.0 * share * self.saving_by_cost
            + share * share * self.cost_squares;
        squares.max(0.0).sqrt() / self.cost
    }

    /// Random's loss is linear in the share `sent` that it sends to the weak model, so that the
    /// router's loss less its allowed part is a sum over rows.
    fn room_of_ratio(&self, ratio_max: f64) -> f64 {
        let sent = ratio_max * self.saving / self.saving_all;
        let sum = self.loss - sent * self.loss_all;
        let squares = (1.0 - sent).powi(2) * self.loss_squares
            + sent.powi(2) * (self.loss_squares_all - self.loss_squares);
        room(-sum / self.count, standard_error(sum, squares, self.count))
    }
}

fn room(distance: f64, error: f64) -> f64 {
    match distance / (TWO_SAMPLES * error) {
        // 0 of 0: nothing varies, and the goal is met to the point.
        room if room.is_nan() => 0.0,
        room => room.clamp(-f64::MAX, f64::MAX),
    }
}

fn settings(routed: &[Routed], shares: &[f64], goals: &Goals) -> Vec<Setting> {
    let mut sums = Sums::of_all(routed);
    let mut rows = routed.iter().peekable();
    let mut settings = Vec::with_capacity(shares.len());
    for (number, share) in shares.iter().enumerate() {
        while let Some(row) = rows.next_if(|row| row.from <= number) {
            sums.route(row);
        }
        settings.push(sums.setting(*share, goals));
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 rows a topic in which the weak model fails as often as is said, of ten.
    fn rows(fails: &[usize]) -> Vec<Outcome> {
        let topic = |(number, fails): (usize, &usize)| {
            let fails = *fails;
            (0..200).map(move |index| Outcome {
                topic: format!("t{number}"),
                prompt_chars: 400,
                weak_correct: index % 10 >= fails,
                strong_correct: true,
            })
        };
        fails.iter().enumerate().flat_map(topic).collect()
    }

    #[test]
    fn topics_that_lose_nothing_are_found_and_all_goals_are_reached() {
        let rows = rows(&[0, 0, 3, 5, 6, 4, 5]);
        let choice = choose(&rows, &Prices::default(), &Goals::default(), 1);
        assert_eq!(choice.verdict, Verdict::Reached);
        let setting = choice.setting.unwrap();
        assert!(setting.saving > 0.15 && setting.saving < 0.3, "{setting:?}");
        assert!(setting.difference_lower > -0.01, "{setting:?}");
    }

    #[test]
    fn where_every_topic_loses_much_all_goes_to_the_strong_model() {
        let rows = rows(&[5, 5, 6, 6, 7]);
        let choice = choose(&rows, &Prices::default(), &Goals::default(), 1);
        assert_eq!((choice.verdict, choice.setting), (Verdict::NoneHolds, None));
        assert_eq!(choice.policy.threshold, None);
    }

    #[test]
    fn a_saving_that_is_too_much_to_ask_is_missed_and_the_loss_is_held() {
        let rows = rows(&[0, 0, 5, 5, 6, 4, 5]);
        let goals = Goals { saving_min: 0.8, ..Goals::default() };
        let choice = choose(&rows, &Prices::default(), &goals, 1);
        assert_eq!(choice.verdict, Verdict::SavesLess);
        let setting = choice.setting.unwrap();
        assert!(setting.saving > 0.15 && setting.room.loss >= 0.0, "{setting:?}");
    }

    #[test]
    fn one_row_is_enough_to_choose_and_too_few_to_route() {
        let rows: Vec<Outcome> = rows(&[3]).into_iter().take(1).collect();
        let choice = choose(&rows, &Prices::default(), &Goals::default(), 1);
        assert_eq!(choice.policy.threshold, None, "{choice:?}");
    }
}
