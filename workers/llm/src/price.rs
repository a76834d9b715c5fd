//! What a model costs, by the gateway's word, and whether a call fits what is left of a cap.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::call::{self, Caller};
use crate::error::Error;

/// For how long the gateway's prices are believed.
const BELIEVED: Duration = Duration::from_secs(60);
/// How long a gateway that did not tell its prices is not asked again.
const FORGIVEN: Duration = Duration::from_secs(5);
/// LiteLLM's list of what models cost.
const COST_MAP: &str = "/public/litellm_model_cost_map";
/// The most models that prices are kept of.
const MODELS_MAX: usize = 10_000;
/// Tokens that the protocol adds to a message, at the most.
const FRAME_TOKENS: u64 = 16;
/// The most tokens of an answer where neither the step nor the gateway says.
const OUTPUT_TOKENS: u64 = 4_096;
/// Millionths of a dollar.
const MICRO: f64 = 1_000_000.0;

/// What a model costs, in US dollars per token.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
pub(crate) struct Price {
    #[serde(default)]
    pub(crate) input_cost_per_token: Option<f64>,
    #[serde(default)]
    pub(crate) output_cost_per_token: Option<f64>,
    #[serde(default)]
    pub(crate) max_output_tokens: Option<u64>,
}

impl Price {
    /// What so many tokens cost, in millionths of a dollar, rounded up; nothing where it is not
    /// known what the model costs.
    pub(crate) fn of(&self, input_tokens: u64, output_tokens: u64) -> Option<u64> {
        let (input, output) = (self.input_cost_per_token?, self.output_cost_per_token?);
        Some(microusd(input_tokens as f64 * input + output_tokens as f64 * output))
    }
}

impl Price {
    /// Whether no token costs anything.
    pub(crate) fn is_free(&self) -> bool {
        (self.input_cost_per_token, self.output_cost_per_token) == (Some(0.0), Some(0.0))
    }

    /// The most tokens of an answer: as wanted, or as the model can, or what is assumed of it.
    pub(crate) fn answer_tokens(&self, wanted: Option<u32>) -> u64 {
        wanted.map(u64::from).or(self.max_output_tokens).unwrap_or(OUTPUT_TOKENS)
    }
}

/// Dollars as millionths, rounded up: what is spent is never told too low.
pub(crate) fn microusd(dollars: f64) -> u64 {
    let micro = dollars * MICRO;
    // What a sum of decimal fractions is off by is no millionth more.
    let nearest = micro.round();
    let rounded = if (micro - nearest).abs() < 1e-6 { nearest } else { micro.ceil() };
    if rounded.is_finite() && rounded > 0.0 { rounded as u64 } else { 0 }
}

/// What is left of a cap before a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// In millionths of a dollar.
    pub(crate) microusd: u64,
}

/// The most tokens that an answer may have, so that the call cannot pass what is left.
///
/// # Errors
/// [`Error::Cap`] where the model's price is not known, or what is left does not even pay for the
/// question and one token of an answer.
pub(crate) fn fit(
    model: &str,
    price: Price,
    left: Left,
    size: (u64, u64),
    wanted: Option<u32>,
) -> Result<u32, Error> {
    let input_tokens = tokens_max(size);
    let Some(question) = price.of(input_tokens, 0) else {
        let message = format!(
            "what {model} costs is not known, so the step's budget cannot be held: give the gateway its input_cost_per_token and output_cost_per_token"
        );
        return Err(Error::Cap(message));
    };
    let wanted = price.answer_tokens(wanted);
    let of_answer = price.output_cost_per_token.unwrap_or(0.0) * MICRO;
    let room = left.microusd.saturating_sub(question) as f64;
    let affordable = if of_answer > 0.0 { (room / of_answer).floor() as u64 } else { wanted };
    if question > left.microusd || affordable == 0 {
        let message = format!(
            "a call of {model} may cost {} for its question of at most {input_tokens} tokens and more for the answer; {} is left of the step's budget",
            usd(question),
            usd(left.microusd)
        );
        return Err(Error::Cap(message));
    }
    Ok(u32::try_from(wanted.min(affordable)).unwrap_or(u32::MAX))
}

/// The most tokens that messages of so many bytes, and so many of them, can be.
pub(crate) fn tokens_max((input_bytes, messages): (u64, u64)) -> u64 {
    input_bytes + FRAME_TOKENS * (messages + 1)
}

/// Millionths of a dollar for people.
pub(crate) fn usd(microusd: u64) -> String {
    format!("${:.6}", microusd as f64 / MICRO)
}

/// The gateway's prices, asked for now and then.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    since: Option<Instant>,
    prices: BTreeMap<String, Price>,
    /// Whether the last question failed; then it is not asked again at once.
    failed: bool,
}

#[derive(Deserialize)]
struct ModelInfo {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    model_name: String,
    #[serde(default)]
    model_info: Info,
}

#[derive(Default, Deserialize)]
struct Info {
    #[serde(default)]
    id: Option<String>,
    #[serde(flatten)]
    price: Price,
}

impl Prices {
    /// What a model or one deployment of it costs: the dearest of the deployments that share its name,
    /// since the gateway may choose any of them; what its own list says where none has a price.
    pub(crate) async fn of(&self, model: &str, caller: &Caller<'_>) -> Result<Price, Error> {
        if let Some(found) = self.believed(model).await {
            return found;
        }
        // Asked outside the lock: a gateway that hangs holds up whoever asks, and nobody else.
        let asked = ask(model, caller).await;
        let mut known = self.known.lock().await;
        known.since = Some(Instant::now());
        known.failed = asked.is_err();
        known.prices = asked?;
        Ok(find(&known.prices, model))
    }

    /// What it costs as far as is known without asking.
    pub(crate) async fn at_hand(&self, model: &str) -> Price {
        self.believed(model).await.and_then(Result::ok).unwrap_or_default()
    }

    async fn believed(&self, model: &str) -> Option<Result<Price, Error>> {
        let known = self.known.lock().await;
        let age = known.since?.elapsed();
        if known.failed {
            let problem = "it did not tell its prices a moment ago".to_owned();
            let failed = || Error::Unreadable { model: model.to_owned(), problem };
            return (age < FORGIVEN).then(|| Err(failed()));
        }
        (age < BELIEVED).then(|| Ok(find(&known.prices, model)))
    }
}

/// The prices of all deployments, and of the gateway's list for models that no deployment prices.
async fn ask(model: &str, caller: &Caller<'_>) -> Result<BTreeMap<String, Price>, Error> {
    let info: ModelInfo = call::get(caller, "/model/info", model).await?;
    let mut prices: BTreeMap<String, Price> = BTreeMap::new();
    for one in info.data.into_iter().take(MODELS_MAX) {
        let found = one.model_info.price;
        let names = [Some(one.model_name), one.model_info.id];
        for name in names.into_iter().flatten() {
            let price = prices.entry(name).or_insert(found);
            *price = dearest(*price, found);
        }
    }
    if find(&prices, model).input_cost_per_token.is_none() {
        let listed: BTreeMap<String, Value> = call::get(caller, COST_MAP, model).await?;
        for (name, entry) in listed.into_iter().take(MODELS_MAX) {
            if let Ok(price) = serde_json::from_value::<Price>(entry) {
                let known = prices.entry(name).or_insert(price);
                if known.input_cost_per_token.is_none() {
                    *known = price;
                }
            }
        }
    }
    Ok(prices)
}

/// By its name, or by the pattern that is for all.
fn find(prices: &BTreeMap<String, Price>, model: &str) -> Price {
    prices.get(model).or_else(|| prices.get("*")).copied().unwrap_or_default()
}

fn dearest(one: Price, other: Price) -> Price {
    let most = |one: Option<f64>, other: Option<f64>| Some(one?.max(other?));
    Price {
        input_cost_per_token: most(one.input_cost_per_token, other.input_cost_per_token),
        output_cost_per_token: most(one.output_cost_per_token, other.output_cost_per_token),
        max_output_tokens: one.max_output_tokens.min(other.max_output_tokens),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICE: Price = Price {
        input_cost_per_token: Some(1e-6),
        output_cost_per_token: Some(2e-6),
        max_output_tokens: Some(1_000),
    };

    fn fitted(left: u64, wanted: Option<u32>) -> Result<u32, String> {
        fit("m", PRICE, Left { microusd: left }, (68, 1), wanted).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_is_cut_to_what_is_left_and_a_call_that_cannot_be_paid_is_not_made() {
        // 68 bytes and two frames are at most 100 tokens: 100 millionths.
        assert_eq!(fitted(1_000_000, Some(50)), Ok(50));
        assert_eq!(fitted(1_000_000, None), Ok(1_000));
        assert_eq!(fitted(140, Some(50)), Ok(20));
        assert!(fitted(101, Some(50)).unwrap_err().contains("$0.000101 is left"));
        assert!(fitted(99, Some(50)).is_err());
    }

    #[test]
    fn without_a_price_no_cap_can_be_held() {
        let found = fit("m", Price::default(), Left { microusd: 1_000 }, (1, 1), None);
        assert!(found.unwrap_err().to_string().contains("what m costs is not known"));
    }

    #[test]
    fn a_fraction_of_a_millionth_counts_as_one_and_rounding_adds_none() {
        assert_eq!(microusd(0.000_001_2), 2);
        assert_eq!(microusd(0.1 + 0.2), 300_000);
        assert_eq!(microusd(0.0), 0);
        assert_eq!(microusd(f64::NAN), 0);
    }
}
