//! Builders of every subject. Names and ids are safe as tokens by their types.

use std::fmt::Display;

use maestro_schemas::id::{ExecutionId, RunId, WorkerId};
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};

use super::{ROOT, priority_token, word};

pub use async_nats::Subject;

fn subject(parts: std::fmt::Arguments<'_>) -> Subject {
    Subject::from(format!("{ROOT}.{parts}"))
}

/// Where a worker reports to; without a run for a message of several runs' reports.
pub fn inbox_report(shard: u16, pool: &PoolName, run: Option<RunId>) -> Subject {
    let run = run.map_or_else(|| word::SEVERAL.to_owned(), RunId::token);
    let (inbox, report) = (word::INBOX, word::REPORT);
    subject(format_args!("{inbox}.{shard}.{report}.{pool}.{run}"))
}

/// Where a worker says that an execution is about to call a model.
pub fn inbox_call(shard: u16, pool: &PoolName, run: RunId) -> Subject {
    let (inbox, call, run) = (word::INBOX, word::CALL, run.token());
    subject(format_args!("{inbox}.{shard}.{call}.{pool}.{run}"))
}

/// Where a worker claims an attempt whose effect may happen once.
pub fn inbox_claim(shard: u16, pool: &PoolName, run: RunId) -> Subject {
    let (inbox, claim, run) = (word::INBOX, word::CLAIM, run.token());
    subject(format_args!("{inbox}.{shard}.{claim}.{pool}.{run}"))
}

/// Where something is asked of a run.
pub fn inbox_command(shard: u16, run: RunId) -> Subject {
    let (inbox, command, run) = (word::INBOX, word::COMMAND, run.token());
    subject(format_args!("{inbox}.{shard}.{command}.{run}"))
}

/// An attempt's own subject.
pub fn task(
    pool: &PoolName,
    priority: Priority,
    run: RunId,
    step: StepAddress,
    token: AttemptToken,
) -> Subject {
    tasks(pool, &priority_token(priority), run, &attempt(step, token))
}

/// The filter that names an attempt whatever its priority.
pub fn tasks_of_attempt(
    pool: &PoolName,
    run: RunId,
    step: StepAddress,
    token: AttemptToken,
) -> Subject {
    tasks(pool, "*", run, &attempt(step, token))
}

/// The filter that names every task of a run in a pool.
pub fn tasks_of_run(pool: &PoolName, run: RunId) -> Subject {
    tasks(pool, "*", run, ">")
}

fn attempt(step: StepAddress, token: AttemptToken) -> String {
    format!("{step}.{}.{}", token.number, token.epoch)
}

fn tasks(pool: &PoolName, priority: &str, run: RunId, rest: &str) -> Subject {
    let (task, run) = (word::TASK, run.token());
    subject(format_args!("{task}.{pool}.{priority}.{run}.{rest}"))
}

/// Where a project's events go.
pub fn event(project: &ProjectName) -> Subject {
    subject(format_args!("{}.{project}", word::EVENT))
}

/// The filter that names every project's events.
pub fn events() -> Subject {
    subject(format_args!("{}.*", word::EVENT))
}

/// Where a run of a project is submitted by subject.
pub fn submit(project: &ProjectName) -> Subject {
    subject(format_args!("{}.{project}", word::SUBMIT))
}

/// Where an outside source triggers a project; `None` where `source` is no token.
pub fn trigger(project: &ProjectName, source: &str) -> Option<Subject> {
    is_token(source).then(|| subject(format_args!("{}.{project}.{source}", word::TRIGGER)))
}

/// One execution's live log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogAddress {
    /// The worker's pool.
    pub pool: PoolName,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt's number.
    pub attempt: u32,
    /// The execution.
    pub execution: ExecutionId,
}

/// Where an execution's output goes live.
pub fn log(address: &LogAddress) -> Subject {
    let LogAddress { pool, run, step, attempt, execution } = address;
    let (log, run, execution) = (word::LOG, run.token(), execution.token());
    subject(format_args!("{log}.{pool}.{run}.{step}.{attempt}.{execution}"))
}

/// The filter that names every live log of a run, or of one step of it.
pub fn logs(run: RunId, step: Option<StepAddress>) -> Subject {
    let step = step.map_or_else(|| "*".to_owned(), |step| step.to_string());
    subject(format_args!("{}.*.{}.{step}.*.*", word::LOG, run.token()))
}

/// Where executions of an attempt write down what it has spent.
pub fn spend(pool: &PoolName, run: RunId, step: StepAddress, token: AttemptToken) -> Subject {
    let (spend, run, attempt) = (word::SPEND, run.token(), attempt(step, token));
    subject(format_args!("{spend}.{pool}.{run}.{attempt}"))
}

fn dead(kind: &str, origin: impl Display) -> Subject {
    subject(format_args!("{}.{kind}.{origin}", word::DEAD))
}

/// Where a pool's undecodable tasks go.
pub fn dead_task(pool: &PoolName) -> Subject {
    dead(word::TASK, pool)
}

/// Where an inbox's messages go that could not be folded.
pub fn dead_inbox(shard: u16) -> Subject {
    dead(word::INBOX, shard)
}

/// Where a project's submissions go that could not be taken.
pub fn dead_submit(project: &ProjectName) -> Subject {
    dead(word::SUBMIT, project)
}

/// Where submissions go whose subject names no project that could be.
pub fn dead_submit_of_nobody() -> Subject {
    dead(word::SUBMIT, word::NOBODY)
}

/// Where a worker says that it lives.
pub fn heartbeat(pool: &PoolName, worker: WorkerId) -> Subject {
    let (heartbeat, worker) = (word::HEARTBEAT, worker.token());
    subject(format_args!("{heartbeat}.{pool}.{worker}"))
}

/// The filter that names every heartbeat.
pub fn heartbeats() -> Subject {
    subject(format_args!("{}.*.*", word::HEARTBEAT))
}

/// Where the workers of a pool are told to stop something.
pub fn control_cancel(pool: &PoolName) -> Subject {
    control(pool, word::CANCEL)
}

/// Where the workers of a pool are told to end.
pub fn control_drain(pool: &PoolName) -> Subject {
    control(pool, word::DRAIN)
}

/// Where one worker of a pool is told something.
pub fn control_worker(pool: &PoolName, worker: WorkerId) -> Subject {
    control(pool, worker.token())
}

/// The filter that names all that the workers of a pool are told.
pub fn control_all(pool: &PoolName) -> Subject {
    control(pool, "*")
}

fn control(pool: &PoolName, what: impl Display) -> Subject {
    subject(format_args!("{}.{pool}.{what}", word::CONTROL))
}

/// Where the owner of a shard is asked, and hinted at, by other owners.
pub fn owner(shard: u16) -> Subject {
    subject(format_args!("{}.{shard}", word::OWNER))
}

/// Where each coordinator says what it has ready and in flight.
pub fn demand() -> Subject {
    subject(format_args!("{}", word::DEMAND))
}

/// Where executions of a pool ask for the secrets of their steps.
pub fn secrets(pool: &PoolName) -> Subject {
    subject(format_args!("{}.{}.{pool}", word::RPC, word::SECRETS))
}

/// The filter that names the questions of every pool.
pub fn secrets_of_all() -> Subject {
    subject(format_args!("{}.{}.*", word::RPC, word::SECRETS))
}

/// Where a question is asked that changes no run; `None` where a word is no token.
pub fn rpc(service: &str, method: &str) -> Option<Subject> {
    (is_token(service) && is_token(method))
        .then(|| subject(format_args!("{}.{service}.{method}", word::RPC)))
}

fn is_token(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}
