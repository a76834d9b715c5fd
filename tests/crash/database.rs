//! A database that is killed.

use nix::sys::signal::Signal;

use crate::scene::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_killed_and_comes_back_costs_a_run_nothing() {
    let mut scene = Scene::set(&["one", "two"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let run = scene.half_way(1).await;
    let postgres = scene.cluster.postgres.child();
    postgres.signal(Signal::SIGKILL);
    postgres.ended().await;
    scene.cluster.postgres.restart().await.expect("a database");
    scene.check_unfinished(run).await;
    scene.check_equal(run, &undisturbed).await;
}
