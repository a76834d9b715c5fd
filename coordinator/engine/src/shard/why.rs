//! Why each waiting step of a run waits: exactly one reason, the first thing that it lacks.

use maestro_schemas::api::runs::{Waiting, WhyReport};
use maestro_schemas::id::RunId;
use maestro_schemas::plan::Node;
use maestro_schemas::step::StepAddress;

use super::Fold;
use crate::run::{Asking, Live, NodeStatus, Run};

impl Fold {
    /// The reasons of a run in memory; `None` where it is not.
    pub fn why(&self, id: RunId, now_ms: u64) -> Option<WhyReport> {
        let run = self.runs.get(&id)?;
        let nodes = (0u32..).zip(&run.plan.nodes);
        let mut waiting: Vec<Waiting> =
            nodes.filter_map(|(index, node)| self.why_node(run, index, node, now_ms)).collect();
        waiting.extend(run.pauses.iter().filter(|(step, _)| !run.live.contains_key(step)).map(
            |(step, pause)| {
                let left = pause.due_at_ms.saturating_sub(now_ms);
                match left {
                    _ if pause.is_held() => reason(run.step_name(*step), "input", held(run, *step)),
                    0 if run.unread_items(step.node).is_some() => {
                        let source = run.unread_items(step.node).and_then(|node| run.node(node));
                        let source = source.map_or("?", |node| &node.id);
                        let detail = format!("for the outputs of {source}");
                        reason(run.step_name(*step), "asking", detail)
                    }
                    0 => self.why_room(run, run.step_name(*step), step.node, now_ms),
                    _ => reason(
                        run.step_name(*step),
                        "retry",
                        format!(
                            "attempt {} begins in {:.1} s",
                            pause.attempt,
                            left as f64 / 1000.0
                        ),
                    ),
                }
            },
        ));
        let queued = run.live.iter().filter(|(_, live)| live.sight.heard_at_ms.is_none());
        waiting.extend(queued.map(|(step, live)| self.why_queued(run, *step, live, now_ms)));
        Some(WhyReport { waiting })
    }

    fn why_node(&self, run: &Run, index: u32, node: &Node, now_ms: u64) -> Option<Waiting> {
        let name = node.id.clone();
        match run.status(index) {
            NodeStatus::Waiting => Some(reason(name, "needs", needs(run, node))),
            NodeStatus::Asking(Asking::Result) => {
                Some(reason(name, "asking", "whether the result of its key is known".into()))
            }
            NodeStatus::Asking(Asking::ItemOutputs(source)) => {
                let source = run.node(*source).map_or("?", |node| node.id.as_str());
                Some(reason(name, "asking", format!("for the outputs of {source}")))
            }
            NodeStatus::Ready => Some(self.why_room(run, name, index, now_ms)),
            NodeStatus::Fanout(fanout) => {
                fanout.next_item()?;
                let left = fanout.count.saturating_sub(fanout.cursor);
                let name = format!("{name} ({left} items)");
                Some(match self.is_looking_up(run.id, index) {
                    true => reason(name, "asking", "for results and outputs that it needs".into()),
                    false => self.why_room(run, name, index, now_ms),
                })
            }
            NodeStatus::Active | NodeStatus::Ended(_) => None,
        }
    }

    fn why_room(&self, run: &Run, step: String, node: u32, now_ms: u64) -> Waiting {
        let Some(node) = run.node(node) else {
            return reason(step, "window", String::new());
        };
        match self.schedule.slots(&node.pool, now_ms) {
            None => reason(step, "pool", format!("no worker serves pool {}", node.pool)),
            Some(0) => {
                reason(step, "pool", format!("every worker of pool {} is draining", node.pool))
            }
            Some(slots) => {
                let in_flight = self.schedule.in_flight(&node.pool);
                reason(
                    step,
                    "window",
                    format!("pool {} is full: {in_flight} in flight, {slots} slots", node.pool),
                )
            }
        }
    }

    fn why_queued(&self, run: &Run, step: StepAddress, live: &Live, now_ms: u64) -> Waiting {
        let pool = run.node(step.node).map_or("?", |node| node.pool.as_str());
        let waited = now_ms.saturating_sub(live.decided_at_ms) as f64 / 1000.0;
        reason(
            run.step_name(step),
            "queued",
            format!("attempt {} is queued for pool {pool} since {waited:.1} s", live.token.number),
        )
    }
}

fn needs(run: &Run, node: &Node) -> String {
    let open = node.needs.iter().filter(|need| !matches!(run.status(**need), NodeStatus::Ended(_)));
    let mut names: Vec<&str> =
        open.filter_map(|need| run.node(*need)).map(|node| node.id.as_str()).collect();
    let more = names.len().saturating_sub(5);
    names.truncate(5);
    match (node.finally && names.is_empty(), more) {
        (true, _) => "every other step has to end first".to_owned(),
        (false, 0) => format!("waits for {}", names.join(", ")),
        (false, more) => format!("waits for {} and {more} more", names.join(", ")),
    }
}

fn held(run: &Run, step: StepAddress) -> String {
    let maker = run.held_for(step).and_then(|maker| run.node(maker)).map_or("?", |node| &node.id);
    format!("an object that {maker} made is lost; {maker} is executed again")
}

fn reason(step: String, reason: &str, detail: String) -> Waiting {
    Waiting { step, reason: reason.to_owned(), detail }
}
