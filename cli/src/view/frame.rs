//! The graph of a run as lines that fit a terminal: stages, their steps, states, times, workers.
//!
//! Where the lines are too many, what has ended well goes first, then what waits, then what is
//! live; what failed goes last, and what is left out is counted.

use maestro_schemas::api::steps::ItemCounts;
use maestro_schemas::step::StepState;

use crate::view::clean::{clean, cut};
use crate::view::duration::short;
use crate::view::model::{Run, Step};
use crate::view::paint::Paint;
use crate::view::words::{failure, glyph, tint, tint_run};

/// How many lines of a failed step's output are shown.
pub const TAIL_LINES: usize = 8;
const NAME_MAX: usize = 40;
const BAR: u32 = 16;

/// What a frame has to fit.
#[derive(Debug, Clone, Copy)]
pub struct Viewport {
    /// Columns.
    pub width: usize,
    /// Lines.
    pub height: usize,
    /// Colours.
    pub paint: Paint,
    /// This machine's clock, in milliseconds since 1970.
    pub here_ms: u64,
}

/// Who stays longest when there is no room, the last variant first to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Head,
    Failed,
    Live,
    Stage,
    Tail,
    Waiting,
    Done,
}

struct Line {
    weight: Weight,
    text: String,
    tint: Tint,
}

#[derive(Clone, Copy)]
enum Tint {
    Bold,
    Dim,
    Run,
    Step(StepState),
}

/// The run in at most `height` lines of at most `width` characters, one at the least.
pub fn frame(run: &Run, view: Viewport) -> Vec<String> {
    let mut lines = vec![head(run, view.here_ms)];
    let name_width = name_width(run);
    for (name, steps) in run.stages() {
        lines.push(Line { weight: Weight::Stage, text: name.to_owned(), tint: Tint::Bold });
        for step in steps {
            step_lines(step, name_width, run.server_ms(view.here_ms), &mut lines);
        }
    }
    fit(&mut lines, view.height.max(1));
    lines.iter().map(|line| painted(run, line, view)).collect()
}

fn painted(run: &Run, line: &Line, view: Viewport) -> String {
    let text = cut(line.text.trim_end(), view.width);
    match line.tint {
        Tint::Bold => view.paint.bold(&text),
        Tint::Dim => view.paint.dim(&text),
        Tint::Run => tint_run(view.paint, run.state, &text),
        Tint::Step(state) => tint(view.paint, state, &text),
    }
}

fn head(run: &Run, here_ms: u64) -> Line {
    let (ended, total) = run.progress();
    let mut text = format!(
        "{}  {}  {ended}/{total} steps  {}",
        run.pipeline,
        run.state.as_str(),
        short(run.elapsed_ms(here_ms)),
    );
    if let Some(cause) = &run.cause {
        text.push_str(&format!("  {cause}"));
    }
    Line { weight: Weight::Head, text, tint: Tint::Run }
}

fn name_width(run: &Run) -> usize {
    run.steps.iter().map(|step| step.name().chars().count()).max().unwrap_or(0).min(NAME_MAX)
}

fn step_lines(step: &Step, name_width: usize, server_ms: u64, lines: &mut Vec<Line>) {
    let name = cut(step.name(), NAME_MAX);
    let time = step.elapsed_ms(server_ms).map(short).unwrap_or_default();
    let text = format!(
        "  {} {name:<name_width$}  {time:>7}  {}",
        glyph(step.state),
        notes(step, server_ms).join("  "),
    );
    lines.push(Line { weight: weight(step), text, tint: Tint::Step(shown_state(step)) });
    if step.has_failed() {
        lines.extend(step.tail.iter().map(|line| Line {
            weight: Weight::Tail,
            text: format!("      │ {}", clean(line)),
            tint: Tint::Dim,
        }));
    }
}

fn shown_state(step: &Step) -> StepState {
    if step.has_failed() { StepState::Failed } else { step.state }
}

fn weight(step: &Step) -> Weight {
    match step.state {
        _ if step.has_failed() => Weight::Failed,
        StepState::Live | StepState::Cancelling => Weight::Live,
        StepState::Waiting if step.failure.is_some() => Weight::Live,
        StepState::Waiting => Weight::Waiting,
        _ => Weight::Done,
    }
}

/// What is said of a step behind its time.
fn notes(step: &Step, server_ms: u64) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(step.items.map(bar));
    if step.attempt > 1 && !step.state.is_success() {
        notes.push(format!("attempt {}", step.attempt));
    }
    if step.state == StepState::Live && step.items.is_none() {
        notes.push(step.worker.clone().unwrap_or_else(|| "queued".to_owned()));
    }
    if let (StepState::Waiting, Some(at)) = (step.state, step.retry_at_ms) {
        notes.push(format!("tries again in {}", short(at.saturating_sub(server_ms))));
    }
    if matches!(step.state, StepState::Cached | StepState::Cancelling | StepState::Cancelled) {
        notes.push(step.state.as_str().to_owned());
    }
    if !step.state.is_success() {
        notes.extend(step.failure.as_ref().map(failure));
    }
    notes.extend(step.reason.clone().filter(|_| step.state.is_final()));
    notes
}

/// `████░░░░ 34/100  8 live  2 failed`
fn bar(items: ItemCounts) -> String {
    let full = (u64::from(items.ended) * u64::from(BAR) / u64::from(items.total.max(1)))
        .min(u64::from(BAR));
    let sign = |index| if u64::from(index) < full { '█' } else { '░' };
    let mut text: String = (0..BAR).map(sign).collect();
    text.push_str(&format!(" {}/{}", items.ended, items.total));
    if items.live > 0 {
        text.push_str(&format!("  {} live", items.live));
    }
    if items.failed > 0 {
        text.push_str(&format!("  {} failed", items.failed));
    }
    text
}

/// Leaves lines out, the lightest first and the lowest of those first, until they fit; what was
/// left out is said in one line.
fn fit(lines: &mut Vec<Line>, height: usize) {
    if lines.len() <= height {
        return;
    }
    let room = height.saturating_sub(1).max(1);
    let mut order: Vec<(Weight, usize)> =
        lines.iter().enumerate().map(|(at, line)| (line.weight, at)).collect();
    order.sort_unstable();
    let gone = order.split_off(room);
    let failed = gone.iter().filter(|(weight, _)| *weight == Weight::Failed).count();
    let mut keep = vec![true; lines.len()];
    for (_, at) in &gone {
        if let Some(kept) = keep.get_mut(*at) {
            *kept = false;
        }
    }
    let mut kept = keep.into_iter();
    lines.retain(|_| kept.next().unwrap_or(true));
    if height > 1 {
        let of_which =
            if failed > 0 { format!(", {failed} of them failed") } else { String::new() };
        let text = format!("  … {} more lines{of_which}", gone.len());
        lines.push(Line { weight: Weight::Head, text, tint: Tint::Dim });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::tests::{run, started, turned};
    use maestro_schemas::step::StepAddress;

    fn view(width: usize, height: usize) -> Viewport {
        Viewport { width, height, paint: Paint::OFF, here_ms: 4_000 }
    }

    fn busy() -> Run {
        let mut run = run();
        run.fold(&turned(StepAddress::node(0), StepState::Live, 1, 1_000), 1_000);
        run.fold(&turned(StepAddress::node(0), StepState::Succeeded, 1, 2_200), 2_200);
        run.fold(&turned(StepAddress::node(1), StepState::Live, 2, 2_500), 2_500);
        run.fold(&started(StepAddress::node(1), 2, "host-1"), 2_500);
        run.fold(&turned(StepAddress::item(2, 0), StepState::Live, 1, 2_500), 2_500);
        run.fold(&turned(StepAddress::item(2, 0), StepState::Succeeded, 1, 3_000), 3_000);
        run
    }

    #[test]
    fn a_frame_shows_every_stage_and_step_with_state_time_worker_and_attempt() {
        assert_eq!(
            frame(&busy(), view(80, 24)),
            [
                "demo  running  2/6 steps  3.0s",
                "build",
                "  ✓ compile     1.2s",
                "test",
                "  ▶ unit        1.5s  attempt 2  host-1",
                "  ▶ shard             ████░░░░░░░░░░░░ 1/4",
            ]
        );
    }

    #[test]
    fn a_failed_step_shows_why_and_its_last_lines() {
        let mut run = busy();
        let unit = StepAddress::node(1);
        run.fold(&turned(unit, StepState::Failed, 2, 3_500), 3_500);
        run.step_mut(unit).unwrap().tail = vec!["assert failed \u{1b}[31mred".into()];
        let lines = frame(&run, view(80, 24));
        assert_eq!(lines[4], "  ✗ unit        1.0s  attempt 2  exit code 1: 2 tests failed");
        assert_eq!(lines[5], "      │ assert failed red");
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for width in 1..40 {
            for line in frame(&busy(), view(width, 24)) {
                assert!(line.chars().count() <= width, "{line:?} is wider than {width}");
            }
        }
    }

    #[test]
    fn where_there_is_no_room_what_failed_stays() {
        let mut run = busy();
        run.fold(&turned(StepAddress::node(1), StepState::Failed, 2, 3_500), 3_500);
        for height in 3..6 {
            let lines = frame(&run, view(80, height));
            assert_eq!(lines.len(), height);
            assert!(lines.iter().any(|line| line.contains("✗ unit")), "{height}: {lines:?}");
            assert!(lines[height - 1].contains("more lines"));
        }
        assert!(frame(&run, view(80, 2))[1].contains("1 of them failed"));
        assert_eq!(frame(&run, view(80, 0)).len(), 1);
    }
}
