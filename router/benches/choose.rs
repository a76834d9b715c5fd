//! How long a decision among 12 candidates takes, in process: facts gathered, policy verdicts at hand.
//!
//! `cargo bench -p maestro-router --bench choose`

use std::time::Instant;

use maestro_router::config::Config;
use maestro_router::decide::{Facts, Policy, Verdict, choose};
use maestro_router::live::Live;
use maestro_router::objective::parse;
use maestro_schemas::call::CallOutcome;
use maestro_schemas::digest::Digest;
use maestro_schemas::route::{Mode, RouteRequest};

const CANDIDATES: usize = 12;
const OUTCOMES: u64 = 500;
const DECISIONS: usize = 50_000;

fn config() -> Option<Config> {
    let mut text = String::from("model_list:\n");
    for index in 0..CANDIDATES {
        text.push_str(&format!(
            "- {{model_name: m{index}, litellm_params: {{model: openai/gpt-4o}}, maestro: \
             {{jurisdiction: eu, quality: {{default: 0.{index}}}}}}}\n"
        ));
    }
    Config::read(&text, "bench.yaml").ok()
}

fn learnt(config: &Config) -> Option<Live> {
    let mut live = Live::default();
    for deployment in &config.deployments {
        for at in 0..OUTCOMES {
            let outcome: CallOutcome = serde_json::from_value(serde_json::json!({
                "deployment": deployment.id, "class": "ok", "at_ms": at * 100,
                "latency_ms": 200 + (at * 7_919) % 400, "output_tokens": 100 + at % 50,
            }))
            .ok()?;
            live.learn(config, &outcome);
        }
    }
    Some(live)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = config().ok_or("the configuration is not read")?;
    let mut live = learnt(&config).ok_or("the outcomes are not read")?;
    let request = RouteRequest {
        prompt_chars: Some(4_000),
        tags: vec!["pii".to_owned()],
        jurisdictions: vec!["eu".to_owned()],
        ..RouteRequest::default()
    };
    let mut times = Vec::with_capacity(DECISIONS);
    let begin = Instant::now();
    for decision in 0..DECISIONS {
        let start = Instant::now();
        let objectives = parse("quality=0.5,latency=0.2,cost=0.3;max_cost_usd=1;p95_ms=60000")?;
        let allowed = Verdict { allowed: true, reasons: Vec::new(), too_dear: false };
        let verdicts = config.deployments.iter().map(|one| (one.id.clone(), allowed.clone()));
        let facts = Facts {
            now_ms: OUTCOMES * 100 + decision as u64,
            mode: Mode::Act,
            config_version: 1,
            policy: Policy::Asked { bundle: Digest::of(b"bundle"), verdicts: verdicts.collect() },
            purpose: None,
            registered: None,
            candidates: live.candidates(&config, OUTCOMES * 100 + decision as u64, None),
        };
        let choice = choose(&config, &facts, &request, &objectives)?;
        std::hint::black_box(serde_json::to_vec(&choice)?);
        times.push(start.elapsed());
    }
    let whole = begin.elapsed();
    times.sort();
    let at =
        |share: f64| times.get((DECISIONS as f64 * share) as usize).copied().unwrap_or_default();
    eprintln!(
        "{CANDIDATES} candidates: p50 {:?}, p99 {:?}, {:.0} decisions/s on one core",
        at(0.5),
        at(0.99),
        DECISIONS as f64 / whole.as_secs_f64(),
    );
    Ok(())
}
