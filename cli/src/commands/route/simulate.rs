//! `maestro route simulate`.

use std::path::{Path, PathBuf};

use maestro_router::simulate::bound::Confidence;
use maestro_router::simulate::choice::{Goals, choose};
use maestro_router::simulate::outcome::{self, Outcome};
use maestro_router::simulate::price::{Price, Prices};
use maestro_router::simulate::replay::replay;

use super::table;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;

/// A file of outcomes is no longer.
const TEXT_BYTES_MAX: u64 = 256 << 20;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A file of outcomes is CSV with the columns topic, prompt_chars, weak_correct and strong_correct: one
row per question, and for each model whether its answer was right. The setting is chosen on the
training file alone. The exit code is 0 whether or not the goals are reached on the judged file; the
report says which are. docs/router.md says what the figures mean.

Examples:
  maestro route simulate --train train.csv --judge judge.csv
  maestro route simulate --train train.csv --judge judge.csv --json
  maestro route simulate --train train.csv --judge judge.csv --weak-price 0.15,0.6 \\
    --strong-price 2.5,10 --output-tokens 200 --saving-min 30 --loss-max 0.5")]
pub struct Args {
    /// The outcomes that are learnt from.
    #[arg(long, value_name = "FILE")]
    train: PathBuf,
    /// The outcomes that are judged on; nothing is learnt from them.
    #[arg(long, value_name = "FILE")]
    judge: PathBuf,
    /// The weak model's price of input and output, in US dollars per million tokens.
    #[arg(long, value_name = "IN,OUT", default_value = "0.24,0.24", value_parser = price)]
    weak_price: Price,
    /// The strong model's price.
    #[arg(long, value_name = "IN,OUT", default_value = "10,30", value_parser = price)]
    strong_price: Price,
    /// How many characters of a prompt make a token.
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = above_zero)]
    chars_per_token: f64,
    /// How many tokens an answer has.
    #[arg(long, value_name = "NUMBER", default_value = "4", value_parser = not_negative)]
    output_tokens: f64,
    /// The same for a topic whose answers are of another length; may be given several times.
    #[arg(long, value_name = "TOPIC=NUMBER", default_value = "gsm8k=150", value_parser = topic_tokens)]
    output_tokens_of: Vec<(String, f64)>,
    /// The least saving, in percent of what the strong model alone costs.
    #[arg(long, value_name = "PERCENT", default_value = "15", value_parser = percent)]
    saving_min: f64,
    /// The most loss against the strong model alone that the lower bound may admit, in points.
    #[arg(long, value_name = "POINTS", default_value = "1.0", value_parser = percent)]
    loss_max: f64,
    /// The most loss as a share of what random choice loses at the same saving.
    #[arg(long, value_name = "SHARE", default_value = "0.35", value_parser = not_negative)]
    loss_ratio_max: f64,
    /// How sure bounds and intervals are.
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = confidence)]
    confidence: Confidence,
    /// Decides how the training rows are divided for cross-validation.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

impl Args {
    fn prices(&self) -> Result<Prices, Error> {
        let (weak, strong) = (self.weak_price, self.strong_price);
        if weak.input > strong.input || weak.output > strong.output {
            return Err(Error::usage(
                format!(
                    "the weak model's price {},{} is above the strong one's {},{}",
                    weak.input, weak.output, strong.input, strong.output
                ),
                "the weak model is the cheaper one, of input as of output",
            ));
        }
        Ok(Prices {
            weak,
            strong,
            chars_per_token: self.chars_per_token,
            output_tokens: self.output_tokens,
            output_tokens_by_topic: self.output_tokens_of.iter().cloned().collect(),
        })
    }

    fn goals(&self) -> Goals {
        Goals {
            saving_min: self.saving_min / 100.0,
            loss_max: self.loss_max / 100.0,
            loss_ratio_max: self.loss_ratio_max,
            confidence: self.confidence,
        }
    }
}

pub(super) fn perform(args: &Args, output: Output) -> Result<Exit, Error> {
    let (prices, goals) = (args.prices()?, args.goals());
    let (train, judge) = (read(&args.train)?, read(&args.judge)?);
    let choice = choose(&train, &prices, &goals, args.seed);
    let report = replay(&train, &judge, &choice, &goals);
    output.show(&report, || table::text(&report, &goals))?;
    Ok(Exit::Ok)
}

fn read(path: &Path) -> Result<Vec<Outcome>, Error> {
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound {
                what: format!("the file of outcomes {}", path.display()),
                hint: None,
            });
        }
        Ok(meta) if meta.len() > TEXT_BYTES_MAX => {
            return Err(Error::usage(
                format!(
                    "{} has {} bytes; a file of outcomes has at most {TEXT_BYTES_MAX}",
                    path.display(),
                    meta.len()
                ),
                "take a sample of its rows",
            ));
        }
        _ => {}
    }
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    outcome::read(&text).map_err(|malformed| Error::Outcomes { path: path.to_owned(), malformed })
}

fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err("expected a number".to_owned()),
    }
}

fn not_negative(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| {
        if number >= 0.0 { Ok(number) } else { Err("expected 0 or more".to_owned()) }
    })
}

fn above_zero(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| {
        if number > 0.0 { Ok(number) } else { Err("expected more than 0".to_owned()) }
    })
}

fn percent(text: &str) -> Result<f64, String> {
    number(text).and_then(|number| {
        if (0.0..=100.0).contains(&number) {
            Ok(number)
        } else {
            Err("expected 0 to 100".to_owned())
        }
    })
}

fn confidence(text: &str) -> Result<Confidence, String> {
    Confidence::new(number(text)?).ok_or_else(|| "expected 0.5 to 0.9999".to_owned())
}

fn price(text: &str) -> Result<Price, String> {
    let (input, output) = text.split_once(',').ok_or("expected IN,OUT, as 10,30")?;
    Ok(Price { input: not_negative(input)?, output: not_negative(output)? })
}

fn topic_tokens(text: &str) -> Result<(String, f64), String> {
    let (topic, tokens) = text.rsplit_once('=').ok_or("expected TOPIC=NUMBER")?;
    Ok((topic.to_owned(), not_negative(tokens)?))
}
