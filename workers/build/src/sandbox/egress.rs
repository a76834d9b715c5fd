//! The way out for a step with a list of hosts: a proxy of the worker's on a socket that only this
//! sandbox has. It takes `CONNECT` for what is listed, and refuses all else.
//!
//! A name is resolved here, once, and what is connected to is what was looked at: an address of a
//! private network is refused unless it is listed itself.

mod address;
mod request;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use maestro_kit::log::LogSink;
use maestro_schemas::id::ExecutionId;
use maestro_schemas::sandbox::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use request::{HEAD_BYTES_MAX, Refusal};

/// Connections that go on at once; further ones wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a request, a name or a host may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// The most refusals that the log names.
const REFUSALS_SHOWN: u32 = 20;

/// The variables that name the host's own proxy, the first one first.
const UPSTREAM: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// A proxy that ends when it is dropped.
#[derive(Debug)]
pub(super) struct Egress {
    directory: PathBuf,
    _serving: AbortOnDropHandle<()>,
}

/// What is let out.
struct Gate {
    hosts: Vec<Endpoint>,
    /// The proxy that the worker's host itself has to use.
    upstream: Option<Endpoint>,
    log: Option<LogSink>,
    refused: AtomicU32,
}

impl Egress {
    /// Listens for what `hosts` lists; refusals are told in `log`.
    pub(super) fn start(
        hosts: &[String],
        variables: &std::collections::BTreeMap<String, String>,
        log: Option<LogSink>,
    ) -> io::Result<Self> {
        let hosts: Result<Vec<Endpoint>, _> = hosts.iter().map(|host| host.parse()).collect();
        let hosts = hosts.map_err(io::Error::other)?;
        let directory = directory()?;
        let listener = UnixListener::bind(directory.join("socket"));
        let listener = listener.inspect_err(|_| remove(&directory))?;
        let upstream = UPSTREAM.iter().find_map(|name| proxy(variables.get(*name)?));
        let gate = Arc::new(Gate { hosts, upstream, log, refused: AtomicU32::new(0) });
        let serving = AbortOnDropHandle::new(tokio::spawn(serve(listener, gate)));
        Ok(Self { directory, _serving: serving })
    }

    /// The socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }
}

impl Drop for Egress {
    fn drop(&mut self) {
        remove(&self.directory);
    }
}

/// A directory of this user's alone. Paths of sockets are short, so it is not below the execution's.
fn directory() -> io::Result<PathBuf> {
    use std::os::unix::fs::DirBuilderExt as _;
    let name = ExecutionId::generate().to_string();
    let path =
        std::env::temp_dir().join(format!("maestro-{}", name.rsplit('_').next().unwrap_or("")));
    std::fs::DirBuilder::new().mode(0o700).create(&path)?;
    Ok(path)
}

fn remove(directory: &Path) {
    if let Err(error) = std::fs::remove_dir_all(directory) {
        tracing::debug!(%error, "a socket's directory stays");
    }
}

/// The proxy that a variable names; one that asks for a password is not used.
fn proxy(text: &str) -> Option<Endpoint> {
    let rest = text.strip_prefix("http://")?.trim_end_matches('/');
    if rest.contains(['@', '/']) {
        return None;
    }
    let has_port = rest.rsplit_once(':').is_some();
    let text = if has_port { rest.to_owned() } else { format!("{rest}:80") };
    text.parse().ok()
}

async fn serve(listener: UnixListener, gate: Arc<Gate>) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        let gate = Arc::clone(&gate);
        connections.spawn(async move {
            gate.pass(stream).await;
            drop(seat);
        });
    }
}

impl Gate {
    async fn pass(&self, mut inner: UnixStream) {
        let asked = timeout(PATIENCE, read_head(&mut inner)).await;
        let opened = match asked {
            Ok(Ok(head)) => self.open(&head).await,
            _ => return,
        };
        match opened {
            Ok(mut outer) => {
                if inner.write_all(request::OPENED).await.is_ok() {
                    // How it ends is between the two of them.
                    let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
                }
            }
            Err(refusal) => {
                if self.refused.fetch_add(1, Ordering::Relaxed) < REFUSALS_SHOWN
                    && let Some(log) = &self.log
                {
                    log.line(&format!("network: {refusal}")).await;
                }
                let _ = inner.write_all(refusal.answer().as_bytes()).await;
                let _ = inner.shutdown().await;
            }
        }
    }

    async fn open(&self, head: &[u8]) -> Result<TcpStream, Refusal> {
        let wanted = request::wanted(head)?;
        if !self.hosts.contains(&wanted) {
            return Err(Refusal::NotListed(wanted));
        }
        let addresses = match &self.upstream {
            Some(proxy) => resolve(proxy).await?,
            None => self.allowed(resolve(&wanted).await?, &wanted)?,
        };
        let mut stream = connect(&addresses, &wanted).await?;
        if self.upstream.is_some() {
            let asked = timeout(PATIENCE, request::ask(&mut stream, &wanted)).await;
            asked.map_err(|_| Refusal::Unreachable(wanted))??;
        }
        Ok(stream)
    }

    /// Of a name's addresses those that are public, or listed themselves.
    fn allowed(
        &self,
        found: Vec<SocketAddr>,
        wanted: &Endpoint,
    ) -> Result<Vec<SocketAddr>, Refusal> {
        let is_listed = |ip: IpAddr| {
            self.hosts.iter().any(|host| {
                host.port == wanted.port && host.host.parse::<IpAddr>().is_ok_and(|own| own == ip)
            })
        };
        let good = |found: &SocketAddr| address::is_public(found.ip()) || is_listed(found.ip());
        let allowed: Vec<SocketAddr> = found.into_iter().filter(good).collect();
        if allowed.is_empty() { Err(Refusal::Private(wanted.clone())) } else { Ok(allowed) }
    }
}

async fn read_head(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    // Byte for byte, so that nothing of what follows is taken.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(io::Error::other("too long"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

async fn resolve(host: &Endpoint) -> Result<Vec<SocketAddr>, Refusal> {
    let found = timeout(PATIENCE, tokio::net::lookup_host((host.host.as_str(), host.port))).await;
    match found {
        Ok(Ok(found)) => Ok(found.take(ADDRESSES_MAX).collect()),
        _ => Err(Refusal::Unreachable(host.clone())),
    }
}

async fn connect(addresses: &[SocketAddr], wanted: &Endpoint) -> Result<TcpStream, Refusal> {
    for address in addresses {
        if let Ok(Ok(stream)) = timeout(PATIENCE, TcpStream::connect(address)).await {
            return Ok(stream);
        }
    }
    Err(Refusal::Unreachable(wanted.clone()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::net::TcpListener;

    use super::*;

    /// What the proxy answers, up to the end of its head.
    async fn ask(egress: &Egress, line: &str) -> (String, UnixStream) {
        let mut stream = UnixStream::connect(egress.socket()).await.expect("a connection");
        stream.write_all(format!("{line}\r\n\r\n").as_bytes()).await.expect("sent");
        let head = read_head(&mut stream).await.expect("an answer");
        (String::from_utf8(head).expect("text"), stream)
    }

    fn start(hosts: &[String]) -> Egress {
        Egress::start(hosts, &BTreeMap::new(), None).expect("a proxy")
    }

    #[tokio::test]
    async fn what_is_listed_is_reached_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let egress = start(&[format!("127.0.0.1:{port}")]);
        let (head, mut stream) = ask(&egress, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1")).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let (mut other, _) = listener.accept().await.expect("a connection");
        stream.write_all(b"hello").await.expect("sent");
        let mut said = [0; 5];
        other.read_exact(&mut said).await.expect("said");
        assert_eq!(&said, b"hello");
        for line in [
            "CONNECT 127.0.0.1:1 HTTP/1.1".to_owned(),
            "CONNECT example.org:443 HTTP/1.1".to_owned(),
            format!("CONNECT localhost:{port} HTTP/1.1"),
        ] {
            let (head, _) = ask(&egress, &line).await;
            assert!(head.starts_with("HTTP/1.1 403 "), "{line}: {head}");
        }
        let (head, _) = ask(&egress, "GET http://127.0.0.1/ HTTP/1.1").await;
        assert!(head.starts_with("HTTP/1.1 405 "), "{head}");
    }

    #[tokio::test]
    async fn a_listed_name_of_a_private_address_is_refused_unless_the_address_is_listed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let line = format!("CONNECT localhost:{port} HTTP/1.1");
        let egress = start(&[format!("localhost:{port}")]);
        let (head, _) = ask(&egress, &line).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
        let egress = start(&[format!("localhost:{port}"), format!("127.0.0.1:{port}")]);
        let (head, _) = ask(&egress, &line).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    }

    #[tokio::test]
    async fn a_host_that_itself_needs_a_proxy_is_gone_through() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let variables = BTreeMap::from([("HTTPS_PROXY".to_owned(), format!("http://{address}"))]);
        let egress =
            Egress::start(&["a.example:443".to_owned()], &variables, None).expect("a proxy");
        let upstream = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = vec![0; 512];
            let count = stream.read(&mut head).await.expect("a request");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("answered");
            String::from_utf8_lossy(head.get(..count).unwrap_or_default()).into_owned()
        });
        let (head, _) = ask(&egress, "CONNECT a.example:443 HTTP/1.1").await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(upstream.await.expect("a request").starts_with("CONNECT a.example:443 "));
    }

    #[tokio::test]
    async fn its_socket_goes_with_it() {
        let egress = start(&["a.example".to_owned()]);
        let socket = egress.socket();
        assert!(socket.exists());
        drop(egress);
        assert!(!socket.exists());
    }
}
