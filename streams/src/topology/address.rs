//! Subjects read back. A subject that does not read is nobody's: the receiver drops or
//! dead-letters its message.

use maestro_schemas::id::{ExecutionId, RunId, WorkerId};
use maestro_schemas::name::{PoolName, ProjectName};
use maestro_schemas::plan::Priority;
use maestro_schemas::step::{AttemptToken, StepAddress};

use super::subject::LogAddress;
use super::{ROOT, word};

fn tokens<'a>(subject: &'a str, kind: &str) -> Option<impl Iterator<Item = &'a str>> {
    let mut tokens = subject.strip_prefix(ROOT)?.strip_prefix('.')?.split('.');
    (tokens.next() == Some(kind)).then_some(tokens)
}

fn parse<T: std::str::FromStr>(token: Option<&str>) -> Option<T> {
    token?.parse().ok()
}

fn ended<T>(value: T, rest: Option<&str>) -> Option<T> {
    rest.is_none().then_some(value)
}

/// A message in the inbox of a shard, by its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxSubject {
    /// The shard.
    pub shard: u16,
    /// What it is.
    pub kind: InboxKind,
}

/// What a message in an inbox is, and who may have sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxKind {
    /// Reports of a worker of `pool`; without a run where they are of several.
    Report {
        /// The pool, which the server made sure of.
        pool: PoolName,
        /// The run.
        run: Option<RunId>,
    },
    /// A claim by a worker of `pool`.
    Claim {
        /// The pool, which the server made sure of.
        pool: PoolName,
        /// The run.
        run: RunId,
    },
    /// A call of a model that a worker of `pool` is about to make.
    Call {
        /// The pool, which the server made sure of.
        pool: PoolName,
        /// The run.
        run: RunId,
    },
    /// A command from the api or the intake.
    Command {
        /// The run.
        run: RunId,
    },
}

impl InboxSubject {
    /// Reads `inbox.<shard>.…`.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = tokens(subject, word::INBOX)?;
        let shard = parse(tokens.next())?;
        let kind = match tokens.next()? {
            word::REPORT => InboxKind::Report {
                pool: parse(tokens.next())?,
                run: match tokens.next()? {
                    word::SEVERAL => None,
                    run => Some(RunId::from_token(run).ok()?),
                },
            },
            word::CLAIM => InboxKind::Claim {
                pool: parse(tokens.next())?,
                run: RunId::from_token(tokens.next()?).ok()?,
            },
            word::CALL => InboxKind::Call {
                pool: parse(tokens.next())?,
                run: RunId::from_token(tokens.next()?).ok()?,
            },
            word::COMMAND => InboxKind::Command { run: RunId::from_token(tokens.next()?).ok()? },
            _ => return None,
        };
        ended(Self { shard, kind }, tokens.next())
    }
}

/// The pool whose worker asks for secrets, which the server made sure of.
pub fn secrets_pool(subject: &str) -> Option<PoolName> {
    let mut tokens = tokens(subject, word::RPC)?;
    let is_it = tokens.next() == Some(word::SECRETS);
    let pool = parse(tokens.next())?;
    ended(pool, tokens.next()).filter(|_| is_it)
}

/// A task, by its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskSubject {
    /// The pool.
    pub pool: PoolName,
    /// The priority.
    pub priority: Priority,
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt.
    pub token: AttemptToken,
}

impl TaskSubject {
    /// Reads `task.<pool>.<priority>.<run>.<step>.<attempt>.<epoch>`.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = tokens(subject, word::TASK)?;
        let task = Self {
            pool: parse(tokens.next())?,
            priority: Priority::from_rank(parse(tokens.next()?.strip_prefix('p'))?),
            run: RunId::from_token(tokens.next()?).ok()?,
            step: parse(tokens.next())?,
            token: AttemptToken { number: parse(tokens.next())?, epoch: parse(tokens.next())? },
        };
        ended(task, tokens.next())
    }
}

/// A submission or a trigger, by its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitSubject {
    /// A run to begin.
    Submit {
        /// The tenant.
        project: ProjectName,
    },
    /// Something happened outside.
    Trigger {
        /// The tenant.
        project: ProjectName,
        /// Where.
        source: String,
    },
}

impl SubmitSubject {
    /// Reads `submit.<project>` or `trigger.<project>.<source>`.
    pub fn parse(subject: &str) -> Option<Self> {
        if let Some(mut tokens) = tokens(subject, word::SUBMIT) {
            let project = parse(tokens.next())?;
            return ended(Self::Submit { project }, tokens.next());
        }
        let mut tokens = tokens(subject, word::TRIGGER)?;
        let project = parse(tokens.next())?;
        let source = tokens.next()?.to_owned();
        ended(Self::Trigger { project, source }, tokens.next())
    }
}

impl LogAddress {
    /// Reads `log.<pool>.<run>.<step>.<attempt>.<execution>`.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = tokens(subject, word::LOG)?;
        let address = Self {
            pool: parse(tokens.next())?,
            run: RunId::from_token(tokens.next()?).ok()?,
            step: parse(tokens.next())?,
            attempt: parse(tokens.next())?,
            execution: ExecutionId::from_token(tokens.next()?).ok()?,
        };
        ended(address, tokens.next())
    }
}

/// A heartbeat, by its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatSubject {
    /// The pool.
    pub pool: PoolName,
    /// The worker.
    pub worker: WorkerId,
}

impl HeartbeatSubject {
    /// Reads `heartbeat.<pool>.<worker>`.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = tokens(subject, word::HEARTBEAT)?;
        let heartbeat = Self {
            pool: parse(tokens.next())?,
            worker: WorkerId::from_token(tokens.next()?).ok()?,
        };
        ended(heartbeat, tokens.next())
    }
}

/// What the workers of a pool are told, by its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlSubject {
    /// Stop what you have of a run.
    Cancel,
    /// Take no more.
    Drain,
    /// Told to one worker.
    Worker(WorkerId),
}

impl ControlSubject {
    /// Reads `control.<pool>.{cancel,drain,<worker>}`.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = tokens(subject, word::CONTROL)?;
        let _pool = tokens.next()?;
        let control = match tokens.next()? {
            word::CANCEL => Self::Cancel,
            word::DRAIN => Self::Drain,
            worker => Self::Worker(WorkerId::from_token(worker).ok()?),
        };
        ended(control, tokens.next())
    }
}

/// A question, by its subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcSubject {
    /// Who is asked.
    pub service: String,
    /// What.
    pub method: String,
}

impl RpcSubject {
    /// Reads `rpc.<service>.<method>`.
    pub fn parse(subject: &str) -> Option<Self> {
        let mut tokens = tokens(subject, word::RPC)?;
        let rpc = Self { service: tokens.next()?.to_owned(), method: tokens.next()?.to_owned() };
        ended(rpc, tokens.next())
    }
}

#[cfg(test)]
mod tests {
    use super::super::subject;
    use super::*;

    #[test]
    fn every_subject_that_is_received_reads_back() {
        let (run, pool): (_, PoolName) = (RunId::generate(), "build-strict".parse().unwrap());
        let (step, token) = (StepAddress::item(3, 99), AttemptToken { number: 2, epoch: 7 });
        let report = subject::inbox_report(3, &pool, None);
        let expected =
            InboxSubject { shard: 3, kind: InboxKind::Report { pool: pool.clone(), run: None } };
        assert_eq!(InboxSubject::parse(&report), Some(expected));
        let command = InboxSubject::parse(&subject::inbox_command(0, run));
        assert_eq!(command.unwrap().kind, InboxKind::Command { run });
        let task = subject::task(&pool, Priority::High, run, step, token);
        let read = TaskSubject::parse(&task).unwrap();
        assert_eq!(
            (read.priority, read.run, read.step, read.token),
            (Priority::High, run, step, token)
        );
        let address =
            LogAddress { pool, run, step, attempt: 2, execution: ExecutionId::generate() };
        assert_eq!(LogAddress::parse(&subject::log(&address)).as_ref(), Some(&address));
    }

    #[test]
    fn garbage_reads_as_nothing() {
        for text in [
            "",
            ".",
            "maestro.v1",
            "maestro.v1.inbox.0.report.build",
            "maestro.v1.inbox.70000.command.x",
            "maestro.v1.task.a.p0.b.c",
        ] {
            assert_eq!(InboxSubject::parse(text), None, "{text}");
            assert_eq!(TaskSubject::parse(text), None, "{text}");
        }
    }
}
