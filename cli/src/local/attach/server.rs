//! The owner's side: the socket, and who is attached.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::geteuid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::super::Error;
use super::super::lock::Lock;
use super::super::paths::Paths;
use super::{Answer, socket};

const ATTACHED_MAX: usize = 1024;
const WRITE_LIMIT: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The bound socket of an owner that has the lock and is still starting its servers. Clients
/// that connect wait for its answer.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
}

impl Server {
    /// Binds the directory's socket. A file that is there already is a dead owner's, because we
    /// have the lock.
    pub fn bind(paths: &Paths, _lock: &Lock) -> Result<Self, Error> {
        let path = socket::path(paths)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::file("remove", &path)(e));
            }
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(Error::file("bind", &path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))
            .map_err(Error::file("protect", &path))?;
        Ok(Self { listener, path })
    }

    /// Serves it until the returned value is dropped or closed. Each client gets the answer as
    /// soon as there is one.
    pub fn serve<T>(self, answer: watch::Receiver<Option<Answer<T>>>) -> Attachments
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
    {
        let book = Arc::new(watch::Sender::new(Book::default()));
        let task = tokio::spawn(accept(self.listener, Arc::clone(&book), answer));
        Attachments { book, task, path: self.path }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Book {
    attached: usize,
    closed: bool,
}

/// Who is attached. Dropping it takes the socket away and detaches everybody.
#[derive(Debug)]
pub struct Attachments {
    book: Arc<watch::Sender<Book>>,
    task: JoinHandle<()>,
    path: PathBuf,
}

impl Attachments {
    /// How many clients are attached.
    pub fn count(&self) -> usize {
        self.book.borrow().attached
    }

    /// Waits until nobody has been attached for `grace` without a break.
    pub async fn abandoned(&self, grace: Duration) {
        let mut book = self.book.subscribe();
        loop {
            // The sender lives as long as we do, so the waits cannot fail.
            let _ = book.wait_for(|b| b.attached == 0).await;
            let somebody = timeout(grace, book.wait_for(|b| b.attached > 0)).await.is_ok();
            if !somebody {
                return;
            }
        }
    }

    /// Closes the door if nobody is attached, and says whether it is closed. A client that comes
    /// later gets no answer, and looks for another owner.
    pub fn close(&self) -> bool {
        let closed = self.book.send_if_modified(|b| {
            let closes = b.attached == 0;
            b.closed |= closes;
            closes
        });
        if closed {
            // A file that is gone already is what we want.
            let _ = fs::remove_file(&self.path);
        }
        closed
    }
}

impl Drop for Attachments {
    fn drop(&mut self) {
        self.task.abort();
        if !self.book.borrow().closed {
            let _ = fs::remove_file(&self.path);
        }
        self.book.send_modify(|b| b.closed = true);
    }
}

/// One attachment in the book, for as long as it lives.
struct Entry(Arc<watch::Sender<Book>>);

impl Entry {
    fn make(book: &Arc<watch::Sender<Book>>) -> Option<Self> {
        let entered = book.send_if_modified(|b| {
            let enters = !b.closed && b.attached < ATTACHED_MAX;
            b.attached += usize::from(enters);
            enters
        });
        entered.then(|| Self(Arc::clone(book)))
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.send_modify(|b| b.attached = b.attached.saturating_sub(1));
    }
}

async fn accept<T>(
    listener: UnixListener,
    book: Arc<watch::Sender<Book>>,
    answer: watch::Receiver<Option<Answer<T>>>,
) where
    T: Serialize + Clone + Send + Sync + 'static,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) if is_ours(&stream) => {
                if let Some(entry) = Entry::make(&book) {
                    tokio::spawn(attend(stream, entry, book.subscribe(), answer.clone()));
                }
            }
            Ok(_) => {}
            // Out of file descriptors, say: what is attached stays so.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

fn is_ours(stream: &UnixStream) -> bool {
    let ours = geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| peer.uid() == ours || peer.uid() == 0)
}

/// Ends when the client does, when it says anything, or when the owner closes.
async fn attend<T: Serialize + Clone>(
    mut stream: UnixStream,
    _entry: Entry,
    mut book: watch::Receiver<Book>,
    mut answer: watch::Receiver<Option<Answer<T>>>,
) {
    let (mut read, mut write) = stream.split();
    let serve = async {
        let answer = answer.wait_for(Option::is_some).await.ok().and_then(|a| (*a).clone());
        if let Some(mut line) = answer.and_then(|a| serde_json::to_vec(&a).ok()) {
            line.push(b'\n');
            let written = timeout(WRITE_LIMIT, write.write_all(&line)).await;
            if matches!(written, Ok(Ok(()))) {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        () = serve => {}
        _ = read.read_u8() => {}
        _ = book.wait_for(|b| b.closed) => {}
    }
}
