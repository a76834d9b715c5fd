//! Prompts as versions, and decisions asked about again, as people do it.

use crate::session::Session;

const PIPELINE: &str = "name: p\nstages:\n  - name: s\n    steps:\n      - name: a\n        run: shell\n        with: { script: 'true' }\n";
const FIRST: &str =
    "+++\ndescription = \"Greets.\"\n[variables.who]\ntype = \"text\"\n+++\nGreet {{ who }}.\n";
const SECOND: &str =
    "+++\ndescription = \"Greets.\"\n[variables.who]\ntype = \"text\"\n+++\nInsult {{ who }}.\n";
const ROUTER: &str = "
model_list:
  - model_name: one
    litellm_params: { model: openai/one }
    model_info: { id: at-one }
  - model_name: two
    litellm_params: { model: openai/two }
    model_info: { id: at-two }
router:
  fallbacks: [{ primary: one, on_error: [two] }]
";

#[test]
fn a_prompt_is_pushed_compared_rendered_and_labelled() {
    let session = Session::new(PIPELINE);
    session.write("prompts/team/greet.md", FIRST);
    session.write("prompts/README.txt", "no prompt");
    let pushed = session.run(&["prompts", "push"]).ends_with(0);
    assert!(pushed.stdout.starts_with("team/greet@1 new sha256:"), "{}", pushed.stdout);
    assert!(pushed.stderr.contains("prompts/README.txt is no prompt"), "{}", pushed.stderr);
    let again = session.json(&["prompts", "push", "team/greet"]);
    assert_eq!((&again[0]["is_new"], &again[0]["version"]), (&false.into(), &1.into()));

    session.write("prompts/team/greet.md", SECOND);
    let diff = session.run(&["prompts", "diff", "team/greet"]).ends_with(0);
    assert!(
        diff.stdout.starts_with("--- team/greet@1\n+++ prompts/team/greet.md\n")
            && diff.stdout.ends_with("-Greet {{ who }}.\n+Insult {{ who }}.\n"),
        "{}",
        diff.stdout
    );
    session.run(&["prompts", "push", "team/greet"]).ends_with(0);
    let same = session.json(&["prompts", "diff", "team/greet"]);
    assert_eq!((&same["same"], &same["diff"]), (&true.into(), &"".into()));
    let diff = session.run(&["prompts", "diff", "team/greet", "2", "1"]).ends_with(0);
    assert!(diff.stdout.starts_with("--- team/greet@2\n+++ team/greet@1\n"), "{}", diff.stdout);

    let shown = session.run(&["prompts", "show", "team/greet@1"]).ends_with(0);
    assert_eq!(shown.stdout, FIRST);
    assert!(shown.stderr.contains("no labels"), "{}", shown.stderr);
    let rendered = session.json(&["prompts", "render", "team/greet@1", "--var", "who=them"]);
    assert_eq!(rendered["messages"][0]["content"], "Greet them.\n");

    session.run(&["prompts", "label", "team/greet@1", "approved"]).ends_with(0);
    let versions = session.json(&["prompts", "list", "team/greet"]);
    assert_eq!(versions["versions"][1]["labels"], serde_json::json!(["approved"]));
    assert_eq!(versions["versions"][0]["labels"], serde_json::json!([]));
    let done = session.run(&["prompts", "label", "team/greet@1", "approved", "--remove"]);
    assert_eq!(done.ends_with(0).stdout, "team/greet@1 is not approved\n");
    let list = session.run(&["prompts", "list"]).ends_with(0);
    assert!(
        list.stdout.contains("Greets.") && !list.stdout.contains("approved"),
        "{}",
        list.stdout
    );
    session.run(&["prompts", "label", "team/greet", "approved"]).ends_with(2);
    session.run(&["prompts", "show", "team/greet@9"]).ends_with(6);
}

#[test]
fn other_policies_say_what_they_would_have_refused_or_sent_elsewhere() {
    let session = Session::new(PIPELINE);
    session.write("deploy/router/litellm.yaml", ROUTER);
    let asked = ["route", "bench", "--model", "one", "--questions", "10", "--at-once", "1"];
    session.run(&asked).ends_with(0);
    let policy = |name: &str, deny: &str| {
        session.write(
            &format!("{name}/global/routing.rego"),
            &format!("package maestro.routing\n\ndeny contains \"not any more\" if {deny}\n"),
        );
    };
    policy("same", "input.candidate.model == \"three\"");
    policy("elsewhere", "input.candidate.model == \"one\"");
    policy("nowhere", "input.candidate.model != \"three\"");
    let replay = |name, more: &[&str]| {
        let words = ["policy", "replay", "--with-policies", name];
        session.run(&[&words[..], more].concat())
    };
    // Decisions are written down in batches, off the path of the answer.
    let written = || replay("same", &[]).stdout.starts_with("20 decisions: ");
    assert!((0..500).any(|_| written()), "{}", replay("same", &[]).stdout);
    let same = replay("same", &[]).ends_with(0);
    assert_eq!(same.stdout, "20 decisions: 0 refused, 0 elsewhere, 20 allowed as they were\n");

    let elsewhere = replay("elsewhere", &["--limit", "3"]).ends_with(0);
    assert!(
        elsewhere
            .stdout
            .contains("elsewhere  at-one   at-two  not any more (data.maestro.routing.deny)"),
        "{}",
        elsewhere.stdout
    );
    assert!(elsewhere.stdout.ends_with("3 decisions: 0 refused, 3 elsewhere, 0 allowed as they were; there are more, see --limit\n"), "{}", elsewhere.stdout);
    let nowhere = replay("nowhere", &["--since", "1h", "--json"]).ends_with(5);
    let report: serde_json::Value = serde_json::from_str(&nowhere.stdout).unwrap();
    assert_eq!((&report["refused"], &report["more"]), (&20.into(), &false.into()));
    let why = report["changed"][0]["reasons"][0].as_str().unwrap();
    assert!(why.starts_with("MAE-4002") && why.contains("not any more"), "{why}");

    session.write("broken/global/routing.rego", "package maestro.routing\n\nallow if {{{\n");
    let broken = replay("broken", &[]).ends_with(1);
    assert!(broken.stderr.contains("broken does not compile"), "{}", broken.stderr);
    replay("missing", &[]).ends_with(6);
}
