//! An input's bytes are lost: the step that made them is executed again.
//!
//! What waits for that is held: its pause has no end of its own and is brought forward once nothing
//! that it takes is being made any more, however that ended.

use std::collections::BTreeSet;

use maestro_schemas::action::Effect;
use maestro_schemas::digest::Digest;
use maestro_schemas::plan::{Node, Workspace};
use maestro_schemas::step::StepAddress;

use super::Facts;
use crate::event::{Event, Pause};
use crate::run::{Live, Run};

/// How often a node is executed again in a run because what it made is lost.
pub const VISITS_MAX: u32 = 3;

/// What helps an attempt that found an input lost.
pub(super) enum Remedy {
    /// The input was made since the attempt was decided: the next attempt gets that.
    Again,
    /// The input is being made, by the visit that begins now where there is one.
    Hold(Option<StepAddress>),
    /// Nothing, and why.
    None(String),
}

/// What helps the live attempt of `step`, which found `lost` missing or spoiled.
pub(super) fn remedy(run: &Run, step: StepAddress, live: &Live, lost: Digest) -> Remedy {
    let Some(node) = run.node(step.node) else {
        return Remedy::None("the plan has no such step".to_owned());
    };
    let makers = makers(run, node, lost);
    let remade = node.inputs.iter().filter_map(|input| run.remade.get(&input.node)?.at_ms);
    if let Some(at_ms) = remade.max()
        && (at_ms > live.decided_at_ms || (at_ms == live.decided_at_ms && makers.is_empty()))
    {
        return Remedy::Again;
    }
    if makers.iter().any(|maker| run.is_remaking(*maker)) {
        return Remedy::Hold(None);
    }
    let mut why = why_nobody(node, lost);
    for maker in makers {
        match visit(run, maker) {
            Ok(visit) => return Remedy::Hold(Some(visit)),
            Err(refused) => why = refused,
        }
    }
    Remedy::None(why)
}

/// The nodes whose artifact the step takes and that made the object.
fn makers(run: &Run, node: &Node, lost: Digest) -> BTreeSet<u32> {
    let made = |index: u32| run.made.get(&index).map(|made| made.artifacts.as_slice());
    let inputs = node.inputs.iter().filter(|input| {
        let mut artifacts = made(input.node).unwrap_or_default().iter();
        artifacts.any(|artifact| artifact.role == input.role && artifact.digest == lost)
    });
    inputs.map(|input| input.node).collect()
}

/// The next visit of a node, or why there is none.
fn visit(run: &Run, index: u32) -> Result<StepAddress, String> {
    let node = run.node(index).ok_or("the plan has no such step")?;
    let id = &node.id;
    if node.effect == Effect::Once {
        return Err(format!(
            "{id} made it and is executed only once; rerun the run from {id} to do so again"
        ));
    }
    if node.for_each.is_some() {
        return Err(format!("{id} made it and is a fan-out; rerun the run from {id}"));
    }
    let former = run.remade.get(&index).map_or(0, |remade| remade.visit);
    if former >= VISITS_MAX {
        return Err(format!(
            "{id} made it and was executed again {former} times; see whether the object storage \
             keeps what is written to it"
        ));
    }
    Ok(StepAddress { node: index, item: 0, visit: former + 1 })
}

fn why_nobody(node: &Node, lost: Digest) -> String {
    match node.workspace {
        Workspace::Tree { digest } if digest == lost => {
            "it is the snapshot of the sources; submit the run again from them".to_owned()
        }
        _ => "no step of this run made it; submit the run again".to_owned(),
    }
}

/// How many attempts of a step were no tries of its own: they ended because an input was lost.
pub(super) fn spared(run: &Run, step: StepAddress) -> u32 {
    if run.remade.is_empty() {
        return 0;
    }
    let inputs = run.node(step.node).map(|node| node.inputs.as_slice()).unwrap_or_default();
    let sources: BTreeSet<u32> = inputs.iter().map(|input| input.node).collect();
    sources.iter().filter_map(|source| run.remade.get(source)).map(|remade| remade.visit).sum()
}

/// Lets go of what waits for `ended`, a node of which a visit has ended, and for nothing else.
pub fn release(run: &Run, ended: u32, facts: Facts) -> Vec<Event> {
    if run.is_cancelled() || run.state.is_final() {
        return Vec::new();
    }
    let takes = |step: &StepAddress| {
        run.node(step.node).is_some_and(|node| node.inputs.iter().any(|input| input.node == ended))
    };
    run.pauses
        .iter()
        .filter(|(step, pause)| pause.is_held() && takes(step) && run.held_for(**step).is_none())
        .map(|(step, pause)| {
            let pause = Pause { due_at_ms: facts.now_ms, ..*pause };
            Event::PauseBegan { step: *step, pause }
        })
        .collect()
}
