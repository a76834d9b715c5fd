//! The audit log as people meet it: what they did stands in it, and whoever changes it is found.

use std::time::Instant;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::evidence::keys;
use crate::session::{Done, PATIENCE, Session};

const PIPELINE: &str = "name: p\nstages:\n  - name: s\n    steps:\n      - name: a\n        run: shell\n        with: { script: 'true' }\n";
const PROMPT: &str = "+++\ndescription = \"Greets.\"\n+++\nGreet them.\n";
const KEYS: &str = ".maestro/keys/keys.json";

/// A stack in which a prompt was kept and labelled, and a pipeline run; all of it signed.
fn session() -> Session {
    let session = Session::new(PIPELINE);
    session.write("prompts/greet.md", PROMPT);
    session.run(&["prompts", "push"]).ends_with(0);
    session.run(&["prompts", "label", "greet@1", "approved"]).ends_with(0);
    session.run(&["run"]).ends_with(0);
    until_signed(&session);
    session
}

fn entries(session: &Session) -> Vec<Value> {
    session.json(&["audit", "list"])["entries"].as_array().unwrap().clone()
}

fn until_signed(session: &Session) {
    let until = Instant::now() + PATIENCE;
    loop {
        let seen = session.json(&["audit", "verify", "--key", KEYS]);
        let count = |name: &str| seen[name].as_u64().unwrap();
        if count("waiting") + count("later") == 0 && count("size") > 0 {
            return;
        }
        assert!(Instant::now() < until, "{seen}");
    }
}

/// Does something to the rows of the stack's database.
pub fn in_database(session: &Session, statements: &[&str]) {
    let read = |path| serde_json::from_str::<Value>(&session.read(path).unwrap()).unwrap();
    let (state, secrets) = (read(".maestro/state.json"), read(".maestro/credentials.json"));
    let password = secrets["secrets"]["postgres"].as_str().unwrap();
    let address = state["postgres"].as_str().unwrap();
    let url = format!("postgres://maestro:{password}@{address}/maestro?sslmode=disable");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut conn = PgConnection::connect(&url).await.unwrap();
        for statement in statements {
            let text = sqlx::AssertSqlSafe((*statement).to_owned());
            sqlx::query(text).execute(&mut conn).await.unwrap();
        }
    });
}

fn verify(session: &Session) -> Done {
    session.run(&["audit", "verify", "--key", KEYS])
}

/// The path of an object of the log, below the session's directory.
fn object(session: &Session, path: &str) -> String {
    let log = session.json(&["audit", "verify", "--key", KEYS]);
    format!(".maestro/objects/log/{}/{path}", log["origin"].as_str().unwrap())
}

#[test]
fn what_was_done_is_listed_proven_and_verified() {
    let session = session();
    let done: Vec<String> =
        entries(&session).iter().map(|entry| entry["action"].as_str().unwrap().into()).collect();
    for action in ["submit", "plan.store", "prompt.label", "prompt.push"] {
        assert!(done.contains(&action.to_owned()), "{action} is not in {done:?}");
    }
    let labelled = session.json(&["audit", "list", "--action", "prompt.label"]);
    let entry = labelled["entries"][0]["id"].as_str().unwrap();
    assert_eq!(labelled["entries"][0]["about"], "greet@1 approved");
    let shown = session.run(&["audit", "show", entry]).ends_with(0);
    assert!(shown.stdout.contains("greet@1 approved"), "{}", shown.stdout);

    session.run(&["audit", "prove", entry, "-o", "label.tlog-proof"]).ends_with(0);
    let proof = session.read("label.tlog-proof").unwrap();
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nextra "), "{proof}");
    let offline = ["audit", "verify", "--proof", "label.tlog-proof", "--key", KEYS];
    let proven = session.run(&offline).ends_with(0);
    assert!(proven.stdout.contains("greet@1 approved"), "{}", proven.stdout);
    let (place, other) = ("index ", "index 1");
    session.write("label.tlog-proof", &proof.replacen(place, other, 1));
    let wrong = session.run(&offline).ends_with(1);
    assert!(wrong.stderr.contains("MAE-7077"), "{}", wrong.stderr);
    session.run(&["audit", "verify", "--proof", "label.tlog-proof"]).ends_with(2);
    session.run(&["audit", "show", "cmd_01h455vb4pex5vsknk084sn02q"]).ends_with(6);

    let since = ["audit", "verify", "--key", KEYS, "--save", "last.checkpoint"];
    session.run(&since).ends_with(0);
    session.run(&["prompts", "label", "greet@1", "approved", "--remove"]).ends_with(0);
    until_signed(&session);
    let words = ["audit", "verify", "--key", KEYS, "--since", "last.checkpoint"];
    let grown = session.run(&words).ends_with(0);
    assert!(grown.stdout.contains("entries are as they were signed"), "{}", grown.stdout);
}

#[test]
fn the_server_s_list_of_keys_is_taken_where_its_root_is_named_and_on_no_word_of_its_own() {
    let session = session();
    let listed = session.offline_json(&["keys", "list", "--keys", ".maestro/keys"]);
    let (root, key) = (&listed["root"], &listed["keys"][0]["fingerprint"]);
    let [root, key] = [root, key].map(|text| text.as_str().unwrap().to_owned());

    let unnamed = session.run(&["audit", "verify"]).ends_with(2);
    for words in ["give --root or --key", &root] {
        assert!(unnamed.stderr.contains(words), "{}", unnamed.stderr);
    }
    let by_root = session.run(&["audit", "verify", "--root", &root]).ends_with(0);
    for words in [format!("keys   {key}, by their list of 2"), format!("root   {root}")] {
        assert!(by_root.stderr.contains(&words), "{}", by_root.stderr);
    }
    let told = session.json(&["audit", "verify", "--root", &root]);
    assert_eq!(told["trusted"]["keys"], serde_json::json!([key]));
    assert_eq!(told["trusted"]["lists"][0]["root"], root.as_str());

    let other = format!("sha256:{}", "5".repeat(64));
    let strange = session.run(&["audit", "verify", "--root", &other]).ends_with(1);
    assert!(strange.stderr.contains("MAE-7076"), "{}", strange.stderr);
    assert!(strange.stderr.contains(&format!("of the root {root}")), "{}", strange.stderr);
    session.run(&["audit", "verify", "--root", &other, "--key", KEYS]).ends_with(2);
    let file = session.run(&["audit", "verify", "--key", KEYS]).ends_with(0);
    assert!(file.stderr.contains(&format!("root   {root}")), "{}", file.stderr);

    // What a key has signed counts no more once the server's list revokes it.
    keys(&session, &["rotate"]);
    keys(&session, &["revoke", &key, "--reason", "lost"]);
    let revoked = session.run(&["audit", "verify", "--root", &root]).ends_with(1);
    assert!(revoked.stderr.contains("no signature of a key that is known"), "{}", revoked.stderr);
}

#[test]
fn rows_that_were_changed_dropped_swapped_or_added_are_found_and_named() {
    let session = session();
    let named = |id: &str, words: &str| {
        let found = verify(&session).ends_with(1);
        assert!(found.stderr.contains("MAE-7075"), "{}", found.stderr);
        assert!(found.stdout.contains(id) && found.stdout.contains(words), "{}", found.stdout);
    };
    let listed = entries(&session);
    let of = |action: &str| {
        let entry = listed.iter().find(|entry| entry["action"] == action).unwrap();
        (entry["id"].as_str().unwrap().to_owned(), entry["leaf"].as_u64().unwrap())
    };
    let ((push, push_at), (label, label_at)) = (of("prompt.push"), of("prompt.label"));

    in_database(&session, &["update audit_act set actor = 'eve' where action = 'prompt.label'"]);
    named(&label, "was changed in its row in the database: actor");
    in_database(&session, &["update audit_act set actor = 'local' where action = 'prompt.label'"]);
    verify(&session).ends_with(0);

    in_database(&session, &["update audit set actor = 'eve'"]);
    named(&of("submit").0, "was changed in its row in the database: actor");
    in_database(&session, &["update audit set actor = 'local'"]);

    let place = |leaf: i64, action: &str| {
        format!("update audit_act set leaf = {leaf} where action = '{action}'")
    };
    let (push_leaf, label_leaf) = (push_at as i64, label_at as i64);
    let swap = [
        place(1_000_000, "prompt.push"),
        place(push_leaf, "prompt.label"),
        place(label_leaf, "prompt.push"),
    ];
    in_database(&session, &swap.each_ref().map(String::as_str));
    named(&push, &format!("has the place {label_at} in the database now"));
    named(&label, &format!("has the place {push_at} in the database now"));
    let back = [
        place(1_000_000, "prompt.push"),
        place(label_leaf, "prompt.label"),
        place(push_leaf, "prompt.push"),
    ];
    in_database(&session, &back.each_ref().map(String::as_str));
    verify(&session).ends_with(0);

    let added = "insert into audit_act (id, project, actor, action, answer, leaf)
                 values (gen_random_uuid(), 'default', 'eve', 'token.make', '{}', 5000)";
    in_database(&session, &[added]);
    named("act_", "claims the place 5000");
    in_database(&session, &["delete from audit_act where leaf = 5000"]);

    in_database(&session, &["delete from audit_act where action = 'prompt.push'"]);
    named(&push, "has no row in the database any more");
}

#[test]
fn what_was_changed_in_object_storage_is_found_and_named() {
    let session = session();
    session.run(&["audit", "verify", "--key", KEYS, "--save", "last.checkpoint"]).ends_with(0);
    let size = session.json(&["audit", "verify", "--key", KEYS])["size"].as_u64().unwrap();
    let labelled = session.json(&["audit", "list", "--action", "prompt.label"]);
    let label = labelled["entries"][0]["id"].as_str().unwrap().to_owned();

    let bundle = object(&session, &format!("tile/entries/000.p/{size}"));
    let checkpoint = object(&session, "checkpoint");
    let path = |of: &str| session.path(of);
    let bytes = std::fs::read(path(&bundle)).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    assert!(text.contains("greet@1 approved"), "{text}");
    // The same length, so that only the entry differs and not the form of the bundle.
    let offset = bytes.windows(7).position(|seven| seven == b"greet@1").unwrap();
    let mut forged = bytes.clone();
    forged[offset + 6] = b'2';
    let forged_id = |found: &Done| found.stdout.contains("its bundle in object storage: about");
    std::fs::write(path(&bundle), &forged).unwrap();
    let found = verify(&session).ends_with(1);
    assert!(found.stderr.contains("MAE-7075") && forged_id(&found), "{}", found.stdout);
    std::fs::write(path(&bundle), &bytes).unwrap();
    verify(&session).ends_with(0);

    let former = session.read(&checkpoint).unwrap();
    session.run(&["prompts", "label", "greet@1", "tested"]).ends_with(0);
    until_signed(&session);
    let newest = session.read(&checkpoint).unwrap();
    assert_ne!(former, newest);
    session.write(&checkpoint, &former);
    let back = verify(&session).ends_with(1);
    assert!(back.stderr.contains("MAE-7076"), "{}", back.stderr);
    assert!(back.stdout.contains("was signed before"), "{}", back.stdout);

    session.write(&checkpoint, &newest.replacen('\n', "\n1", 1));
    let forked = verify(&session).ends_with(1);
    assert!(forked.stderr.contains("its signature does not hold"), "{}", forked.stderr);
    std::fs::remove_file(path(&checkpoint)).unwrap();
    let gone = verify(&session).ends_with(1);
    assert!(gone.stderr.contains("has no checkpoint"), "{}", gone.stderr);
    session.write(&checkpoint, &newest);
    verify(&session).ends_with(0);

    let of = |size: u64| format!(".p/{size}");
    std::fs::remove_file(path(&bundle.replace(&of(size), &of(size + 1)))).unwrap();
    let missing = verify(&session).ends_with(1);
    assert!(missing.stdout.contains("is missing or cannot be read"), "{}", missing.stdout);
    let broken = session.run(&["audit", "prove", &label]).ends_with(1);
    assert!(broken.stderr.contains("MAE-7073"), "{}", broken.stderr);
}
