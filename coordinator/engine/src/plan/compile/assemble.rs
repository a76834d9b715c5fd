//! Nodes put in the plan's order, with their edges and keys.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::plan::{Node, Workspace};

use super::Report;
use super::gather::{Draft, Graph};
use super::node::Nodes;
use super::order::{self, Edges};
use crate::pipeline::{Code, Fault};
use crate::plan::{check, key};

/// The most files that the keys of one plan name together; further keys name none.
const FILES_NAMED_TOTAL_MAX: usize = 20_000;

/// A node before its place in the plan is known: what it reads is named by draft.
pub struct Built {
    /// The node.
    pub node: Node,
    /// What it reads.
    pub reads: BTreeSet<usize>,
}

/// Puts the nodes in order; none where they wait for each other in a circle.
pub(super) fn order_nodes(
    graph: &Graph,
    mut edges: Edges,
    built: Vec<Built>,
    report: &mut Report,
) -> Vec<Node> {
    for (needs, built) in edges.iter_mut().zip(&built) {
        needs.extend(&built.reads);
    }
    let order = match order::sorted(&edges) {
        Ok(order) => order,
        Err(circle) => {
            tell_circle(graph, &circle, report);
            return Vec::new();
        }
    };
    let mut places = vec![0u32; order.len()];
    for (place, draft) in (0u32..).zip(&order) {
        if let Some(slot) = places.get_mut(*draft) {
            *slot = place;
        }
    }
    let place = |draft: &usize| places.get(*draft).copied().unwrap_or_default();
    let mut nodes: Vec<Node> = built
        .into_iter()
        .zip(&edges)
        .map(|(built, needs)| {
            let mut node = built.node;
            node.needs = sorted(needs.iter().map(place));
            node.reads = sorted(built.reads.iter().map(place));
            for input in &mut node.inputs {
                input.node = place(&(input.node as usize));
            }
            node
        })
        .collect();
    let mut placed: Vec<(u32, Node)> = places.iter().copied().zip(nodes.drain(..)).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, node)| node).collect()
}

fn sorted(places: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut places: Vec<u32> = places.collect();
    places.sort_unstable();
    places
}

fn tell_circle(graph: &Graph, circle: &[usize], report: &mut Report) {
    let drafts: Vec<&Draft> = circle.iter().filter_map(|step| graph.drafts.get(*step)).collect();
    let Some((first, frame)) =
        drafts.first().and_then(|first| Some((first, graph.frames.get(first.site.frame)?)))
    else {
        return;
    };
    let names: Vec<&str> = drafts.iter().chain([first]).map(|draft| draft.id.as_str()).collect();
    let fault = Fault::new(
        Code::Cycle,
        frame.source.at(&first.site.path),
        "steps wait for each other in a circle",
    )
    .found(names.join(" → "))
    .hint("take one of these out of `needs`, or out of an expression");
    report.add(&frame.source, Fault { found: Some(names.join(" → ")), ..fault });
}

/// Gives each node its key, where all that determines it is known.
pub(super) fn add_keys(out: &mut Nodes, has_files: bool) {
    let blocked: BTreeSet<&str> = out
        .unresolved
        .iter()
        .filter(|thing| check::BLOCKING_KINDS.contains(&thing.kind.as_str()))
        .map(|thing| thing.step.as_str())
        .collect();
    let mut room = FILES_NAMED_TOTAL_MAX;
    let keys: Vec<_> = out
        .nodes
        .iter()
        .map(|node| {
            let is_known = !node.templated
                && node.inputs.is_empty()
                && node.for_each.is_none()
                && !blocked.contains(node.id.as_str());
            is_known.then(|| {
                let mut key = key::of(node, &node.with, &node.env, &BTreeMap::new());
                if let (Workspace::Tree { digest }, true) =
                    (&node.workspace, has_files && node.cached)
                    && let Some(tree) = out.trees.get(digest)
                    && tree.entries.len() <= room
                {
                    room -= tree.entries.len();
                    key::name_files(&mut key, tree);
                }
                key
            })
        })
        .collect();
    for (node, key) in out.nodes.iter_mut().zip(keys) {
        node.key = key;
    }
}
