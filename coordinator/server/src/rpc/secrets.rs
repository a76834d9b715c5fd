//! Secrets over the bus: `secrets.<pool>`, for workers of that pool and of no other.
//!
//! A question that finds the line full, or that cannot be read, is not answered.

use std::sync::Arc;

use maestro_schemas::codec;
use maestro_schemas::name::PoolName;
use maestro_schemas::secret::{SecretsAnswer, SecretsQuestion};
use maestro_streams::connect::{Connection, Error as BusError, Received};
use maestro_streams::topology::{address, subject};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::api::problem::Refusal;
use crate::app::App;

/// The most questions that are being answered at once.
const AT_ONCE_MAX: usize = 64;
/// Each question goes to one of the processes that share this name.
const SHARE: &str = "secrets";

/// Answers until `stop`.
///
/// # Errors
/// Where the bus does not let this process listen.
pub async fn run(app: App, stop: CancellationToken) -> Result<(), BusError> {
    let connection = app.bus.connection().clone();
    let mut asking = connection.subscribe_shared(&subject::secrets_of_all(), SHARE).await?;
    let line = Arc::new(Semaphore::new(AT_ONCE_MAX));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(received) = asking.next() => {
                let Ok(place) = line.clone().try_acquire_owned() else { continue };
                let (app, voice) = (app.clone(), connection.clone());
                tokio::spawn(async move {
                    answer(&app, &voice, received).await;
                    drop(place);
                });
            }
            else => return Ok(()),
        }
    }
}

async fn answer(app: &App, voice: &Connection, received: Received) {
    let Some(pool) = address::secrets_pool(&received.subject) else { return };
    let Ok(question) = codec::decode::<SecretsQuestion>(&received.payload) else { return };
    let told = told(app, &pool, &question).await;
    if let (Some(reply), Ok(bytes)) = (received.reply, codec::encode(&told)) {
        voice.tell(reply, bytes.into()).await;
    }
}

async fn told(app: &App, pool: &PoolName, question: &SecretsQuestion) -> SecretsAnswer {
    match app.deliver_secrets(pool, question).await {
        Ok(secrets) => SecretsAnswer::Sealed { secrets },
        Err(error) => {
            let problem = Refusal::from(error).into_problem();
            tracing::info!(
                code = problem.code,
                run = %question.run,
                step = %question.step,
                "secrets are not given out"
            );
            let transient = problem.status == 503;
            SecretsAnswer::Refused { code: problem.code, message: problem.detail, transient }
        }
    }
}
