//! A border post before a server: it notes every connection that is taken and every byte that is sent in,
//! whatever is spoken on it, and hands all of it on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What was sent in on each connection, in the order in which they were taken.
type Book = Arc<Mutex<Vec<Vec<u8>>>>;

/// The post. It ends when it is dropped, with what passes it.
pub(crate) struct Watch {
    address: String,
    book: Book,
    serving: JoinHandle<()>,
}

impl Watch {
    /// Stands before the server at this address, as `127.0.0.1:80`.
    pub(crate) async fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (book, server) = (Book::default(), server.to_owned());
        let noted = book.clone();
        let serving = tokio::spawn(async move {
            let mut passing = JoinSet::new();
            while let Ok((from, _)) = listener.accept().await {
                let place = lock(&noted).len();
                lock(&noted).push(Vec::new());
                passing.spawn(pass(from, server.clone(), noted.clone(), place));
            }
        });
        Self { address, book, serving }
    }

    /// Where it stands.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// How many connections it took.
    pub(crate) fn connections(&self) -> usize {
        lock(&self.book).len()
    }

    /// How many bytes were sent in on all of them.
    pub(crate) fn bytes(&self) -> usize {
        lock(&self.book).iter().map(Vec::len).sum()
    }

    /// Which of these texts were sent in on some connection, however they were spaced and escaped there.
    pub(crate) fn saw(&self, needles: &[String]) -> Vec<String> {
        let all: Vec<String> = lock(&self.book).iter().map(|sent| plain(sent)).collect();
        let seen = |needle: &&String| all.iter().any(|sent| sent.contains(needle.as_str()));
        needles.iter().filter(seen).cloned().collect()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Without spaces, and without the backslashes that JSON in JSON in JSON heaps up.
fn plain(sent: &[u8]) -> String {
    let kept = sent.iter().filter(|byte| !matches!(byte, b' ' | b'\\'));
    String::from_utf8_lossy(&kept.copied().collect::<Vec<u8>>()).into_owned()
}

fn lock(book: &Book) -> MutexGuard<'_, Vec<Vec<u8>>> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass(from: TcpStream, server: String, book: Book, place: usize) {
    let Ok(to) = TcpStream::connect(server).await else { return };
    let ((inward, mut back), (mut answer, onward)) = (from.into_split(), to.into_split());
    tokio::join!(note(inward, onward, &book, place), async {
        let _ = tokio::io::copy(&mut answer, &mut back).await;
        let _ = back.shutdown().await;
    });
}

async fn note(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, book: &Book, place: usize) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        // It is noted before it is handed on, so that an answer proves that it was.
        lock(book)[place].extend_from_slice(&piece[..count]);
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
