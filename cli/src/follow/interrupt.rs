//! Ctrl-C: the first asks whether to cancel the run or to leave it, the second leaves it.
//!
//! Where nobody can be asked, the first cancels. In raw mode a terminal sends no signal for
//! Ctrl-C but the key, and both mean the same here.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::output::Output;

const QUESTION: &str = "cancel the run (c), leave it to itself (d), or go on watching (w)?";
/// How long a look for a key takes before the asking is checked again.
const GLANCE: Duration = Duration::from_millis(50);

/// What the viewer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Nothing has changed.
    Nothing,
    /// The run is to end.
    Cancel,
    /// The run is to go on without a viewer.
    Detach,
}

/// The interrupts of one watch.
#[derive(Debug)]
pub struct Interrupts {
    signals: Signal,
    asking: Option<Asking>,
    cancelled: bool,
}

/// A question that is open. Dropping it gives the terminal back.
#[derive(Debug)]
struct Asking {
    key: JoinHandle<Option<Answer>>,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Cancel,
    Detach,
    Watch,
}

impl Interrupts {
    /// Takes Ctrl-C over from now on.
    pub fn listen() -> Result<Self, Error> {
        let signals = signal(SignalKind::interrupt())
            .map_err(|source| Error::System { action: "listen for Ctrl-C", source })?;
        Ok(Self { signals, asking: None, cancelled: false })
    }

    /// Waits for the next wish. May be dropped and called again.
    pub async fn wish(&mut self, output: Output) -> Wish {
        let answered = async {
            match &mut self.asking {
                Some(asking) => (&mut asking.key).await.ok().flatten(),
                None => std::future::pending().await,
            }
        };
        let answer = tokio::select! {
            _ = self.signals.recv() => None,
            answer = answered => Some(answer.unwrap_or(Answer::Watch)),
        };
        match answer {
            Some(answer) => self.take(answer),
            None => self.interrupted(output),
        }
    }

    /// What is being asked.
    pub fn question(&self) -> Option<&'static str> {
        self.asking.as_ref().map(|_| QUESTION)
    }

    /// Whether the viewer cancelled the run.
    pub fn was_cancelled(&self) -> bool {
        self.cancelled
    }

    fn take(&mut self, answer: Answer) -> Wish {
        self.asking = None;
        match answer {
            Answer::Watch => Wish::Nothing,
            Answer::Detach => Wish::Detach,
            Answer::Cancel => self.cancel(),
        }
    }

    fn interrupted(&mut self, output: Output) -> Wish {
        if self.cancelled || self.asking.take().is_some() {
            return Wish::Detach;
        }
        if output.is_live() && io::stdin().is_terminal() {
            self.asking = Asking::begin();
        }
        if self.asking.is_some() { Wish::Nothing } else { self.cancel() }
    }

    fn cancel(&mut self) -> Wish {
        self.cancelled = true;
        Wish::Cancel
    }
}

impl Asking {
    /// Nothing where the terminal does not give single keys.
    fn begin() -> Option<Self> {
        enable_raw_mode().ok()?;
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let key = tokio::task::spawn_blocking(move || read(&stopped));
        Some(Self { key, stop })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        // The terminal may be gone; then there is nothing to give back.
        let _ = disable_raw_mode();
    }
}

/// Reads keys until one of them is an answer, or nobody asks any more.
fn read(stopped: &std::sync::atomic::AtomicBool) -> Option<Answer> {
    while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
        if !event::poll(GLANCE).ok()? {
            continue;
        }
        if let Event::Key(key) = event::read().ok()?
            && key.kind == KeyEventKind::Press
            && let Some(answer) = answer(key.code, key.modifiers)
        {
            return Some(answer);
        }
    }
    None
}

fn answer(code: KeyCode, modifiers: KeyModifiers) -> Option<Answer> {
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Answer::Detach),
        KeyCode::Char('c' | 'C') => Some(Answer::Cancel),
        KeyCode::Char('d' | 'D' | 'q') => Some(Answer::Detach),
        KeyCode::Char('w' | 'W') | KeyCode::Esc | KeyCode::Enter => Some(Answer::Watch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_interrupt_leaves_whether_as_a_key_or_as_a_signal() {
        assert_eq!(answer(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Answer::Detach));
        assert_eq!(answer(KeyCode::Char('c'), KeyModifiers::NONE), Some(Answer::Cancel));
        assert_eq!(answer(KeyCode::Char('x'), KeyModifiers::NONE), None);
    }

    #[tokio::test]
    async fn where_nobody_can_be_asked_the_first_cancels_and_the_second_leaves() {
        let output = Output::new(true, crate::output::Color::Never);
        let mut interrupts = Interrupts::listen().unwrap();
        assert_eq!(interrupts.interrupted(output), Wish::Cancel);
        assert!(interrupts.was_cancelled());
        assert_eq!(interrupts.interrupted(output), Wish::Detach);
    }
}
