//! Directories that are kept from step to step.

use super::*;

fn with_caches() -> Bench {
    let mut bench = Bench::new();
    let settings = Settings::from_variables(std::env::vars()).with_caches(bench.path("caches"));
    bench.pool = BuildPool::new(settings);
    bench
}

fn naming(bench: &Bench, caches: &[&str], script: &str) -> Task {
    let mut task = bench.shell(script);
    task.beside.caches = Some(caches.iter().map(|name| (*name).to_owned()).collect());
    task
}

#[tokio::test]
async fn a_named_cache_is_found_again_and_no_other_is() {
    let bench = with_caches();
    let first = "mkdir -p $CARGO_HOME; echo kept >$CARGO_HOME/it; echo x >$MAESTRO_CACHE_MY_OWN/y";
    success(bench.carry_out(naming(&bench, &["cargo", "my-own"], first)).await);
    let second = r#"echo "found=$(cat $CARGO_HOME/it) ${PIP_CACHE_DIR-none} ${MAESTRO_CACHE_MY_OWN-none}" >>$MAESTRO_OUTPUT"#;
    let (outputs, _) = success(bench.carry_out(naming(&bench, &["cargo"], second)).await);
    assert_eq!(outputs["found"], "kept none none");
    let none = r#"echo "found=${CARGO_HOME-none}" >>$MAESTRO_OUTPUT"#;
    let (outputs, _) = success(bench.carry_out(naming(&bench, &[], none)).await);
    assert_eq!(outputs["found"], "none");
}

#[tokio::test]
async fn two_steps_that_name_one_cache_hold_it_one_after_the_other() {
    let bench = with_caches();
    let script = r#"cd $MAESTRO_CACHE_ONE; test ! -e held; touch held; echo in >>$BENCH/order
                    while [ ! -e $BENCH/go ]; do sleep 0.01; done; rm held; echo out >>$BENCH/order"#;
    let step = || bench.carry_out(naming(&bench, &["one"], script));
    let let_go = async {
        eventually(|| bench.written("order") == "in\n").await;
        std::fs::write(bench.path("go"), "").expect("a file");
    };
    let (one, other, ()) = tokio::join!(step(), step(), let_go);
    success(one);
    success(other);
    assert_eq!(bench.written("order"), "in\nout\nin\nout\n");
    assert!(bench.log().await.contains("waits for the cache one, which another step holds"));
}
