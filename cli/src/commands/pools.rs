//! `maestro pools`.

use maestro_schemas::api::pools::{PoolList, PoolView};

use crate::args::Global;
use crate::error::Error;
use crate::exit::Exit;
use crate::output::Output;
use crate::target;
use crate::view::duration::short;
use crate::view::table::Table;

/// The arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  maestro pools
  maestro pools --json")]
pub struct Args {}

pub(crate) async fn perform(_: Args, global: &Global, output: Output) -> Result<Exit, Error> {
    let list = target::connect(global).await?.client.pools().await?;
    output.show(&list, || table(&list))?;
    Ok(Exit::Ok)
}

fn table(list: &PoolList) -> String {
    let mut table = Table::new(&["pool", "worker", "slots", "sandbox", "state", "running"]);
    for pool in &list.pools {
        if pool.workers.is_empty() {
            let none = String::new;
            table.row([pool.name.clone(), "none".into(), "0".into(), none(), none(), none()]);
        }
        rows(pool, &mut table);
    }
    table.render("no worker serves any pool")
}

fn rows(pool: &PoolView, table: &mut Table) {
    for worker in &pool.workers {
        let running: Vec<String> = worker
            .running
            .iter()
            .map(|one| format!("{} {}", one.step, short(one.elapsed_ms)))
            .collect();
        let state = match (worker.draining, running.is_empty()) {
            (true, _) => "draining",
            (false, true) => "idle",
            (false, false) => "busy",
        };
        table.row([
            pool.name.clone(),
            worker.name.clone(),
            format!("{}/{}", running.len(), worker.slots),
            worker.sandbox.as_ref().map_or("-", |offered| offered.level.as_str()).to_owned(),
            state.to_owned(),
            running.join(", "),
        ]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::api::pools::{RunningView, WorkerView};
    use maestro_schemas::sandbox::{Level, LimitsBy, Offered};

    #[test]
    fn a_worker_is_a_row_with_what_it_has_in_hand() {
        let running = vec![RunningView {
            run: "run".into(),
            step: "test/unit".into(),
            attempt: 1,
            elapsed_ms: 1_500,
        }];
        let worker = WorkerView {
            id: "w".into(),
            name: "host-1".into(),
            slots: 4,
            draining: false,
            sandbox: Some(Offered {
                level: Level::Bubblewrap,
                limits_by: LimitsBy::Cgroup2,
                reason: None,
            }),
            running,
        };
        let pool = PoolView {
            name: "build".into(),
            slots: 4,
            running: 1,
            actions: vec![],
            workers: vec![worker],
        };
        assert_eq!(
            table(&PoolList { pools: vec![pool] }),
            "POOL   WORKER  SLOTS  SANDBOX     STATE  RUNNING\n\
             build  host-1  1/4    bubblewrap  busy   test/unit 1.5s"
        );
    }
}
