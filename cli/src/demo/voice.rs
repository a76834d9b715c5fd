//! How the story is told: short lines behind a clock, on standard error like all talk.

use std::time::{Duration, Instant};

use crate::output::Output;
use crate::view::screen::Screen;

/// How often a line with a clock is drawn anew.
const TICK: Duration = Duration::from_millis(200);
/// Headings are as wide as this, the clock included.
const WIDTH: usize = 72;

/// The teller.
#[derive(Debug, Clone, Copy)]
pub struct Voice {
    /// Where the words go.
    pub output: Output,
    began: Instant,
}

impl Voice {
    /// Begins to count the time.
    pub fn new(output: Output) -> Self {
        Self { output, began: Instant::now() }
    }

    /// A heading, with the time since the story began.
    pub fn act(&self, title: &str) {
        let clock = clock(self.began.elapsed());
        let fill = "─".repeat(WIDTH.saturating_sub(title.chars().count() + clock.len() + 4));
        let paint = self.output.paint_talk();
        self.say("");
        self.say(&format!("{} {} {clock}", paint.bold(&format!("━━ {title}")), paint.dim(&fill)));
    }

    /// A line.
    pub fn say(&self, line: &str) {
        self.output.talk(line);
    }

    /// A line that can be passed over.
    pub fn whisper(&self, line: &str) {
        self.output.talk(&self.output.paint_talk().dim(line));
    }

    /// One line with a clock while something goes on.
    pub async fn while_waiting<T, E>(
        &self,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let began = Instant::now();
        let mut work = std::pin::pin!(work);
        let mut screen = Screen::default();
        if !self.output.is_live() {
            self.say(&format!("  {what} ..."));
        }
        loop {
            let line = |sign: &str| format!("  {what:<58} {}  {sign}", clock(began.elapsed()));
            if self.output.is_live() {
                self.output.draw(&screen.draw(vec![line("")]));
            }
            tokio::select! {
                done = &mut work => {
                    let line = line(if done.is_ok() { "✓" } else { "✗" });
                    match self.output.is_live() {
                        true => self.output.draw(&screen.draw(vec![line])),
                        false => self.say(&line),
                    }
                    return done;
                }
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }
}

/// `1:04`
fn clock(since: Duration) -> String {
    format!("{}:{:02}", since.as_secs() / 60, since.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_has_minutes_and_two_digits_of_seconds() {
        assert_eq!(clock(Duration::from_secs(4)), "0:04");
        assert_eq!(clock(Duration::from_secs(61)), "1:01");
    }
}
