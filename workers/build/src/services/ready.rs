//! Waits until a service is ready.

use std::process::Stdio;
use std::time::Duration;

use maestro_schemas::service::{Ready, ServiceCommand};
use tokio::process::Command;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::{Service, line};
use crate::attempt::Sandboxes;
use crate::error::Error;
use crate::process::{self, Process, Sink, Tail, spawn};
use crate::sandbox::READY_WORD;

/// Between two tries of a command.
const PAUSE: Duration = Duration::from_millis(200);

/// Waits until `service` is ready, for as long as it may take, and tells the log of it.
pub(super) async fn wait(service: &Service<'_>, sandboxes: &Sandboxes<'_>) -> Result<(), Error> {
    let begun = Instant::now();
    let waited = Duration::from_millis(service.declared.ready_ms);
    let mut said = String::new();
    let ready = async {
        match &service.declared.ready {
            Ready::Ports => ask(service, sandboxes, None).await,
            Ready::Http(path) => ask(service, sandboxes, Some(path)).await,
            Ready::Command(command) => try_out(service, sandboxes, command, &mut said).await,
        }
    };
    match timeout(waited, ready).await {
        Ok(ready) => ready?,
        Err(_) => {
            let name = service.name.to_owned();
            return Err(Error::ServiceLate { name, waited, tail: said });
        }
    }
    let took = begun.elapsed().as_millis();
    sandboxes
        .execution
        .log
        .line(&format!("service {} is ready after {took} ms", service.name))
        .await;
    Ok(())
}

/// Waits until its ports answer.
async fn ask(
    service: &Service<'_>,
    sandboxes: &Sandboxes<'_>,
    path: Option<&str>,
) -> Result<(), Error> {
    if service.ports.is_empty() {
        return Ok(());
    }
    let (program, question) = sandboxes.question(&service.ports, path)?;
    let failed = |error: String| Error::Sandbox(format!("cannot look whether it answers: {error}"));
    let question = serde_json::to_string(&question).map_err(|error| failed(error.to_string()))?;
    let mut command = Command::new(program);
    command
        .arg(READY_WORD)
        .arg(question)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = spawn(command).await.map_err(|error| failed(error.to_string()))?;
    match child.wait().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Tries a command until it ends well. `said` is what the last try said.
async fn try_out(
    service: &Service<'_>,
    sandboxes: &Sandboxes<'_>,
    command: &ServiceCommand,
    said: &mut String,
) -> Result<(), Error> {
    let line = line(command);
    let stop = CancellationToken::new();
    loop {
        let process = Process {
            line: &line,
            directory: &sandboxes.places.workspace,
            variables: &service.variables,
            confinement: service.asking.as_ref(),
        };
        let mut tail = Tail::without_secrets(&sandboxes.execution.redactor);
        let ended = process::run(process, &stop, &mut Sink { tail: &mut tail, log: None }).await?;
        *said = tail.text();
        let ended = match &service.asking {
            Some(confinement) => confinement.verdict(&line.program, ended, said)?,
            None => ended,
        };
        if ended.success() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
