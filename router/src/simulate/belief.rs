//! What is believed of topics: how much a question of each loses with the weak model, learnt from
//! outcomes.
//!
//! An empirical-Bayes estimate. The topics' true losses are taken as drawn from one normal
//! distribution, whose spread is estimated by moments (DerSimonian and Laird, "Meta-analysis in
//! clinical trials", 1986); each topic's mean is drawn toward its centre, the more the fewer rows it
//! has (Efron and Morris, 1975). A topic that was never seen is believed to be like the centre, with
//! the whole spread.

use std::collections::BTreeMap;

use super::outcome::Outcome;

/// A topic's variance is mixed with that of all rows as if so many more rows had been seen.
const VARIANCE_ROWS: f64 = 5.0;
/// From fewer topics than this nothing is said about others.
const TOPICS_MIN: usize = 3;

/// A mean and how far off it may be, as a standard deviation; in correct answers per question.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

/// What is believed of each topic.
#[derive(Debug, Clone, PartialEq)]
pub struct Belief {
    topics: BTreeMap<String, Loss>,
    unseen: Option<Loss>,
}

impl Belief {
    /// Learns from outcomes.
    pub fn learn<'a>(rows: impl IntoIterator<Item = &'a Outcome>) -> Self {
        let mut sums: BTreeMap<&str, Sums> = BTreeMap::new();
        for row in rows {
            sums.entry(&row.topic).or_default().add(row.loss());
        }
        let count: f64 = sums.values().map(|sums| sums.count).sum();
        let within: f64 = sums.values().map(Sums::squares_within).sum();
        // One disagreement more than was seen: where both always agreed, that is not certain.
        let variance = (within + 1.0) / (count - sums.len() as f64 + 1.0).max(1.0);
        let seen: Vec<Seen> = sums.values().map(|sums| sums.seen(variance)).collect();
        let spread = spread(&seen);
        let centre = Centre::of(&seen, spread);
        let shrunk = sums.keys().zip(&seen).map(|(topic, seen)| {
            let trust = spread / (spread + seen.variance);
            let mean = trust * seen.mean + (1.0 - trust) * centre.mean;
            // The centre is an estimate too: what is drawn toward it may be off as it is.
            let variance = trust * seen.variance + (1.0 - trust).powi(2) / centre.weight;
            ((*topic).to_owned(), Loss { mean, deviation: variance.sqrt() })
        });
        let unseen = Loss { mean: centre.mean, deviation: (spread + 1.0 / centre.weight).sqrt() };
        Self { topics: shrunk.collect(), unseen: (seen.len() >= TOPICS_MIN).then_some(unseen) }
    }

    /// What a question of this topic is believed to lose; nothing where too few topics were seen to
    /// say anything about one that was not.
    pub fn of(&self, topic: &str) -> Option<Loss> {
        self.topics.get(topic).copied().or(self.unseen)
    }

    /// Whether rows of this topic were learnt from.
    pub fn knows(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    /// How many topics were learnt from.
    pub fn topics(&self) -> usize {
        self.topics.len()
    }
}

#[derive(Default)]
struct Sums {
    count: f64,
    sum: f64,
    squares: f64,
}

/// A topic as its rows alone show it.
struct Seen {
    mean: f64,
    /// Of the mean.
    variance: f64,
}

impl Sums {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn squares_within(&self) -> f64 {
        (self.squares - self.sum * self.sum / self.count).max(0.0)
    }

    fn seen(&self, variance: f64) -> Seen {
        let mixed =
            (VARIANCE_ROWS * variance + self.squares_within()) / (VARIANCE_ROWS + self.count);
        Seen { mean: self.sum / self.count, variance: mixed / self.count }
    }
}

struct Centre {
    mean: f64,
    weight: f64,
}

impl Centre {
    fn of(seen: &[Seen], spread: f64) -> Self {
        let weight: f64 = seen.iter().map(|seen| 1.0 / (seen.variance + spread)).sum();
        let sum: f64 = seen.iter().map(|seen| seen.mean / (seen.variance + spread)).sum();
        Self { mean: sum / weight, weight }
    }
}

/// The variance between topics beyond what their rows' number explains.
fn spread(seen: &[Seen]) -> f64 {
    if seen.len() < 2 {
        return 0.0;
    }
    let centre = Centre::of(seen, 0.0);
    let squares: f64 = seen.iter().map(|seen| seen.variance.powi(-2)).sum();
    let excess: f64 =
        seen.iter().map(|seen| (seen.mean - centre.mean).powi(2) / seen.variance).sum::<f64>()
            - (seen.len() - 1) as f64;
    (excess / (centre.weight - squares / centre.weight)).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(topic: &str, lost: usize, kept: usize) -> Vec<Outcome> {
        let row = |weak_correct| Outcome {
            topic: topic.to_owned(),
            prompt_chars: 100,
            weak_correct,
            strong_correct: true,
        };
        [vec![row(false); lost], vec![row(true); kept]].concat()
    }

    #[test]
    fn a_topic_of_few_rows_is_drawn_toward_the_others_more_than_one_of_many() {
        let all = [rows("few", 4, 0), rows("many", 400, 0), rows("a", 10, 90), rows("b", 30, 70)]
            .concat();
        let belief = Belief::learn(&all);
        let (few, many) = (belief.of("few").unwrap(), belief.of("many").unwrap());
        assert!(few.mean < many.mean && many.mean > 0.98, "{few:?} {many:?}");
        assert!(few.deviation > many.deviation);
    }

    #[test]
    fn topics_that_differ_by_chance_alone_are_believed_to_be_alike() {
        let all: Vec<Outcome> =
            (0..20).flat_map(|topic| rows(&format!("t{topic}"), 10, 90)).collect();
        let belief = Belief::learn(&all);
        assert!((belief.of("t3").unwrap().mean - 0.1).abs() < 1e-9);
        assert_eq!(belief.of("t3").unwrap().mean, belief.of("never seen").unwrap().mean);
    }

    #[test]
    fn a_topic_never_seen_is_less_certain_than_any_other_and_unknown_after_one_or_two() {
        let all = [rows("a", 10, 90), rows("b", 30, 70), rows("c", 50, 50)].concat();
        let belief = Belief::learn(&all);
        let unseen = belief.of("d").unwrap();
        for topic in ["a", "b", "c"] {
            assert!(belief.of(topic).unwrap().deviation < unseen.deviation, "{topic}");
        }
        assert_eq!(Belief::learn(&rows("a", 10, 90)).of("d"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_shrunk_mean_lies_between_the_topics_own_and_the_extremes(
            counts in proptest::collection::vec((0usize..40, 1usize..40), 1..8),
        ) {
            let all: Vec<Outcome> = counts
                .iter()
                .enumerate()
                .flat_map(|(index, (lost, kept))| rows(&index.to_string(), *lost, *kept))
                .collect();
            let belief = Belief::learn(&all);
            let means: Vec<f64> =
                counts.iter().map(|(lost, kept)| *lost as f64 / (lost + kept) as f64).collect();
            let low = means.iter().copied().fold(f64::MAX, f64::min);
            let high = means.iter().copied().fold(f64::MIN, f64::max);
            for index in 0..counts.len() {
                let loss = belief.of(&index.to_string()).unwrap();
                proptest::prop_assert!(loss.deviation.is_finite() && loss.deviation >= 0.0);
                proptest::prop_assert!(low - 1e-9 <= loss.mean && loss.mean <= high + 1e-9);
            }
        }
    }
}
