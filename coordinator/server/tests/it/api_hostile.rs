//! Whatever is sent, a request is answered, soon, and never by a fault.

use std::time::Duration;

use maestro_schemas::api::problem::Problem;
use maestro_schemas::id::TokenId;
use maestro_server::api::problem::{Kind, MEDIA_TYPE};
use maestro_server::api::routes;
use maestro_server::store::token::{self, TokenRow};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api_access::path;
use crate::support::stack::{Stack, read};

const BODIES: [&[u8]; 9] = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"\xff\xfe\x00",
    b"{\"plan\":\"sha256:zz\"}",
    b"{\"labels\":{\"a\":\"\\u0000\"},\"pipeline\":\"\\u0000\"}",
    b"{\"version\":1,\"name\":\"\\u0000\",\"stages\":[],\"nodes\":[]}",
    b"{\"reason\":\"\\u0000\",\"digests\":[1],\"from\":[\"\\u0000\"],\"unknown\":{}}",
];

#[tokio::test]
async fn garbage_in_the_body_is_no_fault() {
    let stack = Stack::without_coordinator().await;
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let bodies = BODIES.iter().map(|body| body.to_vec()).chain([deep.into_bytes()]);
    for body in bodies {
        for route in routes() {
            let request =
                stack.request(route.method.clone(), &path(&route)).timeout(Duration::from_secs(20));
            let answer = request.body(body.clone()).send().await.unwrap();
            let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
            let status = answer.status();
            assert!(
                status != 500 && status != 504,
                "{} {} with {shown:?}: {status}",
                route.method,
                route.path
            );
            if status.is_client_error() {
                assert_eq!(answer.headers()["content-type"], MEDIA_TYPE);
                let problem: Problem =
                    serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
                assert_eq!(problem.status, status.as_u16());
            }
        }
    }
}

#[tokio::test]
async fn a_text_that_no_row_or_terminal_can_hold_is_refused() {
    let stack = Stack::without_coordinator().await;
    let plan = crate::support::rows::plan().digest();
    let (run, runs) = ("run_01h455vb4pex5vsknk084sn02q", "/v1/projects/demo/runs");
    for letter in ['\0', '\u{1}', '\t', '\n', '\u{1b}', '\u{7f}', '\u{9b}'] {
        let text = format!("a{letter}b");
        let asked = [
            (runs.to_owned(), json!({ "plan": plan, "idempotency_key": text })),
            (runs.to_owned(), json!({ "plan": plan, "labels": { &text: "x" } })),
            (runs.to_owned(), json!({ "plan": plan, "labels": { "x": text } })),
            (format!("{runs}/{run}/cancel"), json!({ "reason": text })),
            (format!("{runs}/{run}/rerun"), json!({ "from": ["main/first", text] })),
            (format!("{runs}/{run}/rerun"), json!({ "idempotency_key": text, "from": [text] })),
        ];
        for (path, body) in asked {
            let problem: Problem =
                read(stack.post(&path, &body).await, StatusCode::BAD_REQUEST).await;
            assert_eq!(problem.code, Kind::Parameter.code(), "{path} {body}: {}", problem.detail);
            assert!(!problem.detail.contains(letter), "{:?}", problem.detail);
        }
    }
}

#[tokio::test]
async fn a_token_bears_no_name_that_audit_rows_or_terminals_cannot_hold() {
    let stack = Stack::without_coordinator().await;
    for name in ["a\0b", "a\nb", "\u{1b}[31m"] {
        let row =
            TokenRow { id: TokenId::generate(), name: name.to_owned(), roles: Default::default() };
        let stored = token::store(&mut stack.database.conn().await, &row, [1; 32]).await;
        assert!(stored.is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn garbage_in_path_query_and_headers_is_the_askers_fault() {
    let stack = Stack::without_coordinator().await;
    let words = [
        "%00",
        "..%2f",
        "%ff",
        "x%20y",
        "-1",
        "99999999999999999999",
        "run_",
        "4294967295-4294967295-4294967295",
    ];
    for route in routes().iter().filter(|route| route.path.contains('{')) {
        for word in words {
            let parts =
                route.path.split('/').map(|part| if part.starts_with('{') { word } else { part });
            let wild = parts.collect::<Vec<_>>().join("/");
            let mild = path(route);
            let (head, _) = mild.rsplit_once('/').unwrap();
            let asked = [
                wild,
                format!("{head}/{word}"),
                format!("{mild}?cursor={word}&limit={word}&state={word}&label={word}"),
                format!("{mild}?cursor={word}"),
                format!("{mild}?follow={word}&attempt={word}"),
                format!("{mild}?{word}"),
            ];
            for target in asked {
                let request =
                    stack.request(route.method.clone(), &target).header("last-event-id", "x");
                let answer = request
                    .header("idempotency-key", "a\tb")
                    .json(&serde_json::json!({}))
                    .send()
                    .await
                    .unwrap();
                let status = answer.status();
                assert!(
                    status.as_u16() < 500 || status == 503,
                    "{} {target}: {status}",
                    route.method
                );
            }
        }
    }
}

#[tokio::test]
async fn large_numbers_and_letters_in_filters_find_nothing() {
    let stack = Stack::without_coordinator().await;
    for query in [
        "cursor=run_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        "limit=65535",
        "label=a=b=c",
        "label==",
        "pipeline=%F0%9F%98%80",
    ] {
        let page: serde_json::Value = stack.get(&format!("/v1/projects/demo/runs?{query}")).await;
        assert_eq!(page["runs"], serde_json::json!([]), "{query}");
    }
    for query in [
        "limit=0x",
        "label=a",
        "state=done",
        "cursor=1",
        "limit=1&limit=2",
        "colour=red",
        "pipeline=%00",
    ] {
        let answer = stack
            .request(Method::GET, &format!("/v1/projects/demo/runs?{query}"))
            .send()
            .await
            .unwrap();
        let _: Problem = read(answer, StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let stack = Stack::without_coordinator().await;
    let large = "x".repeat(5 << 20);
    let answer = stack.request(Method::POST, "/v1/projects/demo/runs").body(large).send().await;
    // The server may close the connection before it has read everything.
    if let Ok(answer) = answer {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    let long = format!("/v1/projects/demo/runs?label={}", "x".repeat(9_000));
    let answer = stack.request(Method::GET, &long).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let answer = stack
        .request(Method::GET, "/v1/whoami")
        .header("x", "y".repeat(40_000))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
}

#[tokio::test]
async fn other_paths_and_methods_are_problems_too() {
    let stack = Stack::without_coordinator().await;
    let answer = stack.request(Method::GET, "/v2/none").send().await.unwrap();
    let problem: Problem = read(answer, StatusCode::NOT_FOUND).await;
    assert_eq!(problem.code, "MAE-2003");
    for route in routes() {
        let status = stack.request(Method::PATCH, &path(&route)).send().await.unwrap().status();
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{}", route.path);
    }
}

#[tokio::test]
async fn who_never_ends_its_headers_is_hung_up_on() {
    let stack = Stack::without_coordinator().await;
    let address = stack.address.strip_prefix("http://").unwrap();
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").await.unwrap();
    let mut answer = Vec::new();
    let ended =
        tokio::time::timeout(Duration::from_secs(25), connection.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is still open");
}
