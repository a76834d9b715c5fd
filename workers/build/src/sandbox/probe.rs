//! The program that waits until a service answers, from within the network that it listens in.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{confine, loopback};

/// The word that makes the program this one.
pub(crate) const WORD: &str = "__ready";

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(25);
/// How long a connection, or an answer, is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many bytes of an answer as say its status: `HTTP/1.1 200`.
const STATUS_BYTES: usize = 12;

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Question {
    /// The worker's process id.
    pub(crate) parent: u32,
    /// Who holds the network; absent means the host's own.
    pub(crate) network: Option<u32>,
    /// All of these take connections.
    pub(crate) ports: Vec<u16>,
    /// The first of them answers this path with a status from 200 to 399.
    pub(crate) path: Option<String>,
}

/// Waits until the answer is yes, or the worker ends it.
pub(super) fn wait(words: &[OsString]) -> ExitCode {
    let question = words.first().and_then(|word| word.to_str());
    let Some(question) = question.and_then(|text| serde_json::from_str::<Question>(text).ok())
    else {
        return ExitCode::FAILURE;
    };
    let entered = question.network.map_or(Ok(()), loopback::enter);
    if entered.and_then(|()| confine::die_with(question.parent)).is_err() {
        return ExitCode::FAILURE;
    }
    while !question.is_answered() {
        std::thread::park_timeout(PAUSE);
    }
    ExitCode::SUCCESS
}

impl Question {
    fn is_answered(&self) -> bool {
        let answers = |(index, port): (usize, &u16)| match &self.path {
            Some(path) if index == 0 => is_well(*port, path).unwrap_or(false),
            _ => connect(*port).is_ok(),
        };
        self.ports.iter().enumerate().all(answers)
    }
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)
}

/// Whether `GET` of a path is answered with a status from 200 to 399 (RFC 9112, section 4).
fn is_well(port: u16, path: &str) -> std::io::Result<bool> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut line = [0; STATUS_BYTES];
    stream.read_exact(&mut line)?;
    let status = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("HTTP/1."));
    let status = status.and_then(|rest| rest.get(2..)).and_then(|code| code.parse::<u16>().ok());
    Ok(status.is_some_and(|code| (200..400).contains(&code)))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(status: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.read(&mut [0; 512]);
                let _ = stream.write_all(status.as_bytes());
            }
        });
        port
    }

    #[test]
    fn a_status_tells_whether_a_service_is_well() {
        for (status, well) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.0 302 Found\r\n\r\n", true),
            ("HTTP/1.1 503 Busy\r\n\r\n", false),
            ("something else", false),
        ] {
            assert_eq!(is_well(answering(status), "/").expect("an answer"), well, "{status}");
        }
    }

    #[test]
    fn all_of_its_ports_take_connections() {
        let open = answering("");
        let closed = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
            listener.local_addr().expect("an address").port()
        };
        let question =
            |ports: &[u16]| Question { parent: 0, network: None, ports: ports.into(), path: None };
        assert!(question(&[open]).is_answered());
        assert!(!question(&[open, closed]).is_answered());
        assert!(question(&[]).is_answered());
    }
}
