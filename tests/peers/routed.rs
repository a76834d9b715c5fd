//! Calls of models that the router decides: a run on real servers, through LiteLLM's own proxy.

use std::sync::Arc;
use std::time::Duration;

use maestro_llm::Gateway;
use maestro_tests::harness::until;
use serde_json::json;

use crate::provider::Turn;
use crate::scene::Scene;
use crate::stage::shared;

/// Two models of others, and one of our own.
const CONFIG: &str = "
model_list:
  - model_name: failing
    litellm_params: { model: openai/failing }
    model_info: { id: at-failing, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.95 } }
  - model_name: steady
    litellm_params: { model: openai/steady }
    model_info: { id: at-steady, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.9 } }
  - model_name: inhouse
    litellm_params: { model: vllm/inhouse, api_base: http://127.0.0.1:9 }
    model_info: { id: at-inhouse, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.5 } }
router:
  strategy: multi_objective
  fallbacks:
    - { primary: failing, on_error: [steady, inhouse] }
  modes: { default: MODE }
policies:
  content_tags: { pii: [inhouse] }
";

async fn scene(mode: &str) -> Scene {
    Scene::open(Some(&CONFIG.replace("MODE", mode)), gateway().await).await
}

/// LiteLLM's own proxy, and what its providers do.
async fn gateway() -> Gateway {
    let (proxy, provider) = shared().await;
    provider.script("failing", [Turn::Refuse(503)]);
    provider.script("steady", [Turn::Say("from the steady one".to_owned())]);
    provider.script("inhouse", [Turn::Say("from our own".to_owned())]);
    Gateway::Kept(Arc::new(proxy.clone()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_in_the_workers_own_process_decides_as_one_that_is_asked_over_the_bus() {
    let over_the_bus = scene("act").await;
    let beside = Scene::beside(&CONFIG.replace("MODE", "act"), gateway().await).await;
    let personal = "Pay to DE89 3704 0044 0532 0130 00, please.";
    let asked = [("steady", "Say something.", "at-steady"), ("failing", personal, "at-inhouse")];
    for (model, prompt, served) in asked {
        for scene in [&over_the_bus, &beside] {
            let with = json!({"model": model, "prompt": prompt});
            let run = scene.ask("litellm.generate", with).await;
            let decided = run.calls.iter().all(|call| call.decided);
            assert_eq!((run.models(), decided), (vec![served], true), "{run:?}");
        }
    }
    let decided = ("act".to_owned(), "at-inhouse".to_owned());
    until("the decision", || async { beside.decision().await.filter(|one| *one == decided) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_router_acts_a_model_that_fails_gives_way_to_the_next_and_personal_data_stays() {
    const ACTION: &str = "litellm.generate";
    let scene = scene("act").await;
    // It is the best by what is believed of it, until it fails.
    let mut superseded = false;
    for _ in 0..6 {
        let with = json!({"model": "failing", "prompt": "Say something.", "objectives": "quality"});
        let run = scene.ask(ACTION, with).await;
        assert!(["from the steady one", "from our own"].contains(&run.text()), "{run:?}");
        assert!(run.calls.iter().all(|call| call.decided), "{run:?}");
        superseded |= run.calls.len() == 2;
    }
    assert!(superseded, "the model that fails was never tried");
    let with = json!({"model": "failing", "prompt": "Pay to DE89 3704 0044 0532 0130 00, please."});
    let run = scene.ask(ACTION, with).await;
    assert_eq!(run.text(), "from our own");
    assert_eq!((run.models().as_slice(), run.calls[0].decided), (["at-inhouse"].as_slice(), true));
    let (_, provider) = shared().await;
    for model in ["failing", "steady"] {
        let leaked = provider.seen(model).iter().any(|body| body.to_string().contains("DE89"));
        assert!(!leaked, "{model} was shown personal data");
    }
    let secret =
        json!({"model": "steady", "prompt": "x", "tags": ["pii"], "jurisdictions": ["eu"]});
    let run = scene.ask(ACTION, secret).await;
    assert_eq!(run.state, "failed", "nobody said where our own runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_router_advises_what_was_asked_for_is_called_and_nothing_else() {
    const PROMPT: &str = "Say what only this test says.";
    let scene = scene("advise").await;
    // Our own is the better one by that.
    let with = json!({"model": "failing", "prompt": PROMPT, "objectives": "sovereignty"});
    let run = scene.ask("litellm.generate", with).await;
    assert_eq!((run.state.as_str(), run.models().as_slice()), ("failed", ["failing"].as_slice()));
    assert!(run.calls[0].decided, "{run:?}");
    let advised = until("the decision", || scene.decision()).await;
    assert_eq!(advised, ("advise".to_owned(), "at-inhouse".to_owned()));
    let (_, provider) = shared().await;
    let asked = |model: &str| {
        let seen = provider.seen(model);
        seen.iter().filter(|body| body.to_string().contains(PROMPT)).count()
    };
    assert_eq!(["failing", "steady", "inhouse"].map(asked), [1, 0, 0]);
}

/// One that takes its time.
const PATIENT: &str = "
model_list:
  - model_name: patient
    litellm_params: { model: openai/patient }
    model_info: { id: at-patient, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.95 } }
router: { modes: { default: act } }
";

#[tokio::test(flavor = "multi_thread")]
async fn while_a_call_is_under_way_the_books_name_the_model_that_was_decided_for() {
    let (proxy, provider) = shared().await;
    let later = Turn::Later("from the patient one".to_owned(), Duration::from_secs(3));
    provider.script("patient", [later]);
    let scene = Scene::open(Some(PATIENT), Gateway::Kept(Arc::new(proxy.clone()))).await;
    let asking = scene.ask("litellm.generate", json!({"model": "patient", "prompt": "Say it."}));
    let looking = until("the decided call in the books", || async {
        let calls = scene.all_calls().await;
        calls.iter().all(|call| call.decided).then_some(calls).filter(|calls| !calls.is_empty())
    });
    let (run, under_way) = tokio::join!(asking, looking);
    let [call] = under_way.as_slice() else { panic!("{under_way:?}") };
    assert_eq!((call.model.as_str(), call.wall_ms), ("at-patient", 0), "{call:?}");
    assert_eq!((run.text(), run.calls.len()), ("from the patient one", 1), "{run:?}");
    assert_eq!(provider.seen("patient").len(), 1);
}

/// What Maestro adds to a call, with the router, the books and the answer's memory: printed, because it
/// is this machine's.
#[tokio::test(flavor = "multi_thread")]
async fn each_call_says_what_was_added_to_the_gateways_own_time() {
    says_what_was_added("the router over the bus", scene("act").await).await;
    let beside = Scene::beside(&CONFIG.replace("MODE", "act"), gateway().await).await;
    says_what_was_added("the router in the worker's process", beside).await;
}

async fn says_what_was_added(way: &str, scene: Scene) {
    const CALLS: usize = 60;
    let mut added = Vec::new();
    for number in 0..CALLS {
        let with = json!({"model": "steady", "prompt": format!("Say {number}.")});
        let run = scene.ask("litellm.generate", with).await;
        let ms = run.outputs["overhead_ms"].as_f64();
        added.push(ms.unwrap_or_else(|| panic!("{run:?}")));
        assert!(run.calls[0].wall_ms >= 0 && added[number] > 0.0, "{run:?}");
    }
    // The first ones look prices up and open connections.
    let mut warm = added.split_off(10);
    warm.sort_by(f64::total_cmp);
    let at = |percent: usize| warm[(warm.len() - 1) * percent / 100];
    eprintln!(
        "maestro.overhead_ms of {} calls, {way}: p50 {:.2} p95 {:.2} max {:.2}",
        warm.len(),
        at(50),
        at(95),
        at(100)
    );
}

/// The better model takes one call at once.
const NARROW: &str = "
model_list:
  - model_name: narrow
    litellm_params: { model: openai/narrow }
    model_info: { id: at-narrow, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.95 }, max_concurrency: 1 }
  - model_name: wide
    litellm_params: { model: openai/wide }
    model_info: { id: at-wide, input_cost_per_token: 0.000002, output_cost_per_token: 0.000005 }
    maestro: { quality: { default: 0.5 } }
router:
  fallbacks: [{ primary: narrow, on_error: [wide] }]
  modes: { default: act }
";

#[tokio::test(flavor = "multi_thread")]
async fn no_more_calls_than_a_model_takes_at_once_go_to_it_until_one_has_ended() {
    let (proxy, provider) = shared().await;
    let slow = Turn::Later("from the narrow one".to_owned(), Duration::from_secs(4));
    provider.script("narrow", [slow, Turn::Say("from the narrow one".to_owned())]);
    provider.script("wide", [Turn::Say("from the wide one".to_owned())]);
    let scene = Scene::open(Some(NARROW), Gateway::Kept(Arc::new(proxy.clone()))).await;
    let ask = || {
        let with = json!({"model": "narrow", "prompt": "Say something.", "objectives": "quality"});
        scene.ask("litellm.generate", with)
    };
    let meanwhile = async {
        until("a call under way", || async { (!provider.seen("narrow").is_empty()).then_some(()) })
            .await;
        ask().await
    };
    let (first, second) = tokio::join!(ask(), meanwhile);
    assert_eq!((first.text(), second.text()), ("from the narrow one", "from the wide one"));
    let third = ask().await;
    assert_eq!(third.text(), "from the narrow one", "{third:?}");
}
