//! The thread that starts processes.
//!
//! A process that asks to die with its parent dies with the thread that started it. Threads of a
//! runtime come and go; this one stays as long as the worker.

use std::io;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// Processes that wait to be started.
const WAITING_MAX: usize = 1_024;

struct Order {
    command: Command,
    runtime: Handle,
    started: oneshot::Sender<io::Result<Child>>,
}

static ORDERS: OnceLock<SyncSender<Order>> = OnceLock::new();

/// Starts a process; one that nobody waits for any more is killed.
pub(crate) async fn spawn(mut command: Command) -> io::Result<Child> {
    command.kill_on_drop(true);
    let (started, child) = oneshot::channel();
    let order = Order { command, runtime: Handle::current(), started };
    let gone = || io::Error::other("the thread that starts processes is gone");
    orders()?.try_send(order).map_err(|_| gone())?;
    child.await.map_err(|_| gone())?
}

fn orders() -> io::Result<&'static SyncSender<Order>> {
    if let Some(orders) = ORDERS.get() {
        return Ok(orders);
    }
    let (orders, taken) = sync_channel::<Order>(WAITING_MAX);
    thread::Builder::new().name("starts processes".into()).spawn(move || {
        while let Ok(mut order) = taken.recv() {
            let _entered = order.runtime.enter();
            let child = order.command.spawn();
            // It holds the writing end of a pipe, which must not outlive the process.
            drop(order.command);
            let _ = order.started.send(child);
        }
    })?;
    Ok(ORDERS.get_or_init(|| orders))
}
