//! Output on its way from the pipe to the log, in pieces, never gathered.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::time::Instant;

use super::{Channel, Tail};

/// How long output is waited for that a process outside the group may still write.
const STRAGGLER_WAIT: Duration = Duration::from_millis(200);

/// How long, all in all, output is passed on after the first process has ended.
const DRAIN_MAX: Duration = Duration::from_secs(30);

const READ_BYTES: usize = 64 << 10;

/// Where a process' output goes.
pub(crate) struct Sink<'a> {
    /// Keeps the end of it.
    pub(crate) tail: &'a mut Tail,
    /// Takes all of it, where it is for people.
    pub(crate) log: Option<Channel>,
}

/// What the pump is about, for whoever waits for its end.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// It waits for the pipe, not for the log.
    reading: AtomicBool,
    /// Something came since this was last looked at.
    moved: AtomicBool,
    /// No process holds the pipe any more.
    ended: AtomicBool,
}

/// Passes on what comes until no process holds the pipe any more. Dropped while it writes, it has
/// lost what it was writing.
pub(super) async fn pump(mut output: pipe::Receiver, sink: &mut Sink<'_>, flow: &Flow) {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        flow.reading.store(true, Ordering::Relaxed);
        let read = output.read(&mut buffer).await;
        flow.reading.store(false, Ordering::Relaxed);
        flow.moved.store(true, Ordering::Relaxed);
        let count = read.unwrap_or(0);
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
            flow.ended.store(true, Ordering::Relaxed);
            return;
        };
        sink.tail.push(bytes);
        if let Some(log) = &mut sink.log {
            log.write(bytes).await;
        }
    }
}

/// Passes on what is still in the pipe when the group is dead. A process that left the group may
/// hold the pipe open for ever: silence ends the wait.
pub(super) async fn drain(mut pump: Pin<&mut (impl Future<Output = ()> + Send)>, flow: &Flow) {
    let until = Instant::now() + DRAIN_MAX;
    while !flow.ended.load(Ordering::Relaxed) && Instant::now() < until {
        flow.moved.store(false, Ordering::Relaxed);
        let waited = tokio::time::timeout(STRAGGLER_WAIT, pump.as_mut()).await;
        let silent = flow.reading.load(Ordering::Relaxed) && !flow.moved.load(Ordering::Relaxed);
        if waited.is_err() && silent {
            return;
        }
    }
}
