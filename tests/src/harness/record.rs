//! What a scripted worker says of its executions: a line when one begins, and one when it ends.
//!
//! The file is written before the handler goes on, so what a killed worker had begun stands in it.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maestro_schemas::task::Task;

/// Where a worker's lines are.
#[derive(Debug, Clone)]
pub struct Record(PathBuf);

/// An execution that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// When, since 1970.
    pub at: Duration,
    /// Run, step and attempt.
    pub attempt: String,
}

impl Record {
    /// The lines of a file, which need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Every execution that began, in order.
    pub fn begun(&self) -> Vec<Begun> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        lines(&text, "began")
            .map(|(at, attempt)| Begun { at, attempt: attempt.to_owned() })
            .collect()
    }

    /// Attempts that began and have not ended.
    pub fn in_hand(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let mut in_hand: Vec<String> =
            lines(&text, "began").map(|(_, attempt)| attempt.to_owned()).collect();
        for (_, attempt) in lines(&text, "ended") {
            if let Some(index) = in_hand.iter().position(|begun| begun == attempt) {
                in_hand.swap_remove(index);
            }
        }
        in_hand
    }
}

/// A line about a task, with its end.
pub fn line(what: &str, task: &Task) -> String {
    let (run, token) = (task.run.token(), task.token);
    format!("{what} {} {run}/{}/{}\n", now().as_micros(), task.step, token.number)
}

/// The time since 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn lines<'a>(text: &'a str, what: &'a str) -> impl Iterator<Item = (Duration, &'a str)> {
    text.lines().filter_map(move |line| {
        let mut words = line.strip_prefix(what)?.split_whitespace();
        let at = Duration::from_micros(words.next()?.parse().ok()?);
        Some((at, words.next()?))
    })
}
