//! Policies on cost: asked for each deployment with its own estimate, so that a dear model gives way to a
//! cheaper one, or the step is refused where it wants nothing else. And pages of what was decided.

use maestro_router::config::Config;
use maestro_router::decide::{Facts, Policy, choose};
use maestro_schemas::api::route::{DecisionPage, RouteAnswer};
use maestro_schemas::route::{Mode, RouteDecision};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::question::{ask, files, refused};
use crate::support::stack::{Stack, read};

/// A dear model, a cheap one, and one whose price nobody knows.
const CONFIG: &str = "
model_list:
  - model_name: dear
    litellm_params: { model: openai/dear }
    model_info: { id: at-dear, input_cost_per_token: 0.001, output_cost_per_token: 0.001 }
  - model_name: cheap
    litellm_params: { model: openai/cheap }
    model_info: { id: at-cheap, input_cost_per_token: 0.000001, output_cost_per_token: 0.000001 }
  - model_name: unknown
    litellm_params: { model: openai/unknown }
    model_info: { id: at-unknown }
router:
  fallbacks: [{ primary: dear, on_error: [cheap] }]
  modes: { demo: MODE }
";
const BELOW_A_CENT: &str = "package maestro.cost\n\nviolation contains message if {\n\tinput.estimated_cost > 0.01\n\tmessage := sprintf(\"%s for %s costs %.4f USD\", [input.model, input.step, input.estimated_cost])\n}\n";
const SHIPPED: &str = include_str!("../../../../policies/rego/cost.rego");

async fn stack(mode: &str, cost: &str) -> (tempfile::TempDir, Stack) {
    let (dir, options) = files(Some(&CONFIG.replace("MODE", mode)), &[("cost.rego", cost)]);
    (dir, Stack::with_router(options).await)
}

fn question() -> Value {
    json!({ "model": "dear", "prompt_chars": 400, "output_tokens": 100, "objectives": "quality" })
}

fn decided(answer: RouteAnswer) -> RouteDecision {
    match answer {
        RouteAnswer::Decided { decision } => *decision,
        other => panic!("expected a decision: {other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_is_too_dear_gives_way_to_a_cheaper_one_in_every_mode() {
    for mode in ["act", "shadow"] {
        let (_dir, stack) = stack(mode, BELOW_A_CENT).await;
        let decision = decided(ask(&stack, question(), None).await);
        assert_eq!(decision.choice.mode.as_str(), mode);
        assert_eq!(decision.choice.deployment, "at-cheap", "{mode}");
        let excluded = &decision.choice.rationale.excluded;
        let [one] = excluded.as_slice() else { panic!("{excluded:?}") };
        assert_eq!(
            (one.deployment.as_str(), one.rule.as_str(), one.message.as_str()),
            ("at-dear", "data.maestro.cost.violation", "dear for main/ask costs 0.2000 USD")
        );
    }
}

#[tokio::test]
async fn a_step_that_wants_nothing_cheaper_is_refused() {
    let (_dir, stack) = stack("act", BELOW_A_CENT).await;
    let mut only = question();
    only["downgrade"] = json!(false);
    let (code, status, message) = refused(ask(&stack, only.clone(), None).await);
    assert_eq!((code.as_str(), status), ("MAE-4002", 403));
    assert!(message.contains("dear for main/ask costs 0.2000 USD"), "{message}");
    assert!(message.contains("at-cheap by maestro.downgrade"), "{message}");
    only["model"] = json!("cheap");
    let choice = decided(ask(&stack, only, None).await).choice;
    assert_eq!((choice.mode, choice.deployment.as_str()), (Mode::Act, "at-cheap"));
}

#[tokio::test]
async fn what_is_left_of_the_cap_is_the_budget_of_a_step() {
    let (_dir, stack) = stack("shadow", SHIPPED).await;
    let mut capped = question();
    capped["cap_microusd"] = json!(1_000);
    let decision = decided(ask(&stack, capped.clone(), None).await);
    assert_eq!(decision.choice.deployment, "at-cheap");
    let message = &decision.choice.rationale.excluded[0].message;
    assert!(message.starts_with("Step cost 0.2000 exceeds budget 0.0010"), "{message}");
    capped["model"] = json!("unknown");
    let (_, status, message) = refused(ask(&stack, capped, None).await);
    assert!(status == 403 && message.contains("no price of unknown is known"), "{message}");
    let mut free = question();
    free["model"] = json!("unknown");
    assert_eq!(decided(ask(&stack, free, None).await).choice.deployment, "at-unknown");
}

#[tokio::test]
async fn decisions_come_in_pages_and_can_be_made_again_letter_by_letter() {
    let (_dir, stack) = stack("act", BELOW_A_CENT).await;
    for _ in 0..3 {
        decided(ask(&stack, question(), None).await);
    }
    let path = "/v1/projects/demo/route/decisions";
    let mut page = DecisionPage::default();
    for _ in 0..600 {
        page = stack.get(&format!("{path}?limit=50")).await;
        if page.decisions.len() == 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!((page.decisions.len(), &page.next), (3, &None));
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let next: DecisionPage = stack.get(&format!("{path}?limit=2{cursor}")).await;
        seen.extend(next.decisions.iter().map(|one| one.decision_id));
        let Some(next) = next.next else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, page.decisions.iter().map(|one| one.decision_id).collect::<Vec<_>>());
    let config = Config::read(&page.config, "kept").unwrap();
    for kept in &page.decisions {
        let facts: Facts = serde_json::from_value(kept.facts.clone()).unwrap();
        let Policy::Asked { verdicts, .. } = &facts.policy else { panic!("{facts:?}") };
        assert!(verdicts["at-dear"].too_dear && !verdicts["at-cheap"].too_dear);
        assert_eq!(facts.purpose.as_ref().unwrap().step, "main/ask");
        let objectives = serde_json::from_value(kept.objectives.clone()).unwrap();
        let again = choose(&config, &facts, &kept.request, &objectives).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), kept.choice);
    }
    let late: DecisionPage = stack.get(&format!("{path}?since_ms={}", u64::MAX)).await;
    assert!(late.decisions.is_empty() && late.config.is_empty());
    let answer = stack.request(Method::GET, &format!("{path}?cursor=x")).send().await.unwrap();
    let _: Value = read(answer, StatusCode::BAD_REQUEST).await;
}
