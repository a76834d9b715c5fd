//! What is said when a run has ended: how it went, what it made, and what to do next.

use maestro_schemas::api::artifacts::StepArtifact;
use maestro_schemas::api::runs::RunDetail;
use maestro_schemas::api::steps::AttemptView;
use maestro_schemas::artifact::LOG_ROLE;
use maestro_schemas::sandbox::SANDBOX_ROLE;
use maestro_schemas::step::RunState;

use crate::view::clean::{clean, cut};
use crate::view::duration::{short, spoken};
use crate::view::model::{Run, Step};
use crate::view::paint::Paint;
use crate::view::words::{count, failure, tint_run};

/// How many failed steps, artifacts and outputs are named.
const NAMED_MAX: usize = 12;

/// All that is known of a run that has ended.
#[derive(Debug)]
pub struct Ending<'a> {
    /// As the viewer knows it.
    pub run: &'a Run,
    /// As the server tells it.
    pub detail: &'a RunDetail,
    /// The attempts of failed steps, as far as they were asked for.
    pub attempts: &'a [AttemptView],
    /// What it made.
    pub artifacts: &'a [StepArtifact],
    /// Flags that a next command needs to reach the same server, as ` --local`.
    pub flags: &'a str,
}

/// The last words.
pub fn lines(ending: &Ending<'_>, paint: Paint) -> Vec<String> {
    let mut lines = vec![head(ending, paint)];
    if ending.detail.summary.state == RunState::Succeeded {
        lines.extend(outputs(ending));
        lines.extend(artifacts(ending, paint));
    } else {
        lines.extend(failures(ending, paint));
        lines.extend(next(ending, paint));
    }
    lines
}

fn head(ending: &Ending<'_>, paint: Paint) -> String {
    let summary = &ending.detail.summary;
    let took =
        summary.ended_at_ms.unwrap_or(summary.created_at_ms).saturating_sub(summary.created_at_ms);
    let mut said = format!(
        "{}: {} of work in {}",
        summary.state.as_str(),
        spoken(summary.work_ms),
        spoken(took)
    );
    said.push_str(&format!(", {}", count(summary.steps_ended, "step")));
    if summary.steps_cached > 0 {
        said.push_str(&format!(", {} cached", summary.steps_cached));
    }
    if summary.steps_failed > 0 {
        said.push_str(&format!(", {} failed", summary.steps_failed));
    }
    let sign = if summary.state == RunState::Succeeded { "✓" } else { "✗" };
    let run = paint.dim(&format!("  {}", summary.id));
    format!("{}{run}", tint_run(paint, summary.state, &format!("{sign} {said}")))
}

fn outputs(ending: &Ending<'_>) -> Vec<String> {
    let outputs = ending.detail.outputs.iter().take(NAMED_MAX);
    outputs
        .map(|(name, value)| {
            format!("  {} = {}", clean(name), cut(&clean(&value.to_string()), 200))
        })
        .collect()
}

fn artifacts(ending: &Ending<'_>, paint: Paint) -> Vec<String> {
    let own = [LOG_ROLE, SANDBOX_ROLE];
    let made: Vec<_> = ending
        .artifacts
        .iter()
        .filter(|made| !own.contains(&made.artifact.role.as_str()))
        .collect();
    let mut lines: Vec<String> =
        made.iter().take(NAMED_MAX).map(|made| artifact(made, paint)).collect();
    if made.len() > NAMED_MAX {
        let command = format!("maestro artifacts list {}{}", ending.run.id, ending.flags);
        lines.push(format!("  … {} more: {command}", made.len() - NAMED_MAX));
    }
    lines
}

fn artifact(made: &StepArtifact, paint: Paint) -> String {
    let StepArtifact { step, artifact } = made;
    let digest = paint.dim(&artifact.digest.to_string());
    format!("  {} {}  {}  {digest}", clean(step), clean(&artifact.role), bytes(artifact.size))
}

fn failures(ending: &Ending<'_>, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let failed: Vec<_> = ending.run.steps.iter().filter(|step| step.has_failed()).collect();
    for step in failed.iter().take(NAMED_MAX) {
        let why = step.failure.as_ref().map_or_else(|| "failed".to_owned(), failure);
        let how = how(ending, step);
        lines.push(format!("  {} {}{how}", paint.bold(&step.id), paint.bad(&why)));
        lines
            .extend(step.tail.iter().map(|line| format!("    {} {}", paint.dim("│"), clean(line))));
    }
    if failed.len() > NAMED_MAX {
        lines.push(format!("  … {} more steps failed", failed.len() - NAMED_MAX));
    }
    if let (true, Some(cause)) = (failed.is_empty(), &ending.run.cause) {
        lines.push(format!("  {cause}"));
    }
    lines
}

/// `  (attempt 3 on host-1, 0.4s)`
fn how(ending: &Ending<'_>, step: &Step) -> String {
    let of_step = |attempt: &&AttemptView| step.is(attempt.address) && attempt.failure.is_some();
    let Some(last) = ending.attempts.iter().rfind(of_step) else {
        return String::new();
    };
    let worker = step.worker.as_ref().map(|worker| format!(" on {worker}")).unwrap_or_default();
    format!("  (attempt {}{worker}, {})", last.number, short(last.wall_ms))
}

fn next(ending: &Ending<'_>, paint: Paint) -> Vec<String> {
    let Ending { run, flags, .. } = ending;
    let retry = match ending.detail.summary.state {
        RunState::Failed => format!("maestro runs rerun {} --failed{flags}", run.id),
        RunState::Cancelled => format!("maestro runs rerun {} --failed{flags}", run.id),
        _ => return vec![],
    };
    let mut lines = vec![format!("  {} {retry}", paint.dim("retry:"))];
    if ending.detail.summary.steps_failed > 0 {
        lines.push(format!("  {} maestro logs {} --failed{flags}", paint.dim("logs: "), run.id));
    }
    lines
}

/// A size for people: `0 B`, `1.5 KiB`, `200 MiB`.
pub fn bytes(size: u64) -> String {
    let units = [(1u64 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in units {
        if size >= unit * 10 {
            return format!("{} {name}", size / unit);
        }
        if size >= unit {
            return format!("{}.{} {name}", size / unit, size % unit * 10 / unit);
        }
    }
    format!("{size} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::tests::{detail, run, turned};
    use maestro_schemas::artifact::Artifact;
    use maestro_schemas::digest::Digest;
    use maestro_schemas::step::{StepAddress, StepState};

    #[test]
    fn a_good_end_tells_work_and_time_and_what_was_made() {
        let mut detail = detail();
        detail.summary.state = RunState::Succeeded;
        detail.summary.ended_at_ms = Some(35_000);
        detail.summary.work_ms = 63_000;
        detail.summary.steps_ended = 6;
        let artifact = |role: &str| StepArtifact {
            step: "package/tar".into(),
            artifact: Artifact {
                role: role.into(),
                digest: Digest::of(b""),
                size: 1_536,
                media_type: "application/x-tar".into(),
            },
        };
        let artifacts = [artifact("dist"), artifact(LOG_ROLE), artifact(SANDBOX_ROLE)];
        let ending = Ending {
            run: &run(),
            detail: &detail,
            attempts: &[],
            artifacts: &artifacts,
            flags: "",
        };
        assert_eq!(
            lines(&ending, Paint::OFF),
            [
                "✓ succeeded: 63 s of work in 34 s, 6 steps  run_01h455vb4pex5vsknk084sn02q",
                "  package/tar dist  1.5 KiB  \
                 sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ]
        );
    }

    #[test]
    fn a_bad_end_tells_which_step_why_its_last_lines_and_how_to_go_on() {
        let mut run = run();
        run.fold(&turned(StepAddress::node(1), StepState::Live, 1, 2_000), 2_000);
        run.fold(&turned(StepAddress::node(1), StepState::Failed, 1, 3_000), 3_000);
        run.step_mut(StepAddress::node(1)).unwrap().tail = vec!["left: 1".into()];
        let mut detail = detail();
        detail.summary.state = RunState::Failed;
        detail.summary.ended_at_ms = Some(3_000);
        detail.summary.work_ms = 950;
        detail.summary.steps_ended = 1;
        detail.summary.steps_failed = 1;
        let ending =
            Ending { run: &run, detail: &detail, attempts: &[], artifacts: &[], flags: " --local" };
        assert_eq!(
            lines(&ending, Paint::OFF),
            [
                "✗ failed: 950 ms of work in 2.0 s, 1 step, 1 failed  run_01h455vb4pex5vsknk084sn02q",
                "  test/unit exit code 1: 2 tests failed",
                "    │ left: 1",
                "  retry: maestro runs rerun run_01h455vb4pex5vsknk084sn02q --failed --local",
                "  logs:  maestro logs run_01h455vb4pex5vsknk084sn02q --failed --local",
            ]
        );
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(200 << 20), "200 MiB");
    }
}
