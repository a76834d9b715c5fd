//! As much of the NATS protocol as these tests speak.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// A connection of a user, with an inbox.
pub(super) struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects, or returns the server's refusal.
    pub(super) async fn connect(port: u16, user: &str, password: &str) -> Result<Self, String> {
        let mut client =
            Self(BufReader::new(TcpStream::connect(("127.0.0.1", port)).await.unwrap()));
        client.line().await;
        let who = serde_json::json!({ "verbose": false, "user": user, "pass": password });
        client.send(&format!("CONNECT {who}\r\n")).await;
        client.flush().await.map(|()| client)
    }

    /// Publishes, and returns the server's refusal if there is one.
    pub(super) async fn publish(&mut self, subject: &str) -> Result<(), String> {
        self.send(&format!("PUB {subject} 2\r\nhi\r\n")).await;
        self.flush().await
    }

    /// Sends a request and returns the answer's JSON.
    pub(super) async fn request(&mut self, subject: &str, body: &Value) -> Value {
        let body = body.to_string();
        self.send(&format!(
            "SUB inbox 1\r\nUNSUB 1 1\r\nPUB {subject} inbox {}\r\n{body}\r\n",
            body.len()
        ))
        .await;
        let head = self.line().await;
        assert!(head.starts_with("MSG inbox 1 "), "{head}");
        let size: usize = head.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let mut bytes = vec![0; size + 2];
        timeout(LIMIT, self.0.read_exact(&mut bytes)).await.unwrap().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    async fn flush(&mut self) -> Result<(), String> {
        self.send("PING\r\n").await;
        let mut refusal = None;
        loop {
            match self.line().await.trim() {
                "" | "PONG" => return refusal.map_or(Ok(()), Err),
                line if line.starts_with("-ERR") => refusal = Some(line.to_owned()),
                _ => {}
            }
        }
    }

    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        // Whom it refuses it may also cut off: that reads as an empty line.
        let _ = timeout(LIMIT, self.0.read_line(&mut line)).await.unwrap();
        line
    }
}
