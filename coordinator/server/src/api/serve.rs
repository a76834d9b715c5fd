//! Accepts connections until it is told to stop; then those that are open may finish.
//!
//! Who sends its headers too slowly is hung up on, and so is who keeps a connection without asking
//! anything; beyond [`CONNECTIONS_MAX`] the next one waits in the system's queue.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Api, router};

/// How long open requests may take to end after the stop.
pub const GRACE: Duration = Duration::from_secs(5);
/// How long a request's headers may take to arrive, from the one before on.
pub const HEADERS_TIME_MAX: Duration = Duration::from_secs(10);
/// The most connections that are open at once.
pub const CONNECTIONS_MAX: usize = 4_096;
/// What is read ahead of a connection, in bytes; headers must fit.
const BUFFER_BYTES: usize = 64 * 1024;

/// Serves the API on `listener` until `stop`.
pub async fn serve(listener: TcpListener, api: Api, stop: CancellationToken) {
    let router = router(api);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    converse(stream, router, stop).await;
                    drop(place);
                });
            }
            // Out of file descriptors, say: what is open must end first.
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    let ended = async { while connections.join_next().await.is_some() {} };
    // Streams do not end by themselves.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

async fn converse(stream: TcpStream, router: Router, stop: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIME_MAX)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke");
    }
}
