//! Several processes that answer for the router, on the same servers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use maestro_router::objective::Objectives;
use maestro_schemas::api::route::Scored;
use maestro_schemas::route::{Choice, RouteRequest};
use maestro_server::routing::{Asking, Options, Routing};
use maestro_server::rpc;
use maestro_streams::topology::permission::Role;
use maestro_telemetry::metrics::Metrics;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::stack::{Stack, read};

/// Models of which nobody has said anything yet, on servers of their own.
pub const CONFIG: &str = "
model_list:
  - model_name: own
    litellm_params: { model: openai/own }
    model_info: { id: at-own }
    maestro: { quality: { default: 0.7 }, max_concurrency: 1 }
  - model_name: other
    litellm_params: { model: other/other }
    model_info: { id: at-other }
  - model_name: here
    litellm_params: { model: here/here }
    model_info: { id: at-here }
  - model_name: there
    litellm_params: { model: there/there }
    model_info: { id: at-there }
router:
  modes: { demo: act }
";

/// Another process, beside the one that serves the stack's API.
pub async fn other(stack: &Stack, options: Options) -> Routing {
    let pool = stack.database.pool();
    let routing = Routing::start(options, pool, Metrics::new(), CancellationToken::new());
    let connection = stack.nats.connect(&Role::Api).await;
    tokio::spawn(rpc::route::run(connection, routing.clone(), CancellationToken::new()));
    routing
}

/// Tells the stack's own process something of the project `demo`.
pub async fn tell(stack: &Stack, path: &str, body: &Value) -> Response {
    let request = stack.request(Method::POST, path).json(body);
    request.header("x-maestro-project", "demo").send().await.unwrap()
}

/// What another process chooses now.
pub fn choice(routing: &Routing, request: RouteRequest) -> Choice {
    let asking = Asking {
        project: "demo".parse().unwrap(),
        request,
        objectives: Objectives::default(),
        purpose: None,
        registered: None,
        now_ms: now_ms(),
    };
    routing.choose(asking).unwrap().choice
}

/// What the stack's own process chooses now.
pub async fn choice_of(stack: &Stack, request: &RouteRequest) -> Choice {
    read(tell(stack, "/route/choose", &json!(request)).await, StatusCode::OK).await
}

/// Asks for a short answer of a model, or of any.
pub fn request(model: Option<&str>, topic: Option<&str>) -> RouteRequest {
    RouteRequest {
        model: model.map(str::to_owned),
        topic: topic.map(str::to_owned),
        prompt_chars: Some(40),
        ..RouteRequest::default()
    }
}

/// Until each of the two hears the other: by scores of the models `here` and `there`, which they are told
/// for that alone.
pub async fn acquainted(stack: &Stack, other: &Routing) {
    let scored =
        |deployment: &str| Scored { deployment: deployment.to_owned(), topic: None, score: 0.0 };
    let told = json!({ "scores": vec![scored("at-here"); 100] });
    until("the two processes hear each other", async || {
        let _: Value = read(tell(stack, "/route/scores", &told).await, StatusCode::OK).await;
        other.share(&[], &vec![scored("at-there"); 100]);
        let there = choice(other, request(Some("here"), None)).slo_forecast.p_quality;
        let here = choice_of(stack, &request(Some("there"), None)).await.slo_forecast.p_quality;
        there.max(here) < 0.1
    })
    .await;
}

/// Until something holds, 10 s at most.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..1_000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 10 s");
}

/// The time, in milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}
