//! What happens to the system in the middle of a run, and what the run does then.

use std::time::Duration;

use maestro_schemas::event::{Event, EventKind};
use maestro_schemas::step::{StepAddress, StepState};
use tokio::time::{Instant, sleep};

use super::fleet::Fleet;
use crate::error::Error;
use crate::view::duration::spoken;
use crate::view::model::{Run, Step};

/// A step is in the middle of its work after this.
const MIDDLE_MS: u64 = 1_500;
/// Nobody notices for so long that coordinator and bus are gone.
const DARK: Duration = Duration::from_secs(1);

/// What is to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    None,
    /// A worker that has a step in hand is killed.
    Worker,
    /// The coordinator and nats-server are killed while steps are carried out, and started again.
    Heart,
}

/// An accident that is to happen, has happened, or is over.
#[derive(Debug)]
pub struct Accident {
    kind: Kind,
    struck: Option<Struck>,
    /// What became of it.
    pub report: Option<Report>,
}

/// Whom it struck, and when.
#[derive(Debug)]
struct Struck {
    address: StepAddress,
    step: String,
    worker: String,
    at: Instant,
}

/// What became of an accident.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The step that was in hand.
    pub step: String,
    /// Who had it.
    pub worker: String,
    /// Who went on with it; the same worker where none was killed.
    pub elsewhere: Option<String>,
    /// How long it took until the run went on, in milliseconds.
    pub pause_ms: Option<u64>,
}

impl Accident {
    /// One that is still to happen.
    pub fn new(kind: Kind) -> Self {
        Self { kind, struck: None, report: None }
    }

    /// Strikes, if this is the moment; gives the words to tell it.
    pub async fn strike(
        &mut self,
        run: &Run,
        server_ms: u64,
        fleet: &mut Fleet,
    ) -> Result<Option<String>, Error> {
        if self.struck.is_some() || self.kind == Kind::None {
            return Ok(None);
        }
        let Some((step, worker)) = victim(run, server_ms) else { return Ok(None) };
        let (address, id) = (step.address, step.id.clone());
        let words = match self.kind {
            Kind::None => return Ok(None),
            Kind::Worker => {
                fleet.kill_worker(&worker).await?;
                format!("✗ {worker} was killed with -9 while it had {id} in hand")
            }
            Kind::Heart => {
                let launch = fleet.kill_heart().await?;
                sleep(DARK).await;
                fleet.revive_heart(launch).await?;
                format!(
                    "✗ the coordinator and nats-server were killed with -9 while {worker} had {id} in hand; both start again"
                )
            }
        };
        self.report = Some(Report {
            step: id.clone(),
            worker: worker.clone(),
            elsewhere: None,
            pause_ms: None,
        });
        self.struck = Some(Struck { address, step: id, worker, at: Instant::now() });
        Ok(Some(words))
    }

    /// Sees whether an event tells that the run goes on; gives the words to tell it.
    pub fn see(&mut self, event: &Event) -> Option<String> {
        let struck = self.struck.as_ref()?;
        let report = self.report.as_mut().filter(|report| report.pause_ms.is_none())?;
        let who = match (&event.kind, self.kind) {
            (EventKind::Started { address, worker, .. }, Kind::Worker)
                if *address == struck.address && *worker != struck.worker =>
            {
                worker.clone()
            }
            (EventKind::Step { address, state, .. }, Kind::Heart)
                if *address == struck.address && state.is_final() =>
            {
                struck.worker.clone()
            }
            _ => return None,
        };
        let pause_ms = u64::try_from(struck.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        (report.pause_ms, report.elsewhere) = (Some(pause_ms), Some(who.clone()));
        Some(match self.kind {
            Kind::Worker => {
                format!("✓ {} started again on {who}, {} later", struck.step, spoken(pause_ms))
            }
            _ => format!(
                "✓ {}'s end was told {} later, and the run goes on",
                struck.step,
                spoken(pause_ms)
            ),
        })
    }
}

/// The step that began last, when it is in the middle of its work, and its worker. It began after
/// another had ended, so that there is something to keep and not much to lose.
fn victim(run: &Run, server_ms: u64) -> Option<(&Step, String)> {
    let tested = |step: &&Step| step.stage == "test";
    let ended = run.steps.iter().filter(tested).filter(|step| step.state == StepState::Succeeded);
    let first_end = ended.filter_map(|step| step.ended_at_ms).min()?;
    let live = run.steps.iter().filter(tested).filter(|step| step.state == StepState::Live);
    let step = live.max_by_key(|step| step.started_at_ms)?;
    let began_after = step.started_at_ms.is_some_and(|start| start >= first_end);
    let in_the_middle = step.elapsed_ms(server_ms).is_some_and(|ms| ms >= MIDDLE_MS);
    if began_after && in_the_middle { Some((step, step.worker.clone()?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::model::tests::{detail, started, step, turned};

    fn testing() -> Run {
        Run::new(
            &detail(),
            vec![step("test/one", 0, None), step("test/two", 1, None), step("test/three", 2, None)],
        )
    }

    #[test]
    fn the_victim_began_after_another_had_ended_and_is_in_the_middle_of_its_work() {
        let mut run = testing();
        let begin = |run: &mut Run, node: u32, at_ms: u64| {
            run.fold(&turned(StepAddress::node(node), StepState::Live, 1, at_ms), at_ms);
            run.fold(&started(StepAddress::node(node), 1, &format!("worker-{node}")), at_ms);
        };
        begin(&mut run, 0, 2_000);
        begin(&mut run, 1, 2_000);
        assert!(victim(&run, 9_000).is_none());
        run.fold(&turned(StepAddress::node(0), StepState::Succeeded, 1, 8_000), 8_000);
        assert!(victim(&run, 9_000).is_none());
        begin(&mut run, 2, 8_100);
        assert!(victim(&run, 9_000).is_none());
        let (step, worker) = victim(&run, 9_600).unwrap();
        assert_eq!((step.id.as_str(), worker.as_str()), ("test/three", "worker-2"));
    }

    #[test]
    fn the_run_goes_on_when_another_worker_begins_the_step() {
        let address = StepAddress::node(1);
        let mut accident = Accident::new(Kind::Worker);
        let (step, worker) = ("test/two".to_owned(), "worker-2".to_owned());
        accident.report = Some(Report {
            step: step.clone(),
            worker: worker.clone(),
            elsewhere: None,
            pause_ms: None,
        });
        accident.struck = Some(Struck { address, step, worker, at: Instant::now() });
        assert_eq!(accident.see(&started(address, 1, "worker-2")), None);
        assert_eq!(accident.see(&started(StepAddress::node(2), 1, "worker-3")), None);
        assert!(accident.see(&started(address, 1, "worker-3")).unwrap().contains("on worker-3"));
        assert_eq!(accident.report.unwrap().elsewhere.as_deref(), Some("worker-3"));
    }
}
