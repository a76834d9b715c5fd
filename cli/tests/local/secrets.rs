//! Secrets that are not there are told before a step fails for them.

use crate::session::Session;

const PIPELINE: &str = r#"
name: sealed
stages:
  - name: s
    steps:
      - run: shell
        name: use
        secrets: { TOKEN: npm-token, OLD: npm-token@7 }
        with: { script: 'test -n "$TOKEN"' }
"#;

#[test]
fn a_plan_warns_of_a_secret_that_is_not_there() {
    let session = Session::new(PIPELINE);
    let warned = |said: &str, name: &str| {
        said.contains(&format!(
            "the project has no secret {name}, and so s/use fails where it runs"
        ))
    };
    let said = session.run(&["plan"]).ends_with(0).stderr;
    assert!(warned(&said, "npm-token") && warned(&said, "npm-token@7"), "{said}");
    session.write("value", "hunter2!");
    session.run(&["secrets", "set", "npm-token", "--from-file", "value"]).ends_with(0);
    let said = session.run(&["plan"]).ends_with(0).stderr;
    assert!(!warned(&said, "npm-token") && warned(&said, "npm-token@7"), "{said}");
    session.run(&["secrets", "revoke", "npm-token"]).ends_with(0);
    let said = session.run(&["plan"]).ends_with(0).stderr;
    assert!(warned(&said, "npm-token"), "{said}");
}
