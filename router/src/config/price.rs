//! What models cost by their providers' lists, and how long a prompt they take.
//!
//! A price in the configuration goes before one of this table. A model that is in neither has no
//! known price: nothing is made up for it.

/// A model's list price.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Listed {
    /// The model with its provider, as the gateway writes it.
    pub model: &'static str,
    /// US dollars per million tokens of prompts.
    pub input_usd_per_million: f64,
    /// US dollars per million tokens of answers.
    pub output_usd_per_million: f64,
    /// The most tokens of prompt and answer together.
    pub context_tokens: u64,
    /// The most tokens of an answer.
    pub output_tokens_max: u64,
    /// Whose list it is.
    pub source: &'static str,
    /// When the price was last looked at.
    pub date: &'static str,
}

const OPENAI: &str = "platform.openai.com/docs/pricing";
const ANTHROPIC: &str = "anthropic.com/pricing";

const fn openai(model: &'static str, input: f64, output: f64) -> Listed {
    Listed {
        model,
        input_usd_per_million: input,
        output_usd_per_million: output,
        context_tokens: 128_000,
        output_tokens_max: 16_384,
        source: OPENAI,
        date: "2026-05",
    }
}

const fn sonnet(model: &'static str) -> Listed {
    Listed {
        model,
        input_usd_per_million: 3.0,
        output_usd_per_million: 15.0,
        context_tokens: 200_000,
        output_tokens_max: 64_000,
        source: ANTHROPIC,
        date: "2026-01",
    }
}

/// The table.
pub const LIST: [Listed; 5] = [
    openai("openai/gpt-4o", 2.5, 10.0),
    openai("openai/gpt-4o-mini", 0.15, 0.6),
    sonnet("anthropic/claude-3.7-sonnet"),
    sonnet("anthropic/claude-3-7-sonnet-20250219"),
    sonnet("anthropic/claude-3-7-sonnet-latest"),
];

/// The list price of a model, where there is one.
pub fn listed(model: &str) -> Option<&'static Listed> {
    LIST.iter().find(|listed| listed.model == model)
}

/// What a token costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// US dollars per token of a prompt.
    pub input_usd: f64,
    /// US dollars per token of an answer.
    pub output_usd: f64,
    /// Where it comes from: `configured`, or `list <source> <date>`.
    pub basis: String,
}

impl Price {
    /// The list price of a model.
    pub fn of_list(listed: &Listed) -> Self {
        Self {
            input_usd: listed.input_usd_per_million / 1e6,
            output_usd: listed.output_usd_per_million / 1e6,
            basis: format!("list {} {}", listed.source, listed.date),
        }
    }

    /// What a call of so many tokens costs, in US dollars.
    pub fn call(&self, input_tokens: f64, output_tokens: f64) -> f64 {
        input_tokens * self.input_usd + output_tokens * self.output_usd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_price_names_its_source_and_date_and_others_are_unknown() {
        let price = Price::of_list(listed("openai/gpt-4o").unwrap());
        assert!((price.call(1e6, 1e6) - 12.5).abs() < 1e-9);
        assert_eq!(price.basis, "list platform.openai.com/docs/pricing 2026-05");
        assert_eq!(listed("vllm/Meta-Llama-3.1-70B-Instruct"), None);
    }
}
