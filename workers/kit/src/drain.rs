//! Ending without losing an attempt: take no more, give back what was not begun, finish what runs
//! up to a limit, report it, and say goodbye.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for SIGTERM or SIGINT: who runs a worker then calls [`crate::session::Worker::drain`].
pub async fn signalled() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
