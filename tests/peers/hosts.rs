//! `ollama.generate` on hosts that do what a test says: the choice among them, answers, faults, costs.

use std::time::{Duration, Instant};

use maestro_llm::ollama::Host;
use maestro_llm::{Gateway, Places};
use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::task::Task;
use maestro_tests::harness::until;
use serde_json::{Value, json};

use crate::ollama::{GIB, Ollama, PROMPT_TOKENS, Turn};
use crate::stage::{Ended, Stage, task};

const ACTION: &str = "ollama.generate";

fn stage(hosts: impl IntoIterator<Item = Host>) -> Stage<()> {
    let ollama = hosts.into_iter().collect();
    Stage::of(Places { ollama, ..Places::from(Gateway::Nowhere) })
}

fn own(prompt: &str) -> Value {
    json!({"model": "own", "prompt": prompt})
}

async fn says(text: &'static str) -> Ollama {
    Ollama::start(&["own:latest"], [Turn::Say(text)]).await
}

async fn does(turns: impl IntoIterator<Item = Turn>) -> Ollama {
    Ollama::start(&["own:latest"], turns).await
}

fn deployment(ended: &Ended) -> String {
    let calls = ended.ledger.calls();
    calls.last().and_then(|call| call.deployment.clone()).unwrap_or_default()
}

#[tokio::test]
async fn an_answer_is_streamed_into_the_log_with_its_host_and_costs_nothing_but_is_counted() {
    let host = says("Good morning to you").await;
    let with = json!({
        "model": "own", "prompt": "Greet.", "system": "Be kind.", "temperature": 0.5, "seed": 7,
        "max_tokens": 64, "stop": ["END"], "keep_alive": "10m", "context_tokens": 8192,
    });
    let ended = stage([host.host("gpu-1")]).ask(ACTION, with).await;
    let outputs = ended.outputs();
    assert_eq!(
        (&outputs["text"], &outputs["model"]),
        (&json!("Good morning to you"), &json!("own:latest"))
    );
    assert_eq!((&outputs["finish_reason"], &outputs["offline"]), (&json!("stop"), &json!(false)));
    assert!(
        ended.log.starts_with("[gpu-1 is asked for own: it has 0 calls under way"),
        "{}",
        ended.log
    );
    assert!(ended.log.ends_with("Good morning to you"), "{}", ended.log);
    let call = &ended.ledger.calls()[0];
    assert_eq!((call.input_tokens, call.output_tokens, call.cost_microusd), (PROMPT_TOKENS, 4, 0));
    assert!(call.settled && call.deployment.as_deref() == Some("ollama:gpu-1"), "{call:?}");
    let expected = json!({
        "model": "own", "stream": true, "keep_alive": "10m",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Greet."}],
        "options": {"temperature": 0.5, "seed": 7, "num_predict": 64, "stop": ["END"], "num_ctx": 8192},
    });
    assert_eq!(host.chats(), [expected]);
}

#[tokio::test]
async fn a_host_that_has_the_model_loaded_is_asked_before_one_with_more_room() {
    let (roomy, loaded) = (says("roomy").await, says("loaded").await);
    loaded.load("own:latest", 5 * GIB, 5 * GIB);
    let free = Host { gpu_memory_bytes: Some(80 * GIB), ..roomy.host("roomy") };
    let ended = stage([free, loaded.host("loaded")]).ask(ACTION, own("x")).await;
    assert_eq!(ended.outputs()["text"], "loaded");
    assert!(
        ended.log.contains("[loaded is asked for own: it has the model loaded]"),
        "{}",
        ended.log
    );
}

#[tokio::test]
async fn where_no_host_has_it_loaded_the_one_whose_gpus_hold_it_is_asked() {
    let (small, probed, large) = (says("small").await, says("probed").await, says("large").await);
    // 4 GiB are wanted: 2 are left here, 3 there by the host's own word, 6 at the last.
    small.load("other:7b", 6 * GIB, 6 * GIB);
    probed.gpu(48 * GIB, 3 * GIB);
    let hosts = [
        Host { gpu_memory_bytes: Some(8 * GIB), ..small.host("small") },
        Host {
            gpu_memory_bytes: Some(48 * GIB),
            probe_url: Some(probed.probe_url()),
            ..probed.host("probed")
        },
        Host { gpu_memory_bytes: Some(6 * GIB), ..large.host("large") },
    ];
    let ended = stage(hosts).ask(ACTION, own("x")).await;
    assert_eq!(ended.outputs()["text"], "large");
    assert!(ended.log.contains("6.0 GiB of its GPUs are free for 4.0 GiB"), "{}", ended.log);
}

#[tokio::test]
async fn a_host_whose_probe_hangs_is_asked_all_the_same_by_what_is_configured_of_its_memory() {
    let (hangs, small) = (says("hangs").await, says("small").await);
    hangs.hang_probe();
    let hosts = [
        Host { gpu_memory_bytes: Some(3 * GIB), ..small.host("small") },
        Host {
            gpu_memory_bytes: Some(6 * GIB),
            probe_url: Some(hangs.probe_url()),
            ..hangs.host("hangs")
        },
    ];
    let begun = Instant::now();
    let ended = stage(hosts).ask(ACTION, own("x")).await;
    assert_eq!(ended.outputs()["text"], "hangs", "{}", ended.log);
    assert!(ended.log.contains("6.0 GiB of its GPUs are free for 4.0 GiB"), "{}", ended.log);
    // A second for the probe, the rest for a busy machine.
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_host_that_lacks_the_model_or_does_not_answer_is_not_asked() {
    let lacks = Ollama::start(&["other:7b"], [Turn::Say("lacks")]).await;
    let (mute, has) = (says("mute").await, says("has").await);
    mute.mute();
    let hosts = [lacks.host("lacks"), mute.host("mute"), has.host("has")];
    let ended = stage(hosts).ask(ACTION, own("x")).await;
    assert_eq!(ended.outputs()["text"], "has");
    assert_eq!((lacks.chats().len(), mute.chats().len()), (0, 0));
    let ended = stage([lacks.host("lacks")]).ask(ACTION, own("x")).await;
    assert_eq!(ended.failure().class, FailureClass::Permanent);
    assert!(ended.failure().message.contains("lacks: it has no such model"), "{:?}", ended.outcome);
    let ended = stage([lacks.host("lacks"), mute.host("mute")]).ask(ACTION, own("x")).await;
    assert_eq!(ended.failure().class, FailureClass::Transient);
    assert!(ended.failure().message.contains("mute: it does not answer within 2 s"));
}

/// A host that has the model loaded and does this, and one that answers: asked twice.
async fn asked_twice(turn: Turn) -> Ollama {
    let (bad, good) = (does([turn.clone()]).await, says("whole").await);
    bad.load("own:latest", GIB, GIB);
    let stage = stage([bad.host("bad"), good.host("good")]);
    let ended = stage.ask(ACTION, own("x")).await;
    assert_eq!(ended.outputs()["text"], "whole", "{turn:?}");
    assert!(ended.log.contains("[superseded: "), "{turn:?}: {}", ended.log);
    assert!(ended.log.ends_with("whole"), "{}", ended.log);
    assert_eq!(deployment(&ended), "ollama:good");
    assert_eq!(stage.ask(ACTION, own("y")).await.outputs()["text"], "whole");
    bad
}

#[tokio::test]
async fn a_host_that_fails_gives_way_and_is_left_alone_for_a_while() {
    for turn in [Turn::Cut("half a"), Turn::Refuse(500)] {
        let bad = asked_twice(turn.clone()).await;
        assert_eq!(bad.chats().len(), 1, "{turn:?}: it was not left alone");
    }
}

#[tokio::test]
async fn a_host_whose_answer_cannot_be_read_gives_way_and_is_asked_by_the_next_call() {
    for turn in [Turn::Fail("half a"), Turn::Garble, Turn::Endless] {
        let bad = asked_twice(turn.clone()).await;
        assert_eq!(bad.chats().len(), 2, "{turn:?}: that was about one answer");
    }
}

#[tokio::test]
async fn a_host_that_failed_is_asked_again_where_nobody_else_is_left() {
    let host = does([Turn::Cut("half a"), Turn::Say("whole")]).await;
    let small = Ollama::start(&["small:1b"], [Turn::Say("from the small one")]).await;
    let stage = stage([host.host("gpu-1"), small.host("gpu-2")]);
    assert_eq!(stage.ask(ACTION, own("x")).await.failure().class, FailureClass::Transient);
    let with = json!({"models": ["own", "small:1b"], "prompt": "x"});
    assert_eq!(stage.ask(ACTION, with).await.outputs()["text"], "from the small one");
    assert_eq!(stage.ask(ACTION, own("y")).await.outputs()["text"], "whole");
}

#[tokio::test]
async fn hosts_that_failed_are_asked_again_in_the_order_of_the_chain_where_it_has_no_other() {
    let first = does([Turn::Cut("half a"), Turn::Cut("half a")]).await;
    let turns = [Turn::Refuse(500), Turn::Say("from the small one")];
    let second = Ollama::start(&["small:1b"], turns).await;
    let stage = stage([first.host("gpu-1"), second.host("gpu-2")]);
    let chain = json!({"models": ["own", "small:1b"], "prompt": "x"});
    assert_eq!(stage.ask(ACTION, chain.clone()).await.failure().class, FailureClass::Transient);
    assert_eq!((first.chats().len(), second.chats().len()), (1, 1));
    let ended = stage.ask(ACTION, chain).await;
    assert_eq!(ended.outputs()["text"], "from the small one", "{}", ended.log);
    assert_eq!((first.chats().len(), second.chats().len()), (2, 2));
    let calls = ended.ledger.calls();
    let models: Vec<&str> = calls.iter().map(|call| call.model.as_str()).collect();
    assert_eq!(models, ["own", "small:1b"]);
}

#[tokio::test]
async fn where_every_host_fails_the_step_fails_as_the_last_of_them_did() {
    let cases = [
        (Turn::Cut("half a"), FailureClass::Transient, "was cut"),
        (Turn::Fail("half a"), FailureClass::Transient, "it ended with: the runner crashed"),
        (Turn::Refuse(500), FailureClass::Transient, "the script says 500"),
        (Turn::Refuse(429), FailureClass::Throttled, "the script says 429"),
        (Turn::Refuse(404), FailureClass::Permanent, "the script says 404"),
        (Turn::Refuse(400), FailureClass::Permanent, "the script says 400"),
        (Turn::Refuse(401), FailureClass::Denied, "the script says 401"),
        (Turn::Garble, FailureClass::Transient, "cannot be read"),
        (Turn::Endless, FailureClass::Transient, "a line of it has more than 1048576 bytes"),
    ];
    for (turn, class, words) in cases {
        let host = does([turn.clone()]).await;
        let ended = stage([host.host("gpu-1")]).ask(ACTION, own("x")).await;
        let failure = ended.failure();
        assert_eq!(failure.class, class, "{turn:?}: {}", failure.message);
        assert!(failure.message.contains(words), "{turn:?}: {}", failure.message);
        assert_eq!(ended.ledger.spent_microusd(), 0);
    }
}

#[tokio::test]
async fn a_model_that_is_gone_is_looked_for_on_the_next_host_and_its_host_is_not_blamed() {
    let (gone, has) = (does([Turn::Refuse(404), Turn::Say("back")]).await, says("has").await);
    gone.load("own:latest", GIB, GIB);
    let stage = stage([gone.host("gone"), has.host("has")]);
    assert_eq!(stage.ask(ACTION, own("x")).await.outputs()["text"], "has");
    assert_eq!(stage.ask(ACTION, own("y")).await.outputs()["text"], "back");
}

#[tokio::test]
async fn the_next_model_of_a_chain_is_asked_where_no_host_serves_the_first() {
    let host = Ollama::start(&["small:1b"], [Turn::Say("from the small one")]).await;
    let with = json!({"models": ["large:70b", "small:1b"], "prompt": "x"});
    let ended = stage([host.host("gpu-1")]).ask(ACTION, with).await;
    assert_eq!(ended.outputs()["text"], "from the small one");
    assert_eq!(ended.ledger.calls()[0].model, "small:1b");
    assert!(ended.log.contains("no Ollama host serves large:70b"), "{}", ended.log);
    let with = json!({"models": ["large:70b", "huge:405b"], "prompt": "x"});
    let ended = stage([host.host("gpu-1")]).ask(ACTION, with).await;
    assert!(ended.failure().message.contains("huge:405b"), "{:?}", ended.outcome);
}

#[tokio::test]
async fn a_request_that_no_host_would_take_is_tried_on_no_other() {
    let (one, other) = (does([Turn::Refuse(400)]).await, does([Turn::Refuse(400)]).await);
    let ended = stage([one.host("one"), other.host("other")]).ask(ACTION, own("x")).await;
    assert_eq!(ended.failure().class, FailureClass::Permanent);
    assert_eq!(one.chats().len() + other.chats().len(), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_its_schema_is_asked_for_again_and_repairs_have_an_end() {
    let schema = json!({"type": "object", "required": ["score"], "properties": {"score": {"type": "integer"}}});
    let host = does([Turn::Say("seven, I think"), Turn::Say("{\"score\":7}")]).await;
    let with = json!({"model": "own", "prompt": "Score it.", "schema": schema});
    let ended = stage([host.host("gpu-1")]).ask(ACTION, with.clone()).await;
    assert_eq!(ended.outputs()["json"], json!({"score": 7}));
    let chats = host.chats();
    assert_eq!(chats[0]["format"], schema);
    assert!(chats[1]["messages"].to_string().contains("does not fit"), "{chats:?}");
    let never = says("never").await;
    let ended = stage([never.host("gpu-1")]).ask(ACTION, with).await;
    assert_eq!(ended.failure().class, FailureClass::Permanent);
    assert!(ended.failure().message.contains("none of 3 answers of own fits"));
}

#[tokio::test]
async fn a_host_too_old_for_schemas_is_not_asked_for_one() {
    let (old, new) = (says("{}").await, says("{}").await);
    old.version("0.4.7");
    old.load("own:latest", GIB, GIB);
    let with = json!({"model": "own", "prompt": "x", "schema": {"type": "object"}});
    let ended = stage([old.host("old"), new.host("new")]).ask(ACTION, with.clone()).await;
    assert_eq!(deployment(&ended), "ollama:new");
    let ended = stage([old.host("old")]).ask(ACTION, with).await;
    assert!(
        ended.failure().message.contains("Ollama 0.4.7 takes no schema"),
        "{:?}",
        ended.outcome
    );
}

#[tokio::test]
async fn a_call_that_is_stopped_in_mid_stream_ends_at_once_and_drops_its_connection() {
    let host = does([Turn::Hang("wait for it")]).await;
    let stage = stage([host.host("gpu-1")]);
    let (task, stop) = (task(ACTION, own("x")), stage.stop.clone());
    let stopping = async {
        until("the question", || async { (!host.chats().is_empty()).then_some(()) }).await;
        stop.cancel();
        Instant::now()
    };
    let (ended, stopped) = tokio::join!(stage.carry_out(&task), stopping);
    assert!(stopped.elapsed() < Duration::from_secs(5));
    assert!(matches!(ended.outcome, Outcome::Cancelled { .. }), "{:?}", ended.outcome);
    assert_eq!(ended.ledger.calls().len(), 1);
    until("the connection's end", || async { (host.dropped() == 1).then_some(()) }).await;
}

#[tokio::test]
async fn a_redelivered_attempt_asks_nobody_twice() {
    let host = says("once").await;
    let stage = stage([host.host("gpu-1")]);
    let first = task(ACTION, own("x"));
    let (had, again) = (stage.carry_out(&first).await, stage.carry_out(&first).await);
    assert_eq!(
        (&had.outputs()["text"], &again.outputs()["text"]),
        (&json!("once"), &json!("once"))
    );
    assert_eq!(host.chats().len(), 1);
    assert_eq!(again.ledger.calls()[0].payer, Some((had.id, 0)));
    let mut next = first.clone();
    next.token.number = 2;
    stage.carry_out(&next).await.outputs();
    assert_eq!(host.chats().len(), 2, "another attempt asks anew");
}

#[tokio::test]
async fn a_hosts_price_counts_and_a_cap_bounds_the_answer_or_denies_the_call() {
    let host = says("two words").await;
    let priced = || Host { usd_per_token: (1e-6, 3e-6), ..host.host("gpu-1") };
    let ended = stage([priced()]).ask(ACTION, own("x")).await;
    assert_eq!(ended.ledger.spent_microusd(), PROMPT_TOKENS + 2 * 3);
    let capped = |cap| Task { cap_microusd: Some(cap), ..task(ACTION, own("x")) };
    stage([priced()]).carry_out(&capped(200)).await.outputs();
    let most = host.chats()[1]["options"]["num_predict"].as_u64().expect("a limit");
    assert!((10..70).contains(&most), "{most}");
    let denied = stage([priced()]).carry_out(&capped(20)).await;
    assert_eq!(denied.failure().class, FailureClass::Denied, "{:?}", denied.outcome);
    let free = stage([host.host("gpu-1")]).carry_out(&capped(0)).await;
    assert_eq!((free.ledger.spent_microusd(), host.chats().len()), (0, 3));
    assert!(free.outputs().contains_key("text"));
}

#[tokio::test]
async fn a_host_takes_no_more_calls_at_once_than_it_may_and_the_next_waits_for_room() {
    let host = does([Turn::Hang("wait for it"), Turn::Say("the second")]).await;
    let stage = stage([Host { max_concurrency: Some(1), ..host.host("gpu-1") }]);
    let mut first = Box::pin(stage.ask(ACTION, own("first")));
    tokio::select! {
        ended = &mut first => panic!("the first ended: {:?}", ended.outcome),
        () = until("the first question", || async { (!host.chats().is_empty()).then_some(()) }) => {}
    }
    let mut second = Box::pin(stage.ask(ACTION, own("second")));
    let early = tokio::time::timeout(Duration::from_millis(500), async {
        tokio::select! { _ = &mut first => "the first", _ = &mut second => "the second" }
    });
    assert!(early.await.is_err(), "nobody ends while the first hangs");
    assert_eq!(host.chats().len(), 1);
    // Dropped in its midst, the first gives its place back.
    drop(first);
    let ended = second.await;
    assert_eq!(ended.outputs()["text"], "the second");
}

#[tokio::test]
async fn content_goes_to_no_host_outside_the_steps_jurisdictions() {
    let (us, eu, unknown) = (says("us").await, says("eu").await, says("unknown").await);
    us.load("own:latest", GIB, GIB);
    let at = |host: &Ollama, name: &str, place: &str| Host {
        jurisdiction: Some(place.to_owned()),
        ..host.host(name)
    };
    let with = json!({"model": "own", "prompt": "x", "jurisdictions": ["eu"]});
    let hosts = || [at(&us, "us", "us"), unknown.host("unknown")];
    let all = hosts().into_iter().chain([at(&eu, "eu", "eu-de")]);
    assert_eq!(stage(all).ask(ACTION, with.clone()).await.outputs()["text"], "eu");
    let ended = stage(hosts()).ask(ACTION, with).await;
    assert_eq!(ended.failure().class, FailureClass::Denied, "{:?}", ended.outcome);
    assert_eq!((us.chats().len(), unknown.chats().len()), (0, 0));
}

#[tokio::test]
async fn a_hosts_key_goes_to_it_and_into_no_words() {
    let host = does([Turn::Refuse(401)]).await;
    let keyed = Host { key: Some("sk-own-secret".to_owned()), ..host.host("gpu-1") };
    let ended = stage([keyed]).ask(ACTION, own("x")).await;
    assert_eq!(host.keys(), [Some("Bearer sk-own-secret".to_owned())]);
    assert!(!format!("{:?} {}", ended.outcome, ended.log).contains("sk-own-secret"));
}

#[tokio::test]
async fn parameters_that_cannot_be_are_the_authors_fault() {
    let host = says("x").await;
    let wrong = [
        json!({"prompt": "x"}),
        json!({"model": "own", "models": ["own"], "prompt": "x"}),
        json!({"models": [], "prompt": "x"}),
        json!({"model": "own"}),
        json!({"model": "own", "prompt": "x", "tools": []}),
        json!({"model": "own", "prompt": "x", "topic": "law"}),
    ];
    for with in wrong {
        let ended = stage([host.host("gpu-1")]).ask(ACTION, with.clone()).await;
        assert_eq!(ended.failure().class, FailureClass::Permanent, "{with}");
    }
    assert!(host.chats().is_empty());
    let ended = stage([]).ask(ACTION, own("x")).await;
    assert!(ended.failure().message.contains("--ollama-hosts"), "{:?}", ended.outcome);
}
