//! `…/steps/{address}/log`: an attempt's output, whole or as it comes.

use maestro_schemas::id::RunId;
use maestro_schemas::step::StepAddress;
use reqwest::{Method, Response};

use super::{Client, Error};

/// The most that a tail reads before it gives the end of what it has.
const TAIL_BYTES_MAX: usize = 64 << 20;

/// Which output is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOf {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: StepAddress,
    /// The attempt; none means the last.
    pub attempt: Option<u32>,
}

/// Output as it comes.
#[derive(Debug)]
pub struct LogStream {
    client: Client,
    response: Response,
}

impl LogStream {
    /// The next bytes; none at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let chunk = self.response.chunk().await.map_err(|source| self.client.broken(source))?;
        Ok(chunk.map(|chunk| chunk.to_vec()))
    }
}

impl Client {
    /// Opens the output of an attempt; with `follow` it ends when the attempt does.
    pub async fn log(&self, of: LogOf, follow: bool) -> Result<LogStream, Error> {
        let attempt = of.attempt.map(|number| format!("&attempt={number}")).unwrap_or_default();
        let path = self.of_run(of.run, &format!("/steps/{}/log?follow={follow}{attempt}", of.step));
        let response = self.send(self.stream(Method::GET, &path)).await?;
        Ok(LogStream { client: self.clone(), response })
    }

    /// The last `lines` lines of an attempt's output.
    pub async fn log_tail(&self, of: LogOf, lines: usize) -> Result<Vec<String>, Error> {
        let mut stream = self.log(of, false).await?;
        let mut end: Vec<u8> = Vec::new();
        let mut read = 0usize;
        while let Some(chunk) = stream.next().await? {
            read = read.saturating_add(chunk.len());
            if read > TAIL_BYTES_MAX {
                break;
            }
            end.extend_from_slice(&chunk);
            let drop = end.len().saturating_sub(1 << 20);
            end.drain(..drop);
        }
        let text = String::from_utf8_lossy(&end);
        let mut tail: Vec<String> = text.lines().rev().take(lines).map(str::to_owned).collect();
        tail.reverse();
        Ok(tail)
    }
}
