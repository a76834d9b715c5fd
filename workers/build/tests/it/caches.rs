//! Named caches within a sandbox: kept from step to step, and seen by none that does not name them.

use maestro_schemas::sandbox::Level;
use maestro_schemas::task::Task;

use super::bench::{Bench, LEVELS, shell, strict};

fn naming(mut task: Task, caches: &[&str]) -> Task {
    task.beside.caches = Some(caches.iter().map(|name| (*name).to_owned()).collect());
    task
}

#[tokio::test]
async fn a_cache_is_kept_at_every_level_and_seen_by_none_that_does_not_name_it() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let write = "echo kept > \"$MAESTRO_CACHE_MODELS/file\"; echo \"at=$MAESTRO_CACHE_MODELS\"";
        let said = bench.says(naming(shell(write), &["models"])).await;
        let path = said.trim().strip_prefix("at=").expect("a path").to_owned();
        let said =
            bench.says(naming(shell("cat \"$MAESTRO_CACHE_MODELS/file\""), &["models"])).await;
        assert_eq!(said, "kept\n", "{level}");
        let look =
            format!("cat {path}/file 2>/dev/null || echo nothing; env | grep -c CACHE_MODELS");
        let said = bench.says(naming(shell(&format!("{look} || true")), &[])).await;
        let seen = if level == Level::Plain { "kept" } else { "nothing" };
        assert_eq!(said, format!("{seen}\n0\n"), "{level}");
    }
}

#[tokio::test]
async fn only_a_step_without_network_and_caches_is_said_to_be_hermetic() {
    let bench = Bench::new(Level::Bubblewrap).await;
    for (task, hermetic, caches) in [
        (naming(strict("true"), &[]), true, 0),
        (naming(strict("true"), &["models"]), false, 1),
        (strict("true"), false, 4),
        (naming(shell("true"), &[]), false, 0),
    ] {
        let applied = bench.applied(&bench.carry_out(task).await).await;
        assert_eq!((applied.hermetic, applied.caches.len()), (hermetic, caches), "{applied:?}");
    }
    let bench = Bench::new(Level::Landlock).await;
    let applied = bench.applied(&bench.carry_out(naming(shell("true"), &[])).await).await;
    assert!(!applied.hermetic, "{applied:?}");
}
