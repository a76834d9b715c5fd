//! People and CI: they submit, cancel, rerun, repeat themselves, and ask again until they are
//! answered.

use std::collections::{BTreeMap, BTreeSet};

use maestro_schemas::codec::InboxMessage;
use maestro_schemas::command::{Command, CommandAnswer, CommandKind, Rerun, Submission};
use maestro_schemas::digest::Digest;
use maestro_schemas::id::{CommandId, RunId};

use super::{Checked, Happening, Origin, World};
use crate::bus::Content;
use crate::planted::Planted;

/// How long one waits for an answer before one asks again, in milliseconds.
const PATIENCE_MS: u64 = 6_000;

/// Whose runs they are.
const PROJECTS: [&str; 2] = ["one", "two"];

/// The most reruns of a seed.
const RERUNS_MAX: usize = 2;

/// What was asked, and what of it was answered.
#[derive(Debug, Default)]
pub struct People {
    asked: BTreeMap<CommandId, (Command, Option<CommandAnswer>)>,
    looked_at: BTreeSet<RunId>,
    reruns: usize,
    keys: u64,
    /// When the last command is sent for the first time.
    pub last_at: u64,
}

impl People {
    /// Whether everything was answered.
    pub fn are_content(&self) -> bool {
        self.asked.values().all(|(_, answer)| answer.is_some())
    }

    /// The commands that were not answered.
    pub fn open(&self) -> Vec<&Command> {
        self.asked.values().filter(|(_, answer)| answer.is_none()).map(|(one, _)| one).collect()
    }
}

impl World {
    pub fn begin_people(&mut self) {
        for _ in 0..self.setting.runs {
            let plan = self.dice.pick(&self.plans).digest();
            let at = self.dice.below(if self.setting.has_faults() { 15_000 } else { 2_000 });
            self.submit(plan, None, at);
        }
        if self.setting.people && self.dice.chance(100) {
            self.submit(Digest::of(b"no such plan"), None, 10);
        }
        self.after(1_000, Happening::People);
    }

    /// Submits under a new key, perhaps twice, and perhaps cancels later.
    fn submit(&mut self, plan: Digest, rerun: Option<Rerun>, delay_ms: u64) {
        self.people.keys += 1;
        let key = format!("key-{}", self.people.keys);
        let run = self.run_of(&key);
        let submission = Submission { plan, labels: BTreeMap::new(), rerun };
        self.ask(run, CommandKind::Submit(submission.clone()), delay_ms);
        if !self.setting.people {
            return;
        }
        if self.dice.chance(200) {
            let again = delay_ms + self.dice.below(3_000);
            let run = self.run_of(&key);
            self.ask(run, CommandKind::Submit(submission), again);
        }
        if self.dice.chance(350) {
            let later = delay_ms + self.dice.below(6_000);
            self.ask(run, CommandKind::Cancel { reason: "enough".into() }, later);
            if self.dice.chance(350) {
                let later = later + self.dice.below(3_000);
                self.ask(run, CommandKind::Cancel { reason: "now".into() }, later);
            }
        }
    }

    /// The api's row: the run that a key stands for.
    fn run_of(&mut self, key: &str) -> RunId {
        let new = RunId::from_uuid(self.id());
        let run = match self.is_planted(Planted::KeysForgotten) {
            true => new,
            false => *self.store.keys.entry(key.to_owned()).or_insert(new),
        };
        self.checker.submitted(key, run);
        run
    }

    fn ask(&mut self, run: RunId, ask: CommandKind, delay_ms: u64) {
        let id = CommandId::from_uuid(self.id());
        let command = Command {
            id,
            run,
            project: PROJECTS[run.uuid().as_u128() as usize % 2].parse().expect("a name"),
            actor: "somebody".into(),
            answer_to: Some("answers".into()),
            ask,
        };
        self.people.last_at = self.people.last_at.max(self.now + delay_ms);
        self.people.asked.insert(id, (command, None));
        self.after(delay_ms, Happening::Asked(id));
        if self.setting.people && self.dice.chance(150) {
            let again = delay_ms + self.dice.below(100);
            self.after(again, Happening::Asked(id));
        }
    }

    pub fn send_command(&mut self, id: CommandId) -> Checked {
        let Some((command, None)) = self.people.asked.get(&id) else {
            return Ok(());
        };
        let command = command.clone();
        self.note(|| format!("asked {:?} of {}", command.ask, command.run));
        if self.is_planted(Planted::AnsweredEarly) {
            self.checker.answered(id, &CommandAnswer::Accepted, &self.store)?;
        }
        let shard = (command.run.uuid().as_u128() % u128::from(self.setting.shards)) as u16;
        let content = Content::Message(InboxMessage::Command(Box::new(command)));
        let delay = self.travel();
        self.after(delay, Happening::InboxArrives { shard, content, from: Origin::Nobody });
        self.after(PATIENCE_MS, Happening::Asked(id));
        Ok(())
    }

    pub fn hear_answer(&mut self, id: CommandId, answer: CommandAnswer) -> Checked {
        self.note(|| format!("{id} is answered {answer:?}"));
        let Some((command, known)) = self.people.asked.get_mut(&id) else {
            return Ok(());
        };
        let before = known.get_or_insert_with(|| answer.clone());
        self.checker.require(3, *before == answer, || {
            format!("{:?} was answered {before:?} and {answer:?}", command.ask)
        })
    }

    /// Looks at runs that have ended, and reruns some.
    pub fn watch_runs(&mut self) -> Checked {
        self.after(1_000, Happening::People);
        if self.strikes(self.setting.chances.garbage) {
            let shard = self.dice.below(u64::from(self.setting.shards)) as u16;
            let content = Content::Garbage;
            self.after(1, Happening::InboxArrives { shard, content, from: Origin::Nobody });
        }
        let ended: Vec<(RunId, Digest)> = self
            .store
            .runs
            .values()
            .filter(|run| run.state().is_final() && !self.people.looked_at.contains(&run.row.id))
            .map(|run| (run.row.id, run.row.plan))
            .collect();
        for (run, plan) in ended {
            self.people.looked_at.insert(run);
            if self.setting.people && self.people.reruns < RERUNS_MAX && self.dice.chance(400) {
                self.people.reruns += 1;
                let from = self.places_of(plan);
                self.submit(plan, Some(Rerun { of: run, from }), 1);
            }
        }
        Ok(())
    }

    /// Some steps of a plan to rerun from: a node, an item, or one that is not there.
    fn places_of(&mut self, plan: Digest) -> Vec<String> {
        let Some(plan) = self.store.plans.get(&plan) else {
            return Vec::new();
        };
        let node = self.dice.pick(&plan.nodes);
        match self.dice.below(10) {
            0 => Vec::new(),
            1 => vec!["s/no-such".into()],
            _ if node.for_each.is_some() && self.dice.chance(500) => {
                vec![format!("{}[{}]", node.id, self.dice.below(4))]
            }
            _ => vec![node.id.clone()],
        }
    }
}
