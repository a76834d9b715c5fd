//! `CONNECT` (RFC 9110, 9.3.6) as the proxy reads it, and what it answers.

use std::fmt;

use maestro_schemas::sandbox::Endpoint;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The longest head of a request or an answer, in bytes.
pub(super) const HEAD_BYTES_MAX: usize = 8 << 10;

/// What is answered when the way is open.
pub(super) const OPENED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Why a step is not let out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It asked for something else than a connection.
    NoConnect,
    /// It is not among the step's hosts.
    NotListed(Endpoint),
    /// It is listed, and leads into a private network.
    Private(Endpoint),
    /// It is listed, and cannot be reached.
    Unreachable(Endpoint),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |host: &Endpoint| format!("{}:{}", host.host, host.port);
        match self {
            Self::NoConnect => f.write_str("only HTTPS gets out, by CONNECT"),
            Self::NotListed(host) => write!(f, "{} is not in the step's list", name(host)),
            Self::Private(host) => {
                write!(f, "{} has a private address, which is not in the step's list", name(host))
            }
            Self::Unreachable(host) => write!(f, "{} cannot be reached", name(host)),
        }
    }
}

impl Refusal {
    /// The whole answer.
    pub(super) fn answer(&self) -> String {
        let status = match self {
            Self::NoConnect => "405 Method Not Allowed",
            Self::NotListed(_) | Self::Private(_) => "403 Forbidden",
            Self::Unreachable(_) => "502 Bad Gateway",
        };
        let text = format!("{self}\n");
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{text}"
        )
    }
}

/// What a request asks for.
pub(super) fn wanted(head: &[u8]) -> Result<Endpoint, Refusal> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Refusal::NoConnect)?;
    let mut words = line.split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("CONNECT"), Some(host), Some(version), None) if version.starts_with("HTTP/1.") => {
            host.parse().map_err(|_| Refusal::NoConnect)
        }
        _ => Err(Refusal::NoConnect),
    }
}

/// Asks another proxy for the same.
pub(super) async fn ask(stream: &mut TcpStream, wanted: &Endpoint) -> Result<(), Refusal> {
    let refused = || Refusal::Unreachable(wanted.clone());
    let host = match wanted.host.contains(':') {
        true => format!("[{}]:{}", wanted.host, wanted.port),
        false => format!("{}:{}", wanted.host, wanted.port),
    };
    let request = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|_| refused())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= HEAD_BYTES_MAX {
            return Err(refused());
        }
        head.push(stream.read_u8().await.map_err(|_| refused())?);
    }
    let status = head.split(|byte| *byte == b' ').nth(1);
    if status.is_some_and(|status| status.starts_with(b"2")) { Ok(()) } else { Err(refused()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_connect_is_understood() {
        let of = |text: &str| wanted(text.as_bytes());
        let host = |text: &str| text.parse::<Endpoint>().expect("a host");
        assert_eq!(of("CONNECT A.b:8443 HTTP/1.1\r\nHost: x\r\n\r\n"), Ok(host("a.b:8443")));
        for text in [
            "",
            "GET / HTTP/1.1\r\n\r\n",
            "CONNECT a b HTTP/1.1\r\n",
            "CONNECT user@a:1 HTTP/1.1\r\n",
            "CONNECT a:443 HTTP/2\r\n",
        ] {
            assert_eq!(of(text), Err(Refusal::NoConnect), "{text}");
        }
    }
}
