//! Workers: they take tasks, carry them out in some random way, report, and die.

use std::sync::Arc;

use maestro_schemas::artifact::Artifact;
use maestro_schemas::codec::InboxMessage;
use maestro_schemas::control::Cancel;
use maestro_schemas::digest::Digest;
use maestro_schemas::heartbeat::{Heartbeat, PERIOD_MS, RunningExecution};
use maestro_schemas::id::{ExecutionId, WorkerId};
use maestro_schemas::name::PoolName;
use maestro_schemas::outcome::{Failure, FailureClass, Outcome};
use maestro_schemas::report::{CallBegun, ModelCall, Report, Usage};
use maestro_schemas::task::Task;
use serde_json::json;

use super::nemesis::Blow;
use super::{Checked, Happening, Origin, World};
use crate::bus::{Content, Subject, TASK_ACK_WAIT_MS};
use crate::plans::{POOLS, ROLE};
use crate::planted::Planted;
use crate::store::POISON;

/// A worker's process.
#[derive(Debug)]
pub struct Worker {
    pub id: WorkerId,
    pub life: u64,
    pub pool: PoolName,
    pub slots: u64,
    pub is_alive: bool,
    pub paused_until: u64,
    pub running: Vec<Execution>,
}

/// An execution in a worker's hands.
#[derive(Debug)]
pub struct Execution {
    pub id: ExecutionId,
    pub task: Arc<Task>,
    pub seq: u64,
    pub started_at: u64,
    pub ends_at: u64,
    pub outcome: Outcome,
    /// The execution that it was reported with, itself or another of the worker.
    pub reported_with: Option<ExecutionId>,
}

impl Execution {
    pub fn subject(&self) -> Subject {
        (self.task.run, self.task.step, self.task.token)
    }
}

impl World {
    /// Starts a worker in a place, in place of the one that was there.
    pub fn hire(&mut self, place: usize) {
        let life = self.workers.get(place).map_or(0, |former| former.life + 1);
        let worker = Worker {
            id: WorkerId::from_uuid(self.id()),
            life,
            pool: POOLS[place % POOLS.len()].parse().expect("a name"),
            slots: self.setting.slots,
            is_alive: true,
            paused_until: 0,
            running: Vec::new(),
        };
        match self.workers.get_mut(place) {
            Some(slot) => *slot = worker,
            None => self.workers.push(worker),
        }
        let delay = self.dice.between(1, 300);
        self.after(delay, Happening::Beats { worker: place, life });
        self.after(delay, Happening::Offers(place % POOLS.len()));
    }

    pub fn fire(&mut self, place: usize) {
        if self.workers[place].is_alive {
            self.note(|| format!("worker {place} dies"));
            self.workers[place].is_alive = false;
            self.workers[place].running.clear();
            let delay = self.dice.between(200, 6_000);
            self.after(delay, Happening::Falls(Blow::Hires(place)));
        }
    }

    pub fn offer_soon(&mut self, pool: &str) {
        let index = POOLS.iter().position(|known| *known == pool).expect("a known pool");
        let delay = self.dice.between(0, 3);
        self.after(delay, Happening::Offers(index));
    }

    /// Gives tasks to workers with free slots, as long as there are both.
    pub fn offer(&mut self, pool: usize) -> Checked {
        loop {
            let now = self.now;
            let is_free = |place: &usize| {
                let worker = &self.workers[*place];
                worker.is_alive
                    && worker.paused_until <= now
                    && (worker.running.len() as u64) < worker.slots
            };
            let free: Vec<usize> =
                (pool..self.workers.len()).step_by(POOLS.len()).filter(is_free).collect();
            if free.is_empty() {
                return Ok(());
            }
            let place = *self.dice.pick(&free);
            let id = self.workers[place].id;
            let Some((seq, task)) =
                self.bus.pools.get_mut(POOLS[pool]).and_then(|pool| pool.take(id))
            else {
                return Ok(());
            };
            self.begin_execution(place, seq, Arc::clone(&task))?;
            if self.is_planted(Planted::TasksDoubled) {
                self.begin_execution(place, seq, task)?;
            }
        }
    }

    fn begin_execution(&mut self, place: usize, seq: u64, task: Arc<Task>) -> Checked {
        let id = ExecutionId::from_uuid(self.id());
        let subject = (task.run, task.step, task.token);
        self.note(|| format!("worker {place} begins {} {:?}", task.name, task.token));
        self.checker.started(subject)?;
        if self.checker.executions_of(subject) > 1 {
            self.mark("executed again");
        }
        let (lasts_ms, outcome) = self.outcome(&task);
        if matches!(&outcome, Outcome::Succeeded { outputs, .. } if outputs.contains_key("bad")) {
            self.checker.poisoned(task.run);
        }
        if self.is_deadly(&task) {
            let delay = self.dice.between(1, 50);
            let life = self.workers[place].life;
            self.after(delay, Happening::Falls(Blow::Kills(place, life)));
        }
        if calls_a_model(id) {
            let begun = call_begun(&task, id, &self.workers[place].pool);
            let content = Content::Message(InboxMessage::CallBegun(Box::new(begun)));
            let (shard, delay) = (task.shard, self.travel());
            self.after(delay, Happening::InboxArrives { shard, content, from: Origin::Nobody });
        }
        let execution = Execution {
            id,
            seq,
            started_at: self.now,
            ends_at: self.now + lasts_ms,
            outcome,
            reported_with: None,
            task,
        };
        self.workers[place].running.push(execution);
        self.after(lasts_ms, Happening::Ends { worker: place, execution: id });
        let renewal = Happening::Renews { worker: place, execution: id, subject, seq };
        self.after(TASK_ACK_WAIT_MS, renewal);
        Ok(())
    }

    /// Some tasks kill every worker that takes them, and any may kill one.
    fn is_deadly(&mut self, task: &Task) -> bool {
        let chance = self.setting.chances.deadly;
        let always = (task.run.uuid().as_u128() + u128::from(task.step.node)).is_multiple_of(19);
        self.strikes(if always { chance.saturating_mul(1000) } else { chance })
    }

    fn outcome(&mut self, task: &Task) -> (u64, Outcome) {
        if self.strikes(self.setting.chances.stuck) {
            return (task.timeout_ms + 120_000, success(task));
        }
        let lasts_ms = match self.dice.below(20) {
            0 => self.dice.between(500, 8_000),
            1..=4 => self.dice.between(50, 500),
            _ => self.dice.between(1, 50),
        };
        let lasts_ms = lasts_ms * self.setting.slowness;
        if lasts_ms > task.timeout_ms {
            return (task.timeout_ms, Outcome::failed(FailureClass::TimedOut, "too long"));
        }
        if let Some(lost) = self.lost_input(task) {
            let mut failure = Failure::new(FailureClass::InputLost, "an input is lost");
            failure.lost = Some(lost);
            return (lasts_ms.min(20), Outcome::Failed { failure, artifacts: Vec::new() });
        }
        if self.strikes(self.setting.chances.poison) {
            let outputs = [("bad".to_owned(), json!(POISON))].into();
            return (lasts_ms, Outcome::Succeeded { outputs, artifacts: Vec::new() });
        }
        let outcome = match self.dice.below(100) {
            0..=9 => Outcome::failed(FailureClass::Transient, "broken pipe"),
            10..=12 => Outcome::failed(FailureClass::Permanent, "a test failed"),
            13 => {
                let mut failure = Failure::new(FailureClass::Throttled, "slow down");
                failure.retry_after_ms = Some(self.dice.between(0, 3_000));
                Outcome::Failed { failure, artifacts: Vec::new() }
            }
            14 => Outcome::Cancelled { artifacts: Vec::new() },
            _ => success(task),
        };
        (lasts_ms, outcome)
    }

    /// An input of the task that is gone, now or since earlier.
    fn lost_input(&mut self, task: &Task) -> Option<Digest> {
        if !task.inputs.is_empty() && self.strikes(self.setting.chances.object_lost) {
            let input = self.dice.pick(&task.inputs).artifact.digest;
            self.lost.insert((task.run, input));
        }
        let is_lost = |digest: &Digest| self.lost.contains(&(task.run, *digest));
        task.inputs.iter().map(|input| input.artifact.digest).find(is_lost)
    }

    pub fn end_execution(&mut self, place: usize, id: ExecutionId) -> Checked {
        let now = self.now;
        let worker = &self.workers[place];
        let Some(execution) = worker.running.iter().find(|one| one.id == id) else {
            return Ok(());
        };
        if execution.reported_with.is_some() || execution.ends_at > now {
            return Ok(());
        }
        if worker.paused_until > now {
            self.after(worker.paused_until - now, Happening::Ends { worker: place, execution: id });
            return Ok(());
        }
        let shard = execution.task.shard;
        let bundled = self.dice.chance(200);
        let mut reports = Vec::new();
        let worker = &mut self.workers[place];
        let (who, pool) = (worker.id, worker.pool.clone());
        for one in &mut worker.running {
            let together =
                one.id == id || (bundled && one.ends_at <= now && one.task.shard == shard);
            if together && one.reported_with.is_none() {
                one.reported_with = Some(id);
                for artifact in one.outcome.artifacts() {
                    self.lost.remove(&(one.task.run, artifact.digest));
                }
                reports.push(report(one, (who, &pool), now));
            }
        }
        self.send_reports(shard, reports, Origin::Worker(place, id));
        Ok(())
    }

    fn send_reports(&mut self, shard: u16, reports: Vec<Report>, from: Origin) {
        let content = Content::Message(InboxMessage::Reports(reports));
        if self.strikes(self.setting.chances.unconfirmed) {
            let (content, delay) = (content.clone(), self.dice.between(1, 900));
            self.after(delay, Happening::InboxArrives { shard, content, from: Origin::Nobody });
        }
        if let Content::Message(InboxMessage::Reports(reports)) = &content
            && self.strikes(self.setting.chances.forged)
        {
            let mut forged = vec![self.forged(reports[0].clone())];
            if self.dice.chance(500) {
                forged.extend_from_slice(reports);
            }
            let content = Content::Message(InboxMessage::Reports(forged));
            self.after(1, Happening::InboxArrives { shard, content, from: Origin::Nobody });
        }
        let delay = self.travel();
        self.after(delay, Happening::InboxArrives { shard, content, from });
    }

    /// A report that is wrong in some way.
    fn forged(&mut self, mut report: Report) -> Report {
        match self.dice.below(5) {
            0 => report.token.epoch = u64::MAX - self.dice.below(2),
            1 => report.token.number += 1_000,
            2 => report.step.node = 4_000_000_000,
            3 => report.step.item = 4_000_000_000,
            _ => report.pool = "nobodys".parse().expect("a name"),
        }
        report
    }

    /// A report stands in the inbox: its task is done with.
    pub fn confirm_report(&mut self, place: usize, id: ExecutionId) -> Checked {
        let worker = &mut self.workers[place];
        let done: Vec<Execution> =
            worker.running.extract_if(.., |one| one.reported_with == Some(id)).collect();
        let pool = worker.pool.clone();
        if let Some(tasks) = self.bus.pools.get_mut(pool.as_str()) {
            done.iter().for_each(|one| tasks.ack(one.subject(), one.seq));
        }
        self.offer_soon(pool.as_str());
        Ok(())
    }

    /// A worker that lives renews its tasks; those of any other go to somebody else.
    pub fn renew(
        &mut self,
        place: usize,
        id: ExecutionId,
        (subject, seq): (Subject, u64),
    ) -> Checked {
        let worker = &self.workers[place];
        let has_it = worker.running.iter().any(|one| one.id == id);
        if has_it && worker.is_alive && worker.paused_until <= self.now {
            let renewal = Happening::Renews { worker: place, execution: id, subject, seq };
            self.after(TASK_ACK_WAIT_MS, renewal);
            return Ok(());
        }
        let pool = worker.pool.clone();
        if let Some(tasks) = self.bus.pools.get_mut(pool.as_str()) {
            tasks.give_back(subject, seq);
        }
        self.offer_soon(pool.as_str());
        Ok(())
    }

    pub fn beat(&mut self, place: usize, life: u64) -> Checked {
        let worker = &self.workers[place];
        if !worker.is_alive || worker.life != life {
            return Ok(());
        }
        self.after(PERIOD_MS, Happening::Beats { worker: place, life });
        let worker = &self.workers[place];
        if worker.paused_until > self.now {
            return Ok(());
        }
        let feigned = self.is_planted(Planted::SlotsFeigned);
        let heartbeat = Heartbeat {
            worker: worker.id,
            name: format!("w{place}"),
            pool: worker.pool.clone(),
            slots: if feigned { 10_000 } else { worker.slots as u32 },
            draining: false,
            leaving: false,
            actions: None,
            sandbox: None,
            running: worker.running.iter().map(|one| running(one, self.now)).collect(),
        };
        self.tell_all(&heartbeat);
        Ok(())
    }

    pub fn stop(&mut self, pool: &PoolName, cancel: &Cancel) -> Checked {
        for place in 0..self.workers.len() {
            if self.workers[place].pool != *pool || !self.workers[place].is_alive {
                continue;
            }
            let disobeys = self.strikes(self.setting.chances.disobeys);
            let delay = self.dice.between(1, 80);
            let ends_at = self.now + delay;
            let meant = |one: &&mut Execution| {
                let (run, step, token) = one.subject();
                one.reported_with.is_none()
                    && cancel.run == run
                    && cancel.attempt.is_none_or(|attempt| attempt == (step, token))
            };
            let mut stopped = Vec::new();
            for one in self.workers[place].running.iter_mut().filter(meant) {
                if !disobeys && one.ends_at > ends_at {
                    one.ends_at = ends_at;
                    one.outcome = Outcome::Cancelled { artifacts: Vec::new() };
                    stopped.push(one.id);
                }
            }
            for execution in stopped {
                self.after(delay, Happening::Ends { worker: place, execution });
            }
        }
        Ok(())
    }
}

fn success(task: &Task) -> Outcome {
    let count = 1 + u64::from(task.step.node + task.step.item) % 3;
    let list: Vec<u64> = (0..count).collect();
    let outputs = [("n".to_owned(), json!(count)), ("list".to_owned(), json!(list))].into();
    // Some steps never make the same bytes twice.
    let again = if task.step.node % 3 == 1 { task.step.visit as u8 } else { 0 };
    let mut bytes = [task.step.node as u8; 32];
    bytes[0] = again;
    let artifact = |role: &String| Artifact {
        role: role.clone(),
        digest: Digest::from_bytes(bytes),
        size: 1,
        media_type: "text/plain".into(),
    };
    let roles = task.outputs.iter().map(|output| &output.role).filter(|role| *role == ROLE);
    Outcome::Succeeded { outputs, artifacts: roles.map(artifact).collect() }
}

fn report(one: &Execution, (worker, pool): (WorkerId, &PoolName), now: u64) -> Report {
    let (run, step, token) = one.subject();
    Report {
        run,
        step,
        token,
        execution: one.id,
        worker,
        pool: pool.clone(),
        outcome: one.outcome.clone(),
        usage: Usage { wall_ms: now - one.started_at, cpu_ms: 1, cost_microusd: 7 },
        calls: calls_a_model(one.id).then(|| call(true)).into_iter().collect(),
    }
}

/// A third of all executions.
fn calls_a_model(execution: ExecutionId) -> bool {
    execution.uuid().as_u128().is_multiple_of(3)
}

fn call_begun(task: &Task, execution: ExecutionId, pool: &PoolName) -> CallBegun {
    let Task { run, step, token, .. } = *task;
    CallBegun { run, step, token, execution, pool: pool.clone(), ordinal: 0, call: call(false) }
}

fn call(settled: bool) -> ModelCall {
    ModelCall { settled, ..ModelCall::begun("m", Digest::from_bytes([7; 32]), 7) }
}

fn running(one: &Execution, now: u64) -> RunningExecution {
    let (run, step, token) = one.subject();
    RunningExecution {
        run,
        step,
        name: one.task.name.clone(),
        token,
        execution: one.id,
        elapsed_ms: now - one.started_at,
    }
}
