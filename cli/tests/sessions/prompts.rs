//! `maestro prompts` where no server is needed.

use crate::Session;

const REVIEW: &str = "+++\nsystem = \"For {{ who }}.\"\n[variables.who]\ntype = \"text\"\ndefault = \"all\"\n[variables.paths]\ntype = \"list\"\n+++\n{% for path in paths %}{{ file(path) }}{% endfor %}";

#[test]
fn a_prompt_is_rendered_as_a_model_would_be_sent_it() {
    let session = Session::new(&[
        ("prompts/review.md", REVIEW),
        ("a.ts", "let a = 1;\n"),
        ("values.json", "{\"paths\": [\"a.ts\"], \"who\": \"nobody\"}"),
    ]);
    let done = session.run(&["prompts", "render", "review", "--vars", "values.json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert_eq!(done.stdout, "--- system\nFor nobody.\n--- user\nlet a = 1;\n");
    let words = ["prompts", "render", "review", "--var", "paths=[\"a.ts\"]", "--json"];
    let report = session.run(&words).json();
    assert_eq!(report["messages"][0]["role"], "system");
    assert_eq!(report["messages"][0]["content"], "For all.");
    assert_eq!(report["messages"][1]["content"], "let a = 1;\n");
    assert!(report["prompt"].as_str().unwrap().starts_with("sha256:"));
}

#[test]
fn what_is_missing_or_of_another_type_is_refused_with_a_code() {
    let session = Session::new(&[
        ("prompts/review.md", REVIEW),
        ("prompts/broken.md", "one\n{{ nobody }}\n"),
    ]);
    let run = |words: &[&str]| session.run(&[&["prompts", "render"], words].concat());
    let missing = run(&["review"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(
        missing.stderr.starts_with("error[MAE-6002]: prompts/review.md: line 1: "),
        "{}",
        missing.stderr
    );
    assert!(missing.stderr.contains("paths has no value"), "{}", missing.stderr);
    let outside = run(&["review", "--var", "paths=[\"../a.ts\"]"]);
    assert!(outside.stderr.contains("there is no file ../a.ts"), "{}", outside.stderr);
    let kind = run(&["review", "--var", "paths=a.ts"]);
    assert_eq!(kind.code, 2);
    assert!(kind.stderr.contains("is of the type list"), "{}", kind.stderr);
    let unknown = run(&["review", "--var", "paths=[]", "--var", "x=1"]);
    assert!(unknown.stderr.contains("x is no variable of this prompt"), "{}", unknown.stderr);
    let broken = run(&["broken"]);
    assert!(
        broken.stderr.starts_with("error[MAE-6001]: prompts/broken.md: line 2: "),
        "{}",
        broken.stderr
    );
    assert_eq!(run(&["nobody"]).code, 6);
    assert_eq!(run(&["../x"]).code, 2);
    // Nothing is sent where one of them is wrong, so no server is missed.
    let pushed = session.run(&["prompts", "push"]);
    assert!(pushed.stderr.starts_with("error[MAE-6001]: prompts/broken.md"), "{}", pushed.stderr);
    assert_eq!(Session::new(&[]).run(&["prompts", "push"]).code, 6);
}
