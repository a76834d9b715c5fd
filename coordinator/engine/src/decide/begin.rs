//! A run begins, on its own or as the rerun of one that has ended.

use std::collections::BTreeSet;

use maestro_schemas::step::{StepAddress, StepState};

use super::Facts;
use crate::event::{ConcludedStep, Event};
use crate::run::bits::Bits;
use crate::run::former::Former;
use crate::run::{Made, Run};

/// What a rerun takes over from the run before it: results of nodes that neither are to be
/// executed again nor need one that is.
///
/// `from` names nodes, or items as `stage/name[3]`. Err holds the first name that the plan does
/// not have.
pub fn take_over(
    run: &Run,
    former: &Former,
    from: &[String],
    facts: Facts,
) -> Result<Vec<Event>, String> {
    let chosen = Chosen::read(run, from)?;
    let again = run.graph.downstream(chosen.nodes.iter().copied());
    let behind_items = run.graph.downstream(chosen.items.iter().map(|(node, _)| *node));
    let again: BTreeSet<u32> = again.into_iter().chain(behind_items).collect();
    let mut events = Vec::new();
    let mut kept = BTreeSet::new();
    for (index, node) in (0u32..).zip(&run.plan.nodes) {
        let partly = chosen.items.iter().any(|(chosen, _)| *chosen == index)
            && !chosen.nodes.contains(&index);
        let based = node.needs.iter().all(|need| kept.contains(need));
        if !based || (again.contains(&index) && !partly) {
            continue;
        }
        let Some(event) = carry(run, former, index, &chosen, facts) else {
            continue;
        };
        if is_whole(&event) {
            kept.insert(index);
        }
        events.push(event);
    }
    Ok(events)
}

/// Whether nothing of the node is left to be executed, so that what needs it may be kept as well.
fn is_whole(event: &Event) -> bool {
    match event {
        Event::FanoutOpened { count, reused: Some(reused), .. } => {
            Bits::from_bytes(reused, *count).len() == *count
        }
        _ => true,
    }
}

struct Chosen {
    nodes: BTreeSet<u32>,
    items: BTreeSet<(u32, u32)>,
}

impl Chosen {
    fn read(run: &Run, from: &[String]) -> Result<Self, String> {
        let mut chosen = Self { nodes: BTreeSet::new(), items: BTreeSet::new() };
        for name in from {
            if let Some(node) = run.graph.ids.get(name) {
                chosen.nodes.insert(*node);
                continue;
            }
            let item = name.strip_suffix(']').and_then(|name| name.rsplit_once('['));
            let known =
                item.and_then(|(id, item)| Some((*run.graph.ids.get(id)?, item.parse().ok()?)));
            chosen.items.insert(known.ok_or_else(|| name.clone())?);
        }
        Ok(chosen)
    }
}

fn carry(run: &Run, former: &Former, index: u32, chosen: &Chosen, facts: Facts) -> Option<Event> {
    let node = run.node(index)?;
    if node.for_each.is_none() {
        return former.nodes.get(&node.id).map(|made| keep(former, index, made, facts));
    }
    let before = former.fanouts.get(&node.id)?;
    let mut reused = Bits::new(before.count);
    let wanted =
        |item: &u32| before.succeeded.contains(*item) && !chosen.items.contains(&(index, *item));
    for item in (0..before.count).filter(wanted) {
        reused.insert(item);
    }
    Some(Event::FanoutOpened {
        node: index,
        count: before.count,
        items: before.items.clone(),
        reused: Some(reused.bytes().to_vec()),
    })
}

fn keep(former: &Former, index: u32, made: &Made, facts: Facts) -> Event {
    Event::StepConcluded(Box::new(ConcludedStep {
        step: StepAddress::node(index),
        state: StepState::Cached,
        reason: format!("kept from {}", former.run),
        blocks: false,
        ended_at_ms: facts.now_ms,
        outputs: made.outputs.clone(),
        artifacts: made.artifacts.clone(),
    }))
}
