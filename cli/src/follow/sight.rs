//! What a viewer sees while a run is watched: a graph that is redrawn, lines, or JSON lines.

use maestro_schemas::event::Event;

use crate::error::Error;
use crate::output::Output;
use crate::view::frame::{Viewport, frame};
use crate::view::missed::missed;
use crate::view::model::{Run, Step};
use crate::view::screen::Screen;
use crate::view::{clean, plain};

/// The last frame may be longer than the screen, but not endless.
const LAST_FRAME_LINES: usize = 200;

/// One of the three renderers, and what it remembers.
#[derive(Debug)]
pub struct Sight {
    output: Output,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Live { screen: Screen, said: Option<String>, question: Option<&'static str> },
    Plain,
    Json,
}

impl Sight {
    /// The one that fits the output.
    pub fn new(output: Output) -> Self {
        let kind = match (output.is_json(), output.is_live()) {
            (true, _) => Kind::Json,
            (false, true) => Kind::Live { screen: Screen::default(), said: None, question: None },
            (false, false) => Kind::Plain,
        };
        Self { output, kind }
    }

    /// The watch begins.
    pub fn begin(&self, run: &Run) {
        if matches!(self.kind, Kind::Plain) {
            self.output.talk(&format!("{} {}", run.id, run.pipeline));
        }
    }

    /// Shows what the run went through since it was known as `before`, or at all.
    pub fn catch_up(&self, before: Option<&Run>, run: &Run, batch: u64) -> Result<(), Error> {
        if matches!(self.kind, Kind::Live { .. }) {
            return Ok(());
        }
        for (was, event) in missed(before, run, batch) {
            match self.kind {
                Kind::Live { .. } => {}
                Kind::Json => self.output.json_line(&event)?,
                Kind::Plain => {
                    let before = plain::Before::step(run, was);
                    for line in plain::lines(before, run, &event, event.at_ms) {
                        self.output.talk(&line);
                    }
                }
            }
        }
        Ok(())
    }

    /// Folds an event into the run and shows what it changed.
    pub fn event(&mut self, run: &mut Run, event: &Event, here_ms: u64) -> Result<(), Error> {
        match self.kind {
            Kind::Live { .. } => run.fold(event, here_ms),
            Kind::Json => {
                run.fold(event, here_ms);
                self.output.json_line(event)?;
            }
            Kind::Plain => {
                let before = plain::Before::of(run, event);
                run.fold(event, here_ms);
                for line in plain::lines(before, run, event, here_ms) {
                    self.output.talk(&line);
                }
            }
        }
        Ok(())
    }

    /// A failed step's last lines have come.
    pub fn tail(&self, step: &Step) {
        if matches!(self.kind, Kind::Plain) {
            for line in plain::tail(step) {
                self.output.talk(&line);
            }
        }
    }

    /// Words beside the run.
    pub fn say(&mut self, words: &str) {
        match &mut self.kind {
            Kind::Live { said, .. } => *said = Some(clean::clean(words)),
            Kind::Plain => self.output.talk(&clean::clean(words)),
            Kind::Json => {}
        }
    }

    /// Lines that stay, above what is redrawn.
    pub fn aside(&mut self, lines: &[String]) {
        match &mut self.kind {
            Kind::Live { screen, .. } => {
                self.output.draw(&screen.draw(Vec::new()));
                *screen = Screen::default();
            }
            Kind::Plain => {}
            Kind::Json => return,
        }
        for line in lines {
            self.output.talk(&clean::clean(line));
        }
    }

    /// A question that is open, below the graph.
    pub fn note(&mut self, open: Option<&'static str>) {
        if let Kind::Live { question, .. } = &mut self.kind {
            *question = open;
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, run: &Run, here_ms: u64) {
        let (width, height) = Screen::size();
        self.draw(run, here_ms, (width, height.saturating_sub(1)));
    }

    /// The watch ends; the run as it stands stays on the screen.
    pub fn leave(&mut self, run: &Run, here_ms: u64) {
        if let Kind::Live { said, question, .. } = &mut self.kind {
            (*said, *question) = (None, None);
        }
        let (width, _) = Screen::size();
        self.draw(run, here_ms, (width, LAST_FRAME_LINES));
    }

    fn draw(&mut self, run: &Run, here_ms: u64, (width, height): (usize, usize)) {
        let Kind::Live { screen, said, question } = &mut self.kind else { return };
        let words: Vec<String> = said
            .iter()
            .cloned()
            .chain(question.map(str::to_owned))
            .map(|words| clean::cut(&words, width))
            .collect();
        let height = height.saturating_sub(words.len());
        let paint = self.output.paint_talk();
        let mut lines = frame(run, Viewport { width, height, paint, here_ms });
        lines.extend(words.iter().map(|words| paint.warn(words)));
        self.output.draw(&screen.draw(lines));
    }
}
