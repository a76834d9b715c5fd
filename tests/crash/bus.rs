//! A bus that is killed, and one that comes back without its memory.

use std::fs;

use maestro_tests::harness::until;
use nix::sys::signal::Signal;

use crate::scene::Scene;

async fn kill(scene: &Scene) {
    let nats = scene.cluster.nats.child();
    nats.signal(Signal::SIGKILL);
    nats.ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_is_killed_and_comes_back_costs_a_run_nothing() {
    let mut scene = Scene::set(&["one"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let run = scene.half_way(2).await;
    kill(&scene).await;
    scene.check_unfinished(run).await;
    scene.cluster.nats.restart().await.expect("a bus");
    scene.check_equal(run, &undisturbed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bus_that_comes_back_empty_costs_a_run_nothing_nor_those_after_it() {
    let mut scene = Scene::set(&["one", "two"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let run = scene.half_way(2).await;
    kill(&scene).await;
    scene.check_unfinished(run).await;
    let store = scene.cluster.dir().join("nats/store");
    fs::remove_dir_all(&store).expect("the bus' memory");
    fs::create_dir(&store).expect("a directory");
    scene.cluster.nats.restart().await.expect("a bus");
    scene.check_equal(run, &undisturbed).await;
    for shard in 0..4 {
        let next = scene.half_way(shard).await;
        scene.check_equal(next, &undisturbed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_bus_that_comes_back_empty_takes_runs_at_once() {
    let mut scene = Scene::set(&["one"], 1).await;
    let undisturbed = scene.undisturbed().await;
    kill(&scene).await;
    fs::remove_dir_all(scene.cluster.dir().join("nats/store/jetstream")).expect("the bus' memory");
    scene.cluster.nats.restart().await.expect("a bus");
    let run = scene.half_way(1).await;
    scene.check_equal(run, &undisturbed).await;
    until("processes that live", || async {
        let all =
            scene.coordinators.iter().chain(scene.workers.iter().map(|worker| &worker.process));
        all.map(|process| process.status()).all(|status| status.is_none()).then_some(())
    })
    .await;
}
