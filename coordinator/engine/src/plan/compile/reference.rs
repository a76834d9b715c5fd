//! What a name of the author's means: a step by its name or `stage/name`, or a stage.

use super::gather::{Frame, Graph, Need, Target};
use crate::pipeline::diagnostic::list;
use crate::pipeline::{Code, Fault, Position};

/// The step that `name` means in a stage of a pipeline: `stage/name`, or a name in the same stage,
/// or one that only one step has.
pub fn step(frame: &Frame, stage: &str, name: &str, at: Position) -> Result<Target, Fault> {
    if let Some(target) = near(frame, stage, name) {
        return Ok(target);
    }
    let named = frame.named.get(name).map(Vec::as_slice).unwrap_or_default();
    match named {
        [id] => frame.ids.get(id).copied().ok_or_else(|| unknown(frame, name, at)),
        [] => Err(unknown(frame, name, at)),
        several => Err(Fault::new(
            Code::AmbiguousReference,
            at,
            format!("several steps are named {name:?}"),
        )
        .found(name)
        .expected(list(several.iter().map(String::as_str), "or"))),
    }
}

/// What `name` means in a step's `needs`: as [`step`], but a stage goes before a step of another
/// stage.
pub fn need(
    graph: &Graph,
    frame: &Frame,
    stage: &str,
    name: &str,
    at: Position,
) -> Result<Need, Fault> {
    if near(frame, stage, name).is_none()
        && let Some(group) = frame.stages.get(name)
    {
        return Ok(Need::Group(*group));
    }
    let found = step(frame, stage, name, at).map_err(|fault| match fault.code {
        Code::UnknownReference => {
            let stages = frame.stages.keys().map(String::as_str);
            fault.suggest(name, stages.chain(frame.named.keys().map(String::as_str)))
        }
        _ => fault,
    });
    Ok(match found? {
        Target::Step(step) => Need::Step(step),
        Target::Frame(used) => match graph.frames.get(used) {
            Some(used) => Need::Group(used.group),
            None => return Err(unknown(frame, name, at)),
        },
    })
}

fn near(frame: &Frame, stage: &str, name: &str) -> Option<Target> {
    frame.ids.get(name).or_else(|| frame.ids.get(&format!("{stage}/{name}"))).copied()
}

fn last_word(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

fn unknown(frame: &Frame, name: &str, at: Position) -> Fault {
    let names =
        || frame.ids.keys().map(|id| if name.contains('/') { id.as_str() } else { last_word(id) });
    Fault::new(Code::UnknownReference, at, format!("no step is named {name:?}"))
        .found(name)
        .expected(list(frame.ids.keys().map(String::as_str), "or"))
        .suggest(name, names())
}
