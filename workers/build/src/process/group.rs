//! A process group that does not outlive its owner.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::error::Error;
use crate::sandbox::descendants;

/// The group of a child that leads it and has not been reaped yet, which keeps the number its own.
#[derive(Debug)]
pub(super) struct Group {
    leader: Pid,
    /// Whether the others are in namespaces of their own.
    hidden: bool,
    gone: AtomicBool,
}

impl Group {
    /// The group that the child with this process id leads.
    pub(super) fn of(id: u32, hidden: bool) -> io::Result<Self> {
        let leader = i32::try_from(id).map_err(io::Error::other)?;
        Ok(Self { leader: Pid::from_raw(leader), hidden, gone: AtomicBool::new(false) })
    }

    /// Asks all to end. Those in namespaces of their own are asked one by one: were the leader asked,
    /// it would take them with it at once.
    pub(super) fn ask_to_end(&self) {
        if self.hidden && !self.gone.load(Ordering::Relaxed) {
            descendants::signal(self.leader, Signal::SIGTERM);
        } else {
            self.signal(Signal::SIGTERM);
        }
    }

    /// Sends a signal to every process of the group; that none is left is fine.
    pub(super) fn signal(&self, signal: Signal) {
        if !self.gone.load(Ordering::Relaxed)
            && let Err(error) = killpg(self.leader, signal)
            && error != Errno::ESRCH
        {
            tracing::warn!(%error, %signal, leader = %self.leader, "cannot signal a process group");
        }
    }

    /// Waits until the leader has ended, without reaping it.
    pub(super) async fn first_ended(&self) -> Result<(), Error> {
        let leader = self.leader;
        let wait = move || {
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
            while waitid(Id::Pid(leader), flags) == Err(Errno::EINTR) {}
        };
        tokio::task::spawn_blocking(wait).await.map_err(|_| Error::ShuttingDown)
    }

    /// The leader has been reaped: its number may become another's.
    pub(super) fn is_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}
