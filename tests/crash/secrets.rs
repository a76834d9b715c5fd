//! A value that a step prints in every form is found nowhere afterwards: in no row, message, object or
//! log, nor in any other file that the servers and the worker wrote.

use std::path::Path;

use maestro_cli::client::Client;
use maestro_cli::client::address::Address;
use maestro_evidence::secret::Zeroizing;
use maestro_evidence::secret::key_file::KeyFile;
use maestro_schemas::id::RunId;
use maestro_schemas::plan::{Node, Plan};
use maestro_schemas::secret::SecretUse;
use maestro_tests::harness::{Cluster, Process, plan_of, until};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::net::TcpListener;

/// What stands unchanged in every form of the value that is not Base64 or hexadecimal.
const CORE: &str = "c4nary7f3a9c51d0e2b4";
/// Printed beside the value: that it is found shows that the search finds what is there.
const MARKER: &str = "m4rker-that-is-no-secret-0b51";
const TOKEN: &str = "test-admin-token-9f27";

fn value() -> String {
    format!("begin/{CORE}+\"quoted\\\" end&=\n{CORE}-second-line\n")
}

/// Prints the variable and the file in every form, to the log, to its outputs, and as its last words.
const SCRIPT: &str = r#"
export LC_ALL=C
url() { local text=$2 one; while [ -n "$text" ]; do one=${text%"${text#?}"}; text=${text#?}
  case $one in [a-zA-Z0-9._~-]) printf %s "$one";; *) printf "$1" "'$one";; esac; done; echo; }
echo "$MARKER"
echo "plain $TOKEN"; cat "$KEY"
printf %s "$TOKEN" | base64; printf %s "$TOKEN" | base64 -w0; echo
for before in u uu uuu; do printf %s%s "$before" "$TOKEN" | base64 -w0 | tr '+/' '-_'; echo; done
printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \n'; echo
printf %s "$TOKEN" | od -An -v -tx1 | tr -d ' \n' | tr a-f A-F; echo
url '%%%02X' "$TOKEN"; url '%%%02x' "$TOKEN"
printf '{"json":"%s"}\n' "$(printf %s "$TOKEN" | sed 's/[\\"]/\\&/g' | sed ':a;N;$!ba;s/\n/\\n/g')"
for part in 1 2 3 4 5 6 7 8 9 10; do printf %s "${TOKEN:0:20}"; sleep 0.01; printf '%s\n' "${TOKEN:20}"; done
{ echo "said=$MARKER"; echo 'whole<<END'; printf '%s\n' "$TOKEN"; echo END
  echo "b64=$(printf %s "$TOKEN" | base64 -w0)"; } >> "$MAESTRO_OUTPUT"
printf '%s' "$TOKEN" >&2
"#;

fn step(node: &mut Node, script: &str) {
    node.with = json!({ "script": script });
    node.env.insert("MARKER".to_owned(), MARKER.to_owned());
    for (variable, file) in [("TOKEN", false), ("KEY", true)] {
        let secret = SecretUse { secret: "canary".parse().expect("a name"), file };
        node.secrets.insert(variable.to_owned(), secret);
    }
}

/// A step that succeeds, one that says it as its last words, and one that breaks its outputs.
fn plan() -> Plan {
    let names = ["says", "fails", "breaks"].map(|name| (name, "build", "shell", &[][..]));
    let mut plan = plan_of(&names);
    step(&mut plan.nodes[0], SCRIPT);
    step(&mut plan.nodes[1], "for n in $(seq 90); do echo \"$n $TOKEN\"; done; exit 3");
    step(&mut plan.nodes[2], "printf 'no form %s' \"$TOKEN\" > \"$MAESTRO_OUTPUT\"");
    plan
}

/// A coordinator with keys as a process that says all that it can, and a client of an admin.
async fn serve_api(cluster: &Cluster) -> (Process, Client) {
    let key_file = cluster.dir().join("secrets.key");
    KeyFile::make(&key_file).expect("a key file");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let variables = [
        ("MAESTRO_ADMIN_TOKEN", TOKEN),
        ("MAESTRO_SECRETS_KEY_FILE", key_file.to_str().expect("a plain path")),
        ("MAESTRO_LOG", "debug"),
    ];
    let process = cluster.spawn_coordinator_at("one", &address, &variables);
    let address = Address::parse(&format!("http://{address}")).expect("an address");
    let project = "default".parse().expect("a name");
    let client = Client::new(address, project, Some(TOKEN)).expect("a client");
    until("the API", || async { client.actions().await.ok().map(drop) }).await;
    (process, client)
}

/// The forms in which the value's middle would show, whatever stands around it.
fn forms() -> Vec<Vec<u8>> {
    let mut forms = vec![CORE.as_bytes().to_vec()];
    let hex: String = CORE.bytes().map(|byte| format!("{byte:02x}")).collect();
    forms.extend([hex.to_ascii_uppercase().into_bytes(), hex.into_bytes()]);
    for before in 0..3 {
        let text = [&vec![0; before][..], CORE.as_bytes()].concat();
        let whole = base64(&text);
        let (begin, end) = ((before * 8).div_ceil(6), text.len() * 8 / 6);
        forms.push(whole.as_bytes()[begin..end].to_vec());
    }
    forms
}

/// Of its own, so that the search does not rest on what it searches for.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> =
        bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let letter = |bits: &[u8]| bits.iter().fold(0, |value, bit| value << 1 | bit) as usize;
    bits.chunks(6).map(|six| char::from(LETTERS[letter(six) << (6 - six.len())])).collect()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

/// The files below a directory that hold any of these.
fn files_with(directory: &Path, parts: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file()
                && let Ok(bytes) = std::fs::read(entry.path())
                && parts.iter().any(|part| holds(&bytes, part))
            {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}

/// Every row of every table that holds any of these.
async fn rows_with(rows: &PgPool, parts: &[Vec<u8>]) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        "select table_name::text from information_schema.tables where table_schema = 'public'",
    )
    .fetch_all(rows)
    .await
    .expect("tables");
    assert!(tables.len() > 20, "{tables:?}");
    let mut found = Vec::new();
    for table in tables {
        let texts: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
            "select row_to_json(t)::text from {table} t"
        )))
        .fetch_all(rows)
        .await
        .expect("rows");
        let held = texts.into_iter();
        found.extend(
            held.filter(|text| parts.iter().any(|part| holds(text.as_bytes(), part)))
                .map(|text| format!("{table}: {text}")),
        );
    }
    found
}

async fn outcome_of(rows: &PgPool, run: RunId, node: i32) -> String {
    sqlx::query_scalar(
        "select coalesce(failure::text, outputs::text) from attempt where run = $1 and node = $2
          order by number desc limit 1",
    )
    .bind(run.uuid())
    .bind(node)
    .fetch_one(rows)
    .await
    .expect("an attempt")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_a_step_prints_in_every_form_is_found_nowhere_afterwards() {
    let cluster = Cluster::start(&["build"]).await;
    let (coordinator, client) = serve_api(&cluster).await;
    let rows = cluster.rows().await;
    let name = "canary".parse().expect("a name");
    let kept = Zeroizing::new(value().into_bytes());
    assert_eq!(client.set_secret(&name, &kept).await.expect("set").version, 1);

    let worker = cluster.spawn_build_worker("builder", 3);
    let run = cluster.submit(plan(), 1).await;
    assert_eq!(cluster.ended(&rows, run).await, "failed");
    let said = outcome_of(&rows, run, 0).await;
    assert!(said.contains(MARKER) && said.contains("\"whole\":\"***\""), "{said}");
    for node in [1, 2] {
        let failure = outcome_of(&rows, run, node).await;
        assert!(failure.contains("***"), "{failure}");
    }
    let uses = client.secrets_of_run(run).await.expect("uses").deliveries;
    assert!(uses.len() >= 3 && uses.iter().all(|one| one.version == 1), "{uses:?}");
    assert!(uses.iter().any(|one| one.step.ends_with("says")), "steps have their ids: {uses:?}");

    let marker = [MARKER.as_bytes().to_vec()];
    for place in ["nats", "objects"] {
        until("the marker in the files", || async {
            (!files_with(&cluster.dir().join(place), &marker).is_empty()).then_some(())
        })
        .await;
    }
    assert!(!rows_with(&rows, &marker).await.is_empty());
    worker.terminate().await;
    coordinator.terminate().await;
    let log = std::fs::read_to_string(cluster.dir().join("one.log")).expect("its log");
    assert!(log.contains("DEBUG"), "the server said all that it can: {log}");
    // All that Postgres still had in memory is in its files then.
    sqlx::query("checkpoint").execute(&rows).await.expect("a checkpoint");
    assert_eq!(rows_with(&rows, &forms()).await, Vec::<String>::new());
    assert_eq!(files_with(cluster.dir(), &forms()), Vec::<String>::new());
}
