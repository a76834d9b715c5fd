//! Who follows whom: names and places to edges between steps, and an order without circles.

use std::collections::BTreeSet;

use super::Report;
use super::gather::{Draft, Graph, Need};
use super::reference;
use crate::pipeline::{Code, Fault};
use crate::plan::check::EDGES_MAX;

/// For each step, the steps that it follows.
pub type Edges = Vec<BTreeSet<usize>>;

/// The edges that order and `needs` make. What a step reads joins them later.
pub(super) fn edges(graph: &Graph, report: &mut Report) -> Edges {
    let needs: Vec<Vec<Need>> =
        (0..graph.drafts.len()).map(|step| needs(graph, step, report)).collect();
    let ends: Vec<Vec<usize>> =
        graph.groups.iter().map(|group| ends(graph, group, &needs)).collect();
    let mut count = 0usize;
    let mut edges = Edges::new();
    for (needs, draft) in needs.iter().zip(&graph.drafts) {
        let mut all = BTreeSet::new();
        for need in needs {
            match need {
                Need::Step(step) => {
                    all.insert(*step);
                }
                Need::Group(group) => all.extend(ends.get(*group).into_iter().flatten()),
            }
        }
        count += all.len();
        if count > EDGES_MAX {
            too_many(graph, draft, report);
            return Edges::new();
        }
        edges.push(all);
    }
    edges
}

fn too_many(graph: &Graph, draft: &Draft, report: &mut Report) {
    if let Some(frame) = graph.frames.get(draft.site.frame) {
        let at = frame.source.at(&draft.site.path);
        report.add(
            &frame.source,
            Fault::new(
                Code::GraphLimit,
                at,
                format!("up to {:?}, too many steps wait for each other", draft.id),
            )
            .expected(format!("at most {EDGES_MAX} edges"))
            .hint("put a step between two wide stages, or use for_each"),
        );
    }
}

/// What a step follows: what it names; else its order; else what whoever uses its pipeline follows.
fn needs(graph: &Graph, step: usize, report: &mut Report) -> Vec<Need> {
    let Some(draft) = graph.drafts.get(step).filter(|_| !report.is_full()) else {
        return Vec::new();
    };
    let mut needs = own(graph, &draft.site, &draft.before, report);
    let mut frame = graph.frames.get(draft.site.frame);
    while needs.is_empty()
        && let Some(call) = frame.and_then(|frame| frame.call.as_ref())
    {
        needs = own(graph, &call.site, &call.before, report);
        frame = graph.frames.get(call.site.frame);
    }
    needs
}

fn own(
    graph: &Graph,
    site: &super::gather::Site,
    before: &[Need],
    report: &mut Report,
) -> Vec<Need> {
    let (Some(names), Some(frame)) = (&site.step.needs, graph.frames.get(site.frame)) else {
        return before.to_vec();
    };
    let at = frame.source.at(&site.path.join("needs"));
    names
        .as_slice()
        .iter()
        .filter_map(|name| {
            report.take(&frame.source, reference::need(graph, frame, &site.stage, name, at))
        })
        .collect()
}

/// The steps of a group that no other step of it follows; all of them where they go in a circle,
/// which is then found as one.
fn ends(graph: &Graph, group: &[usize], needs: &[Vec<Need>]) -> Vec<usize> {
    let followed: BTreeSet<usize> = group
        .iter()
        .filter_map(|step| needs.get(*step))
        .flatten()
        .flat_map(|need| match need {
            Need::Step(step) => std::slice::from_ref(step),
            Need::Group(other) => graph.groups.get(*other).map(Vec::as_slice).unwrap_or_default(),
        })
        .copied()
        .collect();
    let ends: Vec<usize> = group.iter().copied().filter(|step| !followed.contains(step)).collect();
    if ends.is_empty() { group.to_vec() } else { ends }
}

/// The steps in an order in which each stands after all that it follows, the author's order where
/// nothing else decides; or the ids of a circle.
pub fn sorted(edges: &Edges) -> Result<Vec<usize>, Vec<usize>> {
    let mut open: Vec<usize> = edges.iter().map(BTreeSet::len).collect();
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (step, needs) in edges.iter().enumerate() {
        for need in needs {
            if let Some(list) = followers.get_mut(*need) {
                list.push(step);
            }
        }
    }
    let mut ready: BTreeSet<usize> =
        open.iter().enumerate().filter(|(_, count)| **count == 0).map(|(step, _)| step).collect();
    let mut order = Vec::with_capacity(edges.len());
    while let Some(step) = ready.pop_first() {
        order.push(step);
        for follower in followers.get(step).into_iter().flatten() {
            if let Some(count) = open.get_mut(*follower) {
                *count -= 1;
                if *count == 0 {
                    ready.insert(*follower);
                }
            }
        }
    }
    if order.len() == edges.len() { Ok(order) } else { Err(circle(edges, &open)) }
}

/// Steps that follow each other in a circle, found by walking back from one that never got ready.
fn circle(edges: &Edges, open: &[usize]) -> Vec<usize> {
    let is_open = |step: &usize| open.get(*step).is_some_and(|count| *count > 0);
    let mut walk: Vec<usize> = Vec::new();
    let mut next = (0..edges.len()).find(is_open);
    while let Some(step) = next {
        if let Some(begin) = walk.iter().position(|known| *known == step) {
            walk.drain(..begin);
            break;
        }
        walk.push(step);
        next = edges.get(step).and_then(|needs| needs.iter().copied().find(|need| is_open(need)));
    }
    walk.reverse();
    walk
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(lists: &[&[usize]]) -> Edges {
        lists.iter().map(|list| list.iter().copied().collect()).collect()
    }

    #[test]
    fn the_authors_order_stands_where_nothing_else_decides() {
        assert_eq!(sorted(&edges(&[&[2], &[], &[]])), Ok(vec![1, 2, 0]));
    }

    #[test]
    fn a_circle_is_named_by_its_own_steps_alone() {
        let circle = sorted(&edges(&[&[], &[0, 3], &[1], &[2], &[3]])).expect_err("a circle");
        let mut named = circle.clone();
        named.sort_unstable();
        assert_eq!(named, [1, 2, 3]);
    }
}
