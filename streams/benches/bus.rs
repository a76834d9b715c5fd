//! `cargo bench -p maestro-streams --bench bus`: the raw rate of the bus at
//! `MAESTRO_NATS_URL` (default `nats://127.0.0.1:4222`), swept over window and batch.

use std::io::Write as _;

use maestro_streams::bench::{BusConfig, best_of};
use maestro_streams::connect::ConnectOptions;
use maestro_streams::topology::Topology;
use maestro_streams::topology::permission::Role;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("MAESTRO_NATS_URL");
    let url = url.unwrap_or_else(|_| "nats://127.0.0.1:4222".to_owned());
    let connect = |role: &Role| ConnectOptions::new(url.clone(), "bench", role);
    let pool = "bench-bus".parse()?;
    let config = BusConfig {
        coordinator: connect(&Role::Coordinator),
        worker: connect(&Role::Worker("bench-bus".parse()?)),
        pool,
        topology: Topology::default(),
        steps: 50_000,
        window: 1_024,
        batch: 512,
        task_bytes: 600,
        report_bytes: 400,
    };
    let (rate, window, batch) = best_of(&config, &[512, 1_024, 2_048], &[256, 512]).await?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{rate:.0} steps/s (window {window}, batch {batch})")?;
    Ok(())
}
