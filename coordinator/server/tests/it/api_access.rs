//! Nobody does what their token does not allow, on any route.

use std::time::Instant;

use maestro_schemas::api::problem::Problem;
use maestro_server::api::errors;
use maestro_server::api::problem::{Kind, MEDIA_TYPE};
use maestro_server::api::role::Role;
use maestro_server::api::route::{Access, Route};
use maestro_server::api::routes;
use maestro_server::recent::AGE_MAX;
use reqwest::{Response, StatusCode};

use crate::support::stack::{Stack, read};

/// A route's path with something of the right form for each placeholder.
pub fn path(route: &Route) -> String {
    route
        .path
        .replace("{project}", "demo")
        .replace("{run}", "run_01h455vb4pex5vsknk084sn02q")
        .replace("{digest}", &format!("sha256:{}", "0".repeat(64)))
        .replace("{step}", "0-0-0")
        .replace("{name}", "team%2Freview")
        .replace("{version}", "1")
        .replace("{label}", "approved")
        .replace("{decision}", "dec_01h455vb4pex5vsknk084sn02q")
        .replace("{entry}", "cmd_01h455vb4pex5vsknk084sn02q")
        .replace("{*tile}", "0/000")
        .replace("{code}", "MAE-2001")
}

async fn ask(stack: &Stack, route: &Route, token: Option<&str>) -> Response {
    let request =
        stack.http.request(route.method.clone(), format!("{}{}", stack.address, path(route)));
    match token {
        Some(token) => request.bearer_auth(token).send().await.unwrap(),
        None => request.send().await.unwrap(),
    }
}

#[test]
fn only_health_metrics_and_the_pages_of_errors_are_public() {
    let public = routes().into_iter().filter(|route| route.access == Access::Public);
    assert_eq!(
        public.map(|route| route.path).collect::<Vec<_>>(),
        ["/healthz", "/readyz", "/metrics", "/docs/errors/{code}"]
    );
}

#[tokio::test]
async fn without_a_known_token_every_other_route_refuses() {
    let stack = Stack::without_coordinator().await;
    let unknown = maestro_server::api::admit::new_secret();
    for route in routes().iter().filter(|route| route.access != Access::Public) {
        for token in [None, Some("x"), Some(unknown.as_str())] {
            let answer = ask(&stack, route, token).await;
            assert_eq!(
                answer.headers()["content-type"],
                MEDIA_TYPE,
                "{} {}",
                route.method,
                route.path
            );
            let problem: Problem = read(answer, StatusCode::UNAUTHORIZED).await;
            assert_eq!(problem.code, Kind::NoToken.code());
        }
    }
}

#[tokio::test]
async fn a_role_does_what_it_may_and_no_more() {
    let stack = Stack::without_coordinator().await;
    for (role, place) in Role::ALL.into_iter().flat_map(|role| [(role, "demo"), (role, "*")]) {
        let token = stack.new_token(&[(place, role.as_str())]).await;
        for route in routes() {
            let needed = match route.access {
                Access::InProject(needed) | Access::Somewhere(needed) => Some(needed),
                Access::Everywhere(needed) => Some(needed).filter(|_| place == "*"),
                Access::Public | Access::Token => Some(Role::Viewer),
            };
            let status = ask(&stack, &route, Some(&token)).await.status();
            let refused = status == StatusCode::FORBIDDEN || status == StatusCode::UNAUTHORIZED;
            assert_eq!(
                refused,
                needed.is_none_or(|needed| role < needed),
                "{} in {place} on {} {}: {status}",
                role.as_str(),
                route.method,
                route.path
            );
        }
    }
}

#[tokio::test]
async fn a_token_of_another_project_is_refused() {
    let stack = Stack::without_coordinator().await;
    let other = stack.new_token(&[("other", "admin")]).await;
    let everywhere = stack.new_token(&[("*", "viewer")]).await;
    for route in routes().iter().filter(|route| matches!(route.access, Access::InProject(_))) {
        let problem: Problem =
            read(ask(&stack, route, Some(&other)).await, StatusCode::FORBIDDEN).await;
        assert_eq!(problem.code, Kind::Forbidden.code());
        let status = ask(&stack, route, Some(&everywhere)).await.status();
        assert_eq!(
            status == StatusCode::FORBIDDEN,
            route.access > Access::InProject(Role::Viewer),
            "{}",
            route.path
        );
    }
}

#[tokio::test]
async fn a_revoked_token_is_unknown_within_a_second_though_it_was_used_just_before() {
    let stack = Stack::without_coordinator().await;
    let token = stack.new_token(&[("*", "admin")]).await;
    let status = async || {
        let asked = stack.http.get(format!("{}/v1/whoami", stack.address));
        asked.bearer_auth(&token).send().await.unwrap().status()
    };
    assert_eq!(status().await, StatusCode::OK);
    let revoked = sqlx::query("update token set revoked_at = now()");
    revoked.execute(&mut stack.database.conn().await).await.unwrap();
    let at = Instant::now();
    while status().await == StatusCode::OK {
        assert!(at.elapsed() < 2 * AGE_MAX, "it is still let in after {:?}", at.elapsed());
    }
    assert_eq!(status().await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn whoami_tells_the_name_and_the_roles() {
    let stack = Stack::without_coordinator().await;
    let me: serde_json::Value = stack.get("/v1/whoami").await;
    assert_eq!(me, serde_json::json!({ "name": "ada", "roles": { "demo": "admin" } }));
}

#[tokio::test]
async fn the_page_that_a_problem_names_is_served_to_anybody() {
    let stack = Stack::without_coordinator().await;
    let answer = stack.http.get(format!("{}/v1/whoami", stack.address)).send().await.unwrap();
    let problem: Problem = read(answer, StatusCode::UNAUTHORIZED).await;
    let page = stack.http.get(format!("{}{}", stack.address, problem.kind)).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(page.headers()["content-type"], "text/markdown; charset=utf-8");
    assert!(page.text().await.unwrap().starts_with("# MAE-2001: "));
    let unknown =
        stack.request(reqwest::Method::GET, "/docs/errors/MAE-9999").send().await.unwrap();
    let _: Problem = read(unknown, StatusCode::NOT_FOUND).await;
}

#[test]
fn every_page_of_an_error_is_served() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mut written: Vec<String> = std::fs::read_dir(pages)
        .unwrap()
        .filter_map(|page| {
            page.unwrap().file_name().to_str()?.strip_suffix(".md").map(str::to_owned)
        })
        .collect();
    written.sort_unstable();
    let served: Vec<&str> = errors::PAGES.iter().map(|(code, _)| *code).collect();
    assert_eq!(served, written);
}

#[test]
fn every_problem_has_a_page_and_a_code_of_its_own() {
    let pages = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let mut codes = std::collections::BTreeSet::new();
    for kind in Kind::ALL {
        assert!(codes.insert(kind.code()), "{} stands for two things", kind.code());
        let page = pages.join(format!("{}.md", kind.code()));
        let text = std::fs::read_to_string(&page)
            .unwrap_or_else(|_| panic!("{} is missing", page.display()));
        assert!(text.starts_with(&format!("# {}: ", kind.code())), "{}", page.display());
    }
}
