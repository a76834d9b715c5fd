//! Lines of ready work: one for each priority and project.

use std::collections::{BTreeMap, VecDeque};

use maestro_schemas::id::RunId;
use maestro_schemas::name::ProjectName;
use maestro_schemas::plan::Priority;
use maestro_schemas::step::StepAddress;

/// Ready work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A node's first attempt.
    Node {
        /// The run.
        run: RunId,
        /// The node's index.
        node: u32,
    },
    /// A step's next attempt.
    Again {
        /// The run.
        run: RunId,
        /// The step.
        step: StepAddress,
    },
    /// The items of a fan-out that were not released yet.
    Items {
        /// The run.
        run: RunId,
        /// The node's index.
        node: u32,
    },
}

/// Where an entry waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Before or after others.
    pub priority: Priority,
    /// Whose it is.
    pub project: ProjectName,
}

/// What a project may take in its turn, in slots.
const QUANTUM: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct ProjectQueues {
    lanes: BTreeMap<Priority, Lane>,
    count: usize,
}

#[derive(Debug, Default)]
struct Lane {
    /// Projects with entries, in turn; the first has the turn.
    turn: VecDeque<ProjectName>,
    /// What is left of the turn of the first.
    left: u32,
    lines: BTreeMap<ProjectName, VecDeque<Entry>>,
}

impl ProjectQueues {
    pub(super) fn push(&mut self, place: Place, entry: Entry) {
        self.count += 1;
        self.line(place).push_back(entry);
    }

    pub(super) fn push_front(&mut self, place: Place, entry: Entry) {
        self.count += 1;
        self.line(place).push_front(entry);
    }

    fn line(&mut self, place: Place) -> &mut VecDeque<Entry> {
        let lane = self.lanes.entry(place.priority).or_default();
        if !lane.lines.contains_key(&place.project) {
            lane.turn.push_back(place.project.clone());
        }
        lane.lines.entry(place.project).or_default()
    }

    pub(super) fn pop(&mut self, may: impl Fn(&ProjectName) -> bool) -> Option<(Place, Entry)> {
        let found = self.lanes.iter_mut().find_map(|(priority, lane)| {
            let (project, entry) = lane.pop(&may)?;
            Some((Place { priority: *priority, project }, entry))
        });
        self.count -= usize::from(found.is_some());
        found
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        for lane in self.lanes.values_mut() {
            lane.lines.values_mut().for_each(|line| line.retain(&keep));
            lane.lines.retain(|_, line| !line.is_empty());
            let lines = &lane.lines;
            lane.turn.retain(|project| lines.contains_key(project));
        }
        self.count =
            self.lanes.values().flat_map(|lane| lane.lines.values()).map(VecDeque::len).sum();
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Lane {
    fn pop(&mut self, may: &impl Fn(&ProjectName) -> bool) -> Option<(ProjectName, Entry)> {
        for _ in 0..self.turn.len() {
            let project = self.turn.front()?.clone();
            if may(&project) {
                let line = self.lines.get_mut(&project)?;
                let entry = line.pop_front()?;
                self.end_of_turn(&project);
                return Some((project, entry));
            }
            self.pass_on();
        }
        None
    }

    fn end_of_turn(&mut self, project: &ProjectName) {
        self.left = if self.left == 0 { QUANTUM - 1 } else { self.left - 1 };
        if self.lines.get(project).is_some_and(VecDeque::is_empty) {
            self.lines.remove(project);
            self.turn.pop_front();
            self.left = 0;
        } else if self.left == 0 {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        self.left = 0;
        self.turn.rotate_left(usize::from(!self.turn.is_empty()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(project: &str, priority: Priority) -> Place {
        Place { priority, project: project.parse().expect("a name") }
    }

    fn entry(node: u32) -> Entry {
        Entry::Node { run: RunId::from_uuid(uuid_of(1)), node }
    }

    fn uuid_of(bits: u128) -> uuid::Uuid {
        uuid::Uuid::from_u128(bits)
    }

    #[test]
    fn a_light_project_does_not_wait_behind_a_heavy_one() {
        let mut queues = ProjectQueues::default();
        (0..100).for_each(|node| queues.push(place("heavy", Priority::Normal), entry(node)));
        queues.push(place("light", Priority::Normal), entry(7));
        let order: Vec<_> =
            std::iter::from_fn(|| queues.pop(|_| true)).map(|(place, _)| place.project).collect();
        let position =
            order.iter().position(|project| project.as_str() == "light").expect("it comes");
        assert_eq!((position, order.len()), (QUANTUM as usize, 101));
    }

    #[test]
    fn a_higher_priority_goes_first_and_order_is_kept_within() {
        let mut queues = ProjectQueues::default();
        queues.push(place("p", Priority::Low), entry(1));
        queues.push(place("p", Priority::Critical), entry(2));
        queues.push(place("p", Priority::Critical), entry(3));
        let order: Vec<_> =
            std::iter::from_fn(|| queues.pop(|_| true)).map(|(_, entry)| entry).collect();
        assert_eq!(order, [entry(2), entry(3), entry(1)]);
    }
}
