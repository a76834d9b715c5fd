//! The decision as its callers see it: what is chosen, what is excluded by which rule, and what is told
//! in which mode.

#![cfg(test)]

use std::collections::BTreeMap;

use maestro_router::breaker::Standing;
use maestro_router::config::Config;
use maestro_router::decide::{
    Candidate, Facts, Failure, Policy, Reason, Verdict, choose, estimates, rule,
};
use maestro_router::objective::{Objectives, parse};
use maestro_router::statistics::Observed;
use maestro_schemas::digest::Digest;
use maestro_schemas::route::{
    Cause, Choice, Hint, Interval, Mode, Refusal, RouteDecision, RouteRequest,
};
use proptest::prelude::*;

/// `strong` runs twice, `weak` is cheap, `own` is at home and `far` has no price.
const CONFIG: &str = "
model_list:
  - model_name: strong
    litellm_params: {model: openai/gpt-4o}
    model_info: {id: strong-1}
    maestro: {jurisdiction: us-east, quality: {default: 0.9}}
  - model_name: strong
    litellm_params: {model: azure/gpt-4o}
    model_info: {id: strong-2, input_cost_per_token: 0.0000025, output_cost_per_token: 0.00001}
    maestro: {jurisdiction: eu-de, zdr: true, quality: {default: 0.9}, max_concurrency: 4}
  - model_name: weak
    litellm_params: {model: openai/gpt-4o-mini}
    model_info: {id: weak-1}
    maestro: {jurisdiction: us-east, quality: {default: 0.8, math: 0.3}}
  - model_name: own
    litellm_params: {model: vllm/llama}
    model_info: {id: own-1, input_cost_per_token: 0.0000005, output_cost_per_token: 0.0000005}
    maestro: {jurisdiction: eu, quality: {default: 0.7}, context_tokens: 8000}
  - model_name: far
    litellm_params: {model: else/far}
    model_info: {id: far-1}
router:
  objectives: [quality, cost]
  fallbacks: [{primary: strong, on_error: [own, weak]}]
  groups: {chat: [strong, weak, own]}
policies:
  content_tags: {pii: [own, strong], secret: [own]}
";

fn config() -> Config {
    Config::read(CONFIG, "r.yaml").unwrap()
}

fn observed(config: &Config, topic: Option<&str>) -> BTreeMap<String, Candidate> {
    let of = |one: &maestro_router::config::Deployment| {
        let quality = one.quality_of(topic).unwrap_or(0.5);
        let p95_ms = Some(Interval { value: 900.0, lo: 800.0, hi: 1_000.0 });
        let observed = Observed { p_quality: quality, p95_ms, ..Observed::default() };
        (one.id.clone(), Candidate { observed, ..Candidate::default() })
    };
    config.deployments.iter().map(of).collect()
}

fn facts(mode: Mode) -> Facts {
    Facts {
        now_ms: 10_000,
        mode,
        config_version: 3,
        policy: Policy::Off,
        purpose: None,
        registered: None,
        candidates: observed(&config(), None),
    }
}

fn request(model: &str) -> RouteRequest {
    RouteRequest {
        model: Some(model.to_owned()),
        input_tokens: Some(1_000),
        output_tokens: Some(500),
        ..RouteRequest::default()
    }
}

fn chosen(facts: &Facts, request: &RouteRequest, wants: &str) -> Choice {
    choose(&config(), facts, request, &parse(wants).unwrap()).unwrap()
}

fn refused(facts: &Facts, request: &RouteRequest, wants: &str) -> Refusal {
    match choose(&config(), facts, request, &parse(wants).unwrap()) {
        Err(Failure::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

fn rule_of(choice: &Choice, id: &str) -> Option<String> {
    let all = &choice.rationale.excluded;
    all.iter().find(|one| one.deployment == id).map(|one| one.rule.clone())
}

fn stand(facts: &mut Facts, id: &str, standing: Standing) {
    facts.candidates.get_mut(id).unwrap().standing = standing;
}

#[test]
fn weights_decide_between_good_and_cheap() {
    let facts = facts(Mode::Act);
    assert_eq!(chosen(&facts, &request("chat"), "quality").model, "strong");
    assert_eq!(chosen(&facts, &request("chat"), "cost").model, "weak");
    assert_eq!(chosen(&facts, &request("chat"), "sovereignty").model, "own");
    let even = "quality=0.5,cost=0.5";
    let hinted = |hint| RouteRequest { hint: Some(hint), ..request("chat") };
    assert_eq!(chosen(&facts, &hinted(Hint::Final), even).model, "strong");
    assert_eq!(chosen(&facts, &hinted(Hint::Draft), even).model, "weak");
}

#[test]
fn cost_is_that_of_a_task_so_that_a_cheap_model_that_fails_is_dear() {
    let mut facts = facts(Mode::Act);
    let own = &mut facts.candidates.get_mut("own-1").unwrap().observed;
    (own.p_success, own.p_quality) = (0.5, 0.1);
    let choice = chosen(&facts, &request("chat"), "cost");
    let task = |id: &str| choice.rationale.scores.get(id).unwrap().task_usd.unwrap();
    assert!((task("own-1") - 1_500.0 * 0.5e-6 / 0.05).abs() < 1e-8);
    assert!(task("own-1") > task("strong-2"), "a tenth of the price, and twenty tries");
}

#[test]
fn a_price_that_is_not_known_is_taken_for_the_dearest_and_not_made_up() {
    let any = RouteRequest { model: None, ..request("chat") };
    let choice = chosen(&facts(Mode::Act), &any, "cost");
    let far = choice.rationale.scores.get("far-1").unwrap();
    assert_eq!((far.terms.cost, far.task_usd), (0.0, None));
    let only = chosen(&facts(Mode::Act), &request("far"), "cost");
    assert_eq!(only.costs.expected_usd, None);
    assert_eq!((only.costs.basis.price.as_str(), only.rationale.cause), ("unknown", Cause::Only));
    let bound = refused(&facts(Mode::Act), &request("far"), "cost;max_cost_usd=9");
    assert_eq!(bound.excluded.first().unwrap().rule, rule::COST);
}

#[test]
fn each_rule_excludes_and_says_why() {
    let mut facts = facts(Mode::Act);
    stand(&mut facts, "weak-1", Standing::Open(12_000));
    facts.candidates.get_mut("strong-2").unwrap().in_flight = 4;
    let long = RouteRequest { input_tokens: Some(7_600), ..request("chat") };
    let choice = chosen(&facts, &long, "cost");
    assert_eq!(choice.deployment, "strong-1");
    assert_eq!(rule_of(&choice, "weak-1").unwrap(), rule::OPEN);
    assert_eq!(rule_of(&choice, "strong-2").unwrap(), rule::CONCURRENCY);
    assert_eq!(rule_of(&choice, "own-1").unwrap(), rule::CONTEXT);
    let tagged = RouteRequest { tags: vec!["PII".to_owned()], ..request("chat") };
    assert_eq!(rule_of(&chosen(&facts, &tagged, "cost"), "weak-1").unwrap(), rule::CONTENT_TAGS);
    // What nobody has looked at may be any of the tags: it goes where all of them may.
    let unseen = RouteRequest { tags: vec!["unscanned".to_owned()], ..request("chat") };
    let choice = chosen(&facts, &unseen, "quality");
    assert_eq!(choice.deployment, "own-1");
    assert_eq!(rule_of(&choice, "strong-1").unwrap(), rule::CONTENT_TAGS);
    let home = RouteRequest { jurisdictions: vec!["EU".to_owned()], ..request("chat") };
    let choice = chosen(&facts, &home, "cost");
    assert_eq!(rule_of(&choice, "strong-1").unwrap(), rule::JURISDICTION);
    assert_eq!(choice.deployment, "own-1", "eu-de is within eu, and full");
    let tried = RouteRequest { tried: vec!["own-1".to_owned()], ..home };
    let refusal = refused(&facts, &tried, "cost");
    assert!(refusal.excluded.iter().any(|one| one.rule == rule::TRIED));
}

#[test]
fn bounds_exclude_what_is_dearer_or_slower() {
    let mut facts = facts(Mode::Act);
    facts.candidates.get_mut("strong-1").unwrap().observed.p95_ms =
        Some(Interval { value: 3_000.0, lo: 2_000.0, hi: 4_000.0 });
    let choice = chosen(&facts, &request("strong"), "quality;p95_ms=1500");
    assert_eq!(rule_of(&choice, "strong-1").unwrap(), rule::LATENCY);
    let choice = chosen(&facts, &request("chat"), "quality;max_cost_usd=0.001");
    assert_eq!(rule_of(&choice, "strong-2").unwrap(), rule::COST);
    assert!(choice.costs.expected_usd.unwrap() <= 0.001);
    let capped = |cap_microusd| RouteRequest {
        cap_microusd: Some(cap_microusd),
        max_output_tokens: Some(7_000),
        ..request("chat")
    };
    let refusal = refused(&facts, &capped(10), "quality");
    let all = refusal.excluded.iter().all(|one| one.rule == rule::COST);
    assert!(all, "{:?}", refusal.excluded);
    assert_eq!(refusal.status, 503);
    // The caller cuts its answer to what is left, so what it would like at most is no matter.
    let choice = chosen(&facts, &capped(20_000), "quality");
    assert!(choice.costs.p95_usd.unwrap() <= 0.02, "{:?}", choice.costs);
}

#[test]
fn where_rules_forbid_all_it_is_403_and_where_some_have_to_wait_503() {
    let mut facts = facts(Mode::Act);
    let secret = RouteRequest { tags: vec!["secret".to_owned()], ..request("weak") };
    let refusal = refused(&facts, &secret, "cost");
    assert_eq!((refusal.status, refusal.retry_after_ms), (403, None));
    assert!(refusal.to_string().starts_with("MAE-4002 no model may serve this request: "));
    stand(&mut facts, "weak-1", Standing::Throttled(10_700));
    let refusal = refused(&facts, &request("weak"), "cost");
    assert_eq!((refusal.status, refusal.retry_after_ms), (503, Some(700)));
    assert!(
        refusal.to_string().starts_with("MAE-4011 no model can serve this request now: weak-1")
    );
}

#[test]
fn a_policy_denies_with_its_own_words_and_silence_is_denial() {
    let mut facts = facts(Mode::Act);
    let no = Verdict {
        allowed: false,
        reasons: vec![Reason { rule: "data.maestro.routing.deny".into(), message: "why".into() }],
        too_dear: false,
    };
    let yes = Verdict { allowed: true, reasons: Vec::new(), too_dear: false };
    let verdicts = [("strong-1".to_owned(), no), ("strong-2".to_owned(), yes)];
    let bundle = Digest::of(b"bundle");
    facts.policy = Policy::Asked { bundle, verdicts: BTreeMap::from(verdicts) };
    let choice = chosen(&facts, &request("strong"), "cost");
    assert_eq!(choice.deployment, "strong-2");
    assert_eq!(choice.rationale.policy_digest, Some(bundle));
    assert_eq!(rule_of(&choice, "strong-1").unwrap(), "data.maestro.routing.deny");
    assert_eq!(rule_of(&choice, "own-1").unwrap(), rule::POLICY_MISSING);
    assert_eq!(refused(&facts, &request("weak"), "cost").status, 403);
}

/// Facts whose policies on cost deny these deployments and allow all others.
fn too_dear(mode: Mode, denied: &[&str]) -> Facts {
    let reason = || Reason { rule: "data.maestro.cost.violation".into(), message: "dear".into() };
    let verdict = |id: String| match denied.contains(&id.as_str()) {
        true => (id, Verdict { allowed: false, reasons: vec![reason()], too_dear: true }),
        false => (id, Verdict { allowed: true, ..Verdict::default() }),
    };
    let verdicts = ids().map(verdict).collect();
    let policy = Policy::Asked { bundle: Digest::of(b"bundle"), verdicts };
    Facts { policy, ..facts(mode) }
}

#[test]
fn what_policies_find_too_dear_gives_way_unless_the_request_wants_nothing_else() {
    let no_downgrade = |model| RouteRequest { downgrade: Some(false), ..request(model) };
    for mode in [Mode::Act, Mode::Advise, Mode::Shadow] {
        let facts = too_dear(mode, &["strong-1", "strong-2"]);
        let choice = chosen(&facts, &request("strong"), "cost");
        assert_eq!(rule_of(&choice, "strong-1").unwrap(), "data.maestro.cost.violation");
        assert!(["own-1", "weak-1"].contains(&choice.deployment.as_str()), "{choice:?}");
        let refusal = refused(&facts, &no_downgrade("strong"), "cost");
        assert_eq!(refusal.status, 403);
        let rule = |id: &str| {
            refusal.excluded.iter().find(|one| one.deployment == id).unwrap().rule.clone()
        };
        assert_eq!(
            (rule("strong-1").as_str(), rule("own-1").as_str()),
            ("data.maestro.cost.violation", rule::DOWNGRADE)
        );
        // Another deployment of the model, or another model of the group, is what was asked for.
        let one = too_dear(mode, &["strong-1"]);
        assert_eq!(chosen(&one, &no_downgrade("strong"), "quality").deployment, "strong-2");
        assert!(chosen(&facts, &no_downgrade("chat"), "cost").fallbacks.len() < 3);
    }
}

#[test]
fn a_bound_on_cost_is_no_reason_for_another_model_where_none_is_wanted() {
    let facts = facts(Mode::Act);
    let capped = RouteRequest { cap_microusd: Some(3_000), ..request("strong") };
    assert_eq!(chosen(&facts, &capped, "quality").deployment, "weak-1");
    let refusal = refused(&facts, &RouteRequest { downgrade: Some(false), ..capped }, "quality");
    assert_eq!(refusal.status, 403);
    // What fails for another reason may go elsewhere: that is no downgrade.
    let mut failing = too_dear(Mode::Act, &[]);
    stand(&mut failing, "strong-1", Standing::Open(99_000));
    stand(&mut failing, "strong-2", Standing::Open(99_000));
    let asked = RouteRequest { downgrade: Some(false), ..request("strong") };
    assert!(["own-1", "weak-1"].contains(&chosen(&failing, &asked, "cost").deployment.as_str()));
}

#[test]
fn an_estimate_is_what_the_decision_reckons_with() {
    let facts = facts(Mode::Act);
    let known = estimates(&config(), &facts, &request("strong")).unwrap();
    let choice = chosen(&facts, &request("strong"), "cost");
    assert_eq!(known[&choice.deployment], choice.costs.expected_usd);
    assert_eq!(known.len(), 4, "those that the request may go to: {known:?}");
    assert_eq!(estimates(&config(), &facts, &request("far")).unwrap()["far-1"], None);
    assert!(estimates(&config(), &facts, &request("nobody")).is_err());
}

#[test]
fn shadow_uses_what_was_asked_for_and_says_what_it_would_have_chosen() {
    let mut facts = facts(Mode::Shadow);
    stand(&mut facts, "strong-1", Standing::Open(99_000));
    let choice = chosen(&facts, &request("strong"), "cost");
    assert_eq!((choice.deployment.as_str(), choice.rationale.cause), ("strong-1", Cause::Fixed));
    assert_eq!(choice.fallbacks, ["strong-2", "own-1", "weak-1"], "the configured chain");
    let would = choice.would_have.unwrap();
    assert_eq!(would.deployment, "weak-1");
    assert!(would.costs.expected_usd < choice.costs.expected_usd);
}

#[test]
fn what_is_forbidden_is_not_done_in_shadow_either() {
    let facts = facts(Mode::Shadow);
    let tagged = RouteRequest { tags: vec!["secret".to_owned()], ..request("strong") };
    let choice = chosen(&facts, &tagged, "cost");
    assert_eq!((choice.deployment.as_str(), choice.rationale.cause), ("own-1", Cause::Forbidden));
    assert_eq!(choice.fallbacks, [""; 0]);
    let weak = RouteRequest { model: Some("weak".to_owned()), ..tagged };
    assert_eq!(refused(&facts, &weak, "cost").status, 403);
}

#[test]
fn advice_and_acts_say_what_they_are_instead_of() {
    for mode in [Mode::Advise, Mode::Act] {
        let choice = chosen(&facts(mode), &request("strong"), "cost");
        assert_eq!((choice.mode, choice.deployment.as_str()), (mode, "weak-1"));
        assert_eq!(choice.instead_of.unwrap().deployment, "strong-1");
        let same = chosen(&facts(mode), &request("weak"), "cost");
        assert_eq!(same.instead_of, None);
    }
}

#[test]
fn fallbacks_are_the_chain_without_what_is_excluded_then_the_rest_by_score() {
    let mut facts = facts(Mode::Act);
    let choice = chosen(&facts, &request("strong"), "quality");
    assert_eq!(choice.deployment, "strong-1", "of equal ones the first by id");
    assert_eq!(choice.fallbacks, ["own-1", "weak-1", "strong-2"]);
    stand(&mut facts, "own-1", Standing::Open(11_000));
    stand(&mut facts, "weak-1", Standing::ProbeDue);
    let choice = chosen(&facts, &request("strong"), "quality");
    assert_eq!(choice.fallbacks, ["strong-2"], "a probe is asked for, not fallen back to");
}

#[test]
fn a_provider_that_is_due_for_a_probe_is_tried_where_it_would_be_the_best() {
    let mut facts = facts(Mode::Act);
    facts.candidates.get_mut("weak-1").unwrap().observed.p_success = 0.05;
    assert_ne!(chosen(&facts, &request("chat"), "cost,reliability").deployment, "weak-1");
    stand(&mut facts, "weak-1", Standing::ProbeDue);
    let choice = chosen(&facts, &request("chat"), "cost,reliability");
    assert_eq!((choice.deployment.as_str(), choice.rationale.cause), ("weak-1", Cause::Probe));
}

#[test]
fn a_model_that_nobody_configured_is_named() {
    let wrong = choose(&config(), &facts(Mode::Act), &request("strnog"), &Objectives::default());
    assert!(matches!(wrong, Err(Failure::Invalid(invalid)) if invalid.field == "model"));
}

#[test]
fn the_answer_has_the_keys_that_it_is_known_by() {
    let choice = chosen(&facts(Mode::Act), &request("chat"), "cost");
    let decision =
        RouteDecision { decision_id: maestro_schemas::id::DecisionId::generate(), choice };
    let json = serde_json::to_value(&decision).unwrap();
    for key in
        ["decision_id", "model", "provider", "rationale", "costs", "SLO_forecast", "fallbacks"]
    {
        assert!(json.get(key).is_some(), "{key} is not in {json}");
    }
    assert!(json["SLO_forecast"]["p95_ms"]["lo"].is_number());
    assert!(json["rationale"]["scores"]["weak-1"]["terms"]["sovereignty"].is_number());
    assert_eq!(serde_json::from_value::<RouteDecision>(json).unwrap(), decision);
}

fn standing() -> impl Strategy<Value = Standing> {
    prop_oneof![
        4 => Just(Standing::Closed),
        1 => Just(Standing::ProbeDue),
        1 => (10_001u64..20_000).prop_map(Standing::Open),
        1 => (10_001u64..20_000).prop_map(Standing::Throttled),
    ]
}

fn candidate() -> impl Strategy<Value = Candidate> {
    (standing(), 0u32..6, 0.0f64..1.0, 0.0f64..1.0, proptest::option::of(1.0f64..1e5)).prop_map(
        |(standing, in_flight, p_success, p_quality, p95)| Candidate {
            standing,
            in_flight,
            observed: Observed {
                p95_ms: p95.map(|ms| Interval { value: ms.ceil(), lo: 0.0, hi: ms.ceil() }),
                p_success: (p_success * 1e6).round() / 1e6,
                p_quality: (p_quality * 1e6).round() / 1e6,
                ..Observed::default()
            },
        },
    )
}

fn ids() -> impl Iterator<Item = String> {
    config().deployments.into_iter().map(|one| one.id)
}

/// None, or one that allows some, denies others and is silent on the rest.
fn policy() -> impl Strategy<Value = Policy> {
    let verdict = (proptest::bool::weighted(0.8), any::<bool>());
    let verdict = proptest::option::weighted(0.9, verdict);
    proptest::option::of(proptest::collection::vec(verdict, 5)).prop_map(|told| {
        let Some(told) = told else { return Policy::Off };
        let verdicts = ids().zip(told).filter_map(|(id, told)| {
            let (allowed, dear) = told?;
            Some((id, Verdict { allowed, reasons: Vec::new(), too_dear: dear && !allowed }))
        });
        Policy::Asked { bundle: Digest::of(b"bundle"), verdicts: verdicts.collect() }
    })
}

fn situation() -> impl Strategy<Value = (Facts, RouteRequest, Objectives)> {
    let model = proptest::option::of(proptest::sample::select(vec![
        "strong", "weak", "own", "far", "chat", "strong-2",
    ]));
    let tags = proptest::sample::subsequence(vec!["pii", "secret", "other"], 0..3);
    let places = proptest::sample::subsequence(vec!["eu", "us"], 0..2);
    let wants = proptest::sample::select(vec![
        "",
        "quality,latency,cost",
        "cost,sovereignty;max_cost_usd=0.004",
        "reliability=3,latency=1;p95_ms=20000",
        ";residency=eu",
    ]);
    let mode = proptest::sample::select(vec![Mode::Shadow, Mode::Advise, Mode::Act]);
    let each = proptest::collection::vec(candidate(), 5);
    let downgrade = proptest::option::of(any::<bool>());
    let told = (mode, policy(), each, downgrade);
    (model, tags, places, wants, told).prop_map(|(model, tags, places, wants, told)| {
        let (mode, policy, each, downgrade) = told;
        let candidates = ids().zip(each).collect();
        let facts = Facts { candidates, policy, ..facts(mode) };
        let text = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect();
        let request = RouteRequest {
            model: model.map(str::to_owned),
            tags: text(tags),
            jurisdictions: text(places),
            downgrade,
            ..request("chat")
        };
        let model = model.map(str::to_owned);
        (facts, RouteRequest { model, ..request }, parse(wants).unwrap())
    })
}

/// A value after its way through JSON text.
fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

proptest! {
    #[test]
    fn a_decision_is_repeated_byte_for_byte_from_what_was_stored((facts, request, wants) in situation()) {
        let told = |facts: &Facts, request: &RouteRequest, wants: &Objectives| {
            match choose(&config(), facts, request, wants) {
                Ok(choice) => serde_json::to_string(&choice).unwrap(),
                Err(Failure::Refused(refusal)) => serde_json::to_string(&refusal).unwrap(),
                Err(other) => panic!("{other}"),
            }
        };
        let first = told(&facts, &request, &wants);
        prop_assert_eq!(first, told(&stored(&facts), &stored(&request), &stored(&wants)));
    }

    #[test]
    fn in_no_mode_goes_anything_where_policies_tags_or_places_forbid_it((facts, request, wants) in situation()) {
        let config = config();
        if let Ok(choice) = choose(&config, &facts, &request, &wants) {
            for id in choice.fallbacks.iter().chain([&choice.deployment]) {
                let deployment = config.deployment(id).unwrap();
                if let Policy::Asked { verdicts, .. } = &facts.policy {
                    prop_assert!(verdicts.get(id).is_some_and(|verdict| verdict.allowed));
                }
                for tag in &request.tags {
                    let only = config.content_tags.get(tag);
                    prop_assert!(only.is_none_or(|only| only.contains(&deployment.model)));
                }
                for places in [&request.jurisdictions, &wants.residency] {
                    let place = deployment.jurisdiction.clone().unwrap_or_default();
                    prop_assert!(places.is_empty() || places.iter().any(|one| place.starts_with(one)));
                }
            }
        }
    }

    #[test]
    fn outside_shadow_only_what_is_not_excluded_is_told((facts, request, wants) in situation()) {
        prop_assume!(facts.mode != Mode::Shadow);
        if let Ok(choice) = choose(&config(), &facts, &request, &wants) {
            for id in choice.fallbacks.iter().chain([&choice.deployment]) {
                prop_assert!(rule_of(&choice, id).is_none());
                prop_assert!(choice.rationale.scores.contains_key(id));
            }
            let best = choice.rationale.scores.values().map(|one| one.total).fold(0.0, f64::max);
            prop_assert_eq!(choice.rationale.scores.get(&choice.deployment).unwrap().total, best);
        }
    }
}
