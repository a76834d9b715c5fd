//! Coordinators that are killed, come back, and hand over.

use std::time::{Duration, Instant};

use maestro_tests::harness::until;

use crate::scene::{Lease, Scene};

/// From a kill until the other coordinator folds the shards.
const TAKE_OVER_MAX: Duration = Duration::from_secs(6);
/// From a start until a coordinator folds the shards that it had under its name.
const BACK_MAX: Duration = Duration::from_secs(2);
/// From SIGTERM until the other has the shards: well below the time of a lease, 4 s.
const HAND_OVER_MAX: Duration = Duration::from_secs(2);

/// The leases of `owner`.
async fn leases_of(scene: &Scene, owner: &str) -> Vec<Lease> {
    let leases = scene.leases().await.expect("leases");
    leases.into_iter().filter(|lease| lease.owner.as_deref() == Some(owner)).collect()
}

/// Waits until `owner` has all these shards under new epochs.
async fn owned(scene: &Scene, shards: &[Lease], owner: &str) -> Vec<Lease> {
    until("an owner of the shards", || async {
        let now = leases_of(scene, owner).await;
        let is_owned = |old: &Lease| {
            now.iter().find(|lease| lease.id == old.id && lease.epoch > old.epoch).cloned()
        };
        shards.iter().map(is_owned).collect::<Option<Vec<Lease>>>()
    })
    .await
}

/// Waits until the owner of a shard that was just taken has committed something.
async fn folds(scene: &Scene, taken: &Lease) {
    until("a commit of the new owner", || async {
        let now = leases_of(scene, taken.owner.as_deref().unwrap_or_default()).await;
        now.iter().any(|lease| lease.id == taken.id && lease.batch > taken.batch).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_coordinator_takes_over_from_a_killed_one_within_6_s() {
    let scene = Scene::set(&["one", "two"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let before = leases_of(&scene, "one").await;
    let run = scene.half_way(u16::try_from(before[0].id).expect("a shard")).await;
    let since = Instant::now();
    scene.coordinators[0].kill().await;
    scene.check_unfinished(run).await;
    let taken = owned(&scene, &before, "two").await;
    folds(&scene, &taken[0]).await;
    let waited = since.elapsed();
    assert!(waited <= TAKE_OVER_MAX, "the other folded after {waited:?}");
    scene.check_equal(run, &undisturbed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_coordinator_that_comes_back_under_its_name_folds_its_shards_within_2_s() {
    let mut scene = Scene::set(&["one", "two"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let before = leases_of(&scene, "one").await;
    let run = scene.half_way(u16::try_from(before[0].id).expect("a shard")).await;
    scene.coordinators[0].kill().await;
    scene.check_unfinished(run).await;
    let since = Instant::now();
    scene.coordinators[0] = scene.cluster.spawn_coordinator("one");
    let taken = owned(&scene, &before, "one").await;
    folds(&scene, &taken[0]).await;
    let waited = since.elapsed();
    assert!(waited <= BACK_MAX, "it folded after {waited:?}");
    scene.check_equal(run, &undisturbed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_is_told_to_end_hands_its_shards_over_at_once() {
    let scene = Scene::set(&["one", "two"], 2).await;
    let undisturbed = scene.undisturbed().await;
    let before = leases_of(&scene, "one").await;
    let run = scene.half_way(u16::try_from(before[0].id).expect("a shard")).await;
    let since = Instant::now();
    let (status, _) =
        tokio::join!(scene.coordinators[0].terminate(), owned(&scene, &before, "two"));
    let waited = since.elapsed();
    assert!(status.success(), "{status}");
    assert!(waited <= HAND_OVER_MAX, "the other had the shards after {waited:?}");
    scene.check_equal(run, &undisturbed).await;
}
