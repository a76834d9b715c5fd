//! What a question costs with either model, in US dollars.

use std::collections::BTreeMap;

use super::outcome::Outcome;

/// Dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of the prompt.
    pub input: f64,
    /// Of the answer.
    pub output: f64,
}

/// Both models' prices, and how many tokens a question is assumed to have.
/// The weak model is nowhere the dearer one.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// The weak model's.
    pub weak: Price,
    /// The strong model's.
    pub strong: Price,
    /// How many characters of a prompt make a token.
    pub chars_per_token: f64,
    /// Tokens of an answer.
    pub output_tokens: f64,
    /// The same for topics whose answers are of another length.
    pub output_tokens_by_topic: BTreeMap<String, f64>,
}

impl Default for Prices {
    /// Mixtral 8x7B against GPT-4 Turbo: answers are a letter, and worked out for gsm8k.
    fn default() -> Self {
        Self {
            weak: Price { input: 0.24, output: 0.24 },
            strong: Price { input: 10.0, output: 30.0 },
            chars_per_token: 4.0,
            output_tokens: 4.0,
            output_tokens_by_topic: BTreeMap::from([("gsm8k".to_owned(), 150.0)]),
        }
    }
}

/// A question's cost in dollars.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// With the weak model.
    pub weak: f64,
    /// With the strong one.
    pub strong: f64,
}

impl Cost {
    /// What the weak model saves.
    pub fn saving(self) -> f64 {
        self.strong - self.weak
    }
}

impl Prices {
    /// What a question costs. Its outcome is not looked at.
    pub fn cost(&self, question: &Outcome) -> Cost {
        let input = f64::from(question.prompt_chars) / self.chars_per_token;
        let output =
            self.output_tokens_by_topic.get(&question.topic).copied().unwrap_or(self.output_tokens);
        let of = |price: Price| (input * price.input + output * price.output) / 1e6;
        Cost { weak: of(self.weak), strong: of(self.strong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_prompt_and_answer_have_prices_of_their_own() {
        let row = |topic: &str| Outcome {
            topic: topic.to_owned(),
            prompt_chars: 400,
            weak_correct: true,
            strong_correct: true,
        };
        let cost = Prices::default().cost(&row("law"));
        assert!((cost.weak - 104.0 * 0.24e-6).abs() < 1e-12);
        assert!((cost.strong - (100.0 * 10e-6 + 4.0 * 30e-6)).abs() < 1e-12);
        let worked = Prices::default().cost(&row("gsm8k"));
        assert!((worked.strong - (100.0 * 10e-6 + 150.0 * 30e-6)).abs() < 1e-12);
    }
}
