//! What a request wants most: the header `X-Maestro-Objectives`.
//!
//! `quality,latency,cost` is an order, the first counting most. `quality=0.5,latency_p95=0.2,cost=0.3`
//! are weights. After a `;` come bounds: `residency=eu;max_cost_usd=0.02;p95_ms=1500`.

use maestro_schemas::route::{OBJECTIVES_BYTES_MAX, Terms};
use serde::{Deserialize, Serialize};

use crate::config::fault::nearest;
use crate::config::weights;
use crate::round::rounded;

/// The largest weight that may be written.
const WEIGHT_MAX: f64 = 1e6;
/// The most places that a residency may name.
const PLACES_MAX: usize = 16;

/// What models are weighed by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// How good the answer is.
    Quality,
    /// How soon nearly all answers are there.
    #[serde(alias = "latency_p95", alias = "p95_latency_ms")]
    Latency,
    /// What a finished task costs.
    #[serde(alias = "cost_per_1k_tokens")]
    Cost,
    /// How seldom a call fails.
    Reliability,
    /// How much of it stays in own hands.
    Sovereignty,
}

/// Every name of an objective.
const NAMES: [(&str, Objective); 8] = [
    ("quality", Objective::Quality),
    ("latency", Objective::Latency),
    ("latency_p95", Objective::Latency),
    ("p95_latency_ms", Objective::Latency),
    ("cost", Objective::Cost),
    ("cost_per_1k_tokens", Objective::Cost),
    ("reliability", Objective::Reliability),
    ("sovereignty", Objective::Sovereignty),
];

const BOUNDS: [&str; 3] = ["residency", "max_cost_usd", "p95_ms"];

impl Objective {
    /// Every objective, in the order that counts where none is given.
    pub const ALL: [Self; 5] =
        [Self::Quality, Self::Latency, Self::Cost, Self::Reliability, Self::Sovereignty];

    /// This objective's number.
    pub fn of(self, terms: &Terms) -> f64 {
        match self {
            Self::Quality => terms.quality,
            Self::Latency => terms.latency,
            Self::Cost => terms.cost,
            Self::Reliability => terms.reliability,
            Self::Sovereignty => terms.sovereignty,
        }
    }

    /// This objective's number, to be changed.
    pub fn of_mut(self, terms: &mut Terms) -> &mut f64 {
        match self {
            Self::Quality => &mut terms.quality,
            Self::Latency => &mut terms.latency,
            Self::Cost => &mut terms.cost,
            Self::Reliability => &mut terms.reliability,
            Self::Sovereignty => &mut terms.sovereignty,
        }
    }
}

/// The same weights, together 1, to nine places, so that they survive being written as JSON; all of
/// one weight where they are all 0.
pub fn normalised(mut weights: Terms) -> Terms {
    let sum: f64 = Objective::ALL.iter().map(|objective| objective.of(&weights)).sum();
    for objective in Objective::ALL {
        let weight = objective.of_mut(&mut weights);
        let share = if sum > 0.0 { *weight / sum } else { 1.0 / Objective::ALL.len() as f64 };
        *weight = rounded(share, 9);
    }
    weights
}

/// What a request wants.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Objectives {
    /// What each objective counts, together 1; the configuration's where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<Terms>,
    /// Where the prompt may be worked on, in lower case; empty is anywhere.
    #[serde(default)]
    pub residency: Vec<String>,
    /// The most that a call may be expected to cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// The most that 95 of 100 calls may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
}

/// Why a text is none of objectives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("MAE-4003 character {at}: found {found:?}; expected {expected}{}", hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default())]
pub struct Malformed {
    /// The character, from 1.
    pub at: usize,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub expected: String,
    /// What was probably meant.
    pub hint: Option<String>,
}

/// Reads the text of the header. An empty text wants what the configuration says.
pub fn parse(text: &str) -> Result<Objectives, Malformed> {
    if text.len() > OBJECTIVES_BYTES_MAX {
        return Err(Malformed {
            at: 1,
            found: format!("{} bytes", text.len()),
            expected: format!("at most {OBJECTIVES_BYTES_MAX} bytes"),
            hint: None,
        });
    }
    let mut parts = split(text, text, ';');
    let mut objectives = Objectives::default();
    if let Some(first) = parts.next().filter(|first| !first.word.is_empty()) {
        objectives.weights = Some(order_or_weights(text, first)?);
    }
    let mut seen = Vec::new();
    for part in parts.filter(|part| !part.word.is_empty()) {
        let (name, value) = part.pair(text);
        let Some(value) = value.filter(|_| !seen.contains(&name.word)) else {
            return Err(part.wrong("a bound once, as p95_ms=1500"));
        };
        bound(&mut objectives, text, name, value)?;
        seen.push(name.word);
    }
    Ok(objectives)
}

/// A word of the text and where it begins, in characters from 1.
#[derive(Clone, Copy)]
struct Part<'a> {
    word: &'a str,
    at: usize,
}

impl<'a> Part<'a> {
    fn wrong(self, expected: &str) -> Malformed {
        let expected = expected.to_owned();
        Malformed { at: self.at, found: self.word.to_owned(), expected, hint: None }
    }

    fn pair(self, text: &'a str) -> (Self, Option<Self>) {
        match self.word.split_once('=') {
            Some((name, value)) => (part(text, name), Some(part(text, value))),
            None => (self, None),
        }
    }

    fn number(self, most: f64) -> Result<f64, Malformed> {
        match self.word.parse::<f64>() {
            Ok(number) if (0.0..=most).contains(&number) => Ok(number),
            _ => Err(self.wrong("a number, 0 or more")),
        }
    }
}

/// A slice of `text` without the spaces around it. Where it begins is taken from its address, so
/// that no parser has to count.
fn part<'a>(text: &'a str, slice: &'a str) -> Part<'a> {
    let word = slice.trim();
    let bytes = (word.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    Part { word, at: text.get(..bytes).map_or(0, |before| before.chars().count()) + 1 }
}

fn split<'a>(text: &'a str, slice: &'a str, by: char) -> impl Iterator<Item = Part<'a>> {
    slice.split(by).map(move |slice| part(text, slice))
}

fn order_or_weights(text: &str, list: Part<'_>) -> Result<Terms, Malformed> {
    let (mut order, mut given) = (Vec::new(), Terms::default());
    let weighted = list.word.contains('=');
    for one in split(text, list.word, ',') {
        let (name, value) = one.pair(text);
        let objective = objective(name)?;
        if order.contains(&objective) {
            return Err(name.wrong("each objective once"));
        }
        order.push(objective);
        match value {
            Some(value) => *objective.of_mut(&mut given) = value.number(WEIGHT_MAX)?,
            None if weighted => return Err(one.wrong("a weight, as quality=0.5, as others have")),
            None => {}
        }
    }
    match weighted {
        false => Ok(weights(&order)),
        true if Objective::ALL.iter().all(|one| one.of(&given) == 0.0) => {
            Err(list.wrong("a weight above 0"))
        }
        true => Ok(normalised(given)),
    }
}

fn objective(name: Part<'_>) -> Result<Objective, Malformed> {
    let found = NAMES.iter().find(|(known, _)| *known == name.word);
    found.map(|(_, objective)| *objective).ok_or_else(|| {
        let known: Vec<&str> = NAMES.iter().map(|(known, _)| *known).collect();
        let hint = match BOUNDS.contains(&name.word) {
            true => Some("bounds come after a semicolon".to_owned()),
            false => nearest(name.word, &known).map(|near| format!("did you mean {near}?")),
        };
        Malformed { hint, ..name.wrong("quality, latency, cost, reliability or sovereignty") }
    })
}

fn bound(
    to: &mut Objectives,
    text: &str,
    name: Part<'_>,
    value: Part<'_>,
) -> Result<(), Malformed> {
    match name.word {
        "max_cost_usd" => to.max_cost_usd = Some(value.number(f64::MAX)?),
        "p95_ms" => to.p95_ms = Some(value.number(f64::MAX)?),
        "residency" => {
            let places: Vec<Part<'_>> = split(text, value.word, ',').collect();
            if places.len() > PLACES_MAX || places.iter().any(|place| place.word.is_empty()) {
                return Err(value.wrong("places, as eu,ch"));
            }
            to.residency = places.iter().map(|place| place.word.to_lowercase()).collect();
        }
        _ => {
            let hint = nearest(name.word, &BOUNDS).map(|near| format!("did you mean {near}?"));
            return Err(Malformed { hint, ..name.wrong("residency, max_cost_usd or p95_ms") });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_counts_the_first_most() {
        let weights = parse("quality, latency,cost").unwrap().weights.unwrap();
        assert_eq!((weights.quality, weights.latency), (0.5, 0.333333333));
        assert_eq!((weights.cost, weights.reliability), (0.166666667, 0.0));
    }

    #[test]
    fn weights_and_bounds_are_read() {
        let text =
            "quality=0.5,latency_p95=0.2,cost=0.3;residency=EU,ch;max_cost_usd=0.02;p95_ms=1500";
        let found = parse(text).unwrap();
        let weights = found.weights.unwrap();
        assert!((weights.cost - 0.3).abs() < 1e-12 && (weights.quality - 0.5).abs() < 1e-12);
        assert_eq!(found.residency, ["eu", "ch"]);
        assert_eq!((found.max_cost_usd, found.p95_ms), (Some(0.02), Some(1500.0)));
    }

    #[test]
    fn bounds_stand_alone_and_nothing_wants_nothing() {
        assert_eq!(parse(""), Ok(Objectives::default()));
        assert_eq!(parse(";p95_ms=7").unwrap().p95_ms, Some(7.0));
        assert_eq!(parse(";p95_ms=7").unwrap().weights, None);
    }

    #[test]
    fn a_fault_has_its_place_and_what_was_meant() {
        let wrong = |text: &str| {
            let found = parse(text).unwrap_err();
            (found.at, found.found, found.hint)
        };
        let hint = |text: &str| Some(text.to_owned());
        let near = hint("did you mean quality?");
        assert_eq!(wrong("cost, qualty"), (7, "qualty".into(), near));
        assert_eq!(wrong("cost=1,quality"), (8, "quality".into(), None));
        assert_eq!(wrong("cost=-1"), (6, "-1".into(), None));
        assert_eq!(wrong("cost=NaN"), (6, "NaN".into(), None));
        assert_eq!(wrong("cost,cost"), (6, "cost".into(), None));
        assert_eq!(wrong("cost;p96_ms=4"), (6, "p96_ms".into(), hint("did you mean p95_ms?")));
        assert_eq!(wrong("cost;p95_ms"), (6, "p95_ms".into(), None));
        assert_eq!(wrong("cost;p95_ms=1;p95_ms=2").0, 15);
        let after = hint("bounds come after a semicolon");
        assert_eq!(wrong("p95_ms=1500"), (1, "p95_ms".into(), after));
        assert_eq!(wrong("cost=0,quality=0").0, 1);
        assert_eq!(wrong(&"a".repeat(OBJECTIVES_BYTES_MAX + 1)).0, 1);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reader_and_weights_are_together_one(text in "[a-z=,;0-9. äé]{0,60}") {
            if let Ok(Objectives { weights: Some(weights), .. }) = parse(&text) {
                let sum: f64 = Objective::ALL.iter().map(|one| one.of(&weights)).sum();
                proptest::prop_assert!((sum - 1.0).abs() < 1e-8);
            }
        }
    }
}
