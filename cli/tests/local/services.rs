//! Servers beside a step, from the pipeline's text to the log.

use crate::session::Session;

const PIPELINE: &str = r#"
name: served
inputs:
  greeting: { type: string, default: hello }
stages:
  - name: test
    steps:
      - name: integration
        run: shell
        effect: pure
        services:
          site:
            command: echo "{{ inputs.greeting }}" > index.html; exec python3 -m http.server --bind 127.0.0.1 $PORT
            ready: { http: /index.html }
        with:
          script: |
            python3 - <<'END'
            import os, urllib.request
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            print("it says", opener.open("http://127.0.0.1:" + os.environ["SITE_PORT"]).read().decode())
            END
"#;

#[test]
fn a_step_is_run_with_its_service_and_again_where_the_service_is_another() {
    let session = Session::new(PIPELINE);
    session.run(&["run"]).ends_with(0);
    let log = session.run(&["logs", "last", "test/integration"]).ends_with(0).stdout;
    assert!(log.contains("service site is ready after "), "{log}");
    assert!(log.contains("it says hello\n"), "{log}");

    let answer = |args: &[&str]| {
        let plan = session.json(&[&["plan"], args].concat());
        let step = &plan["steps"][0];
        format!("{}: {}", step["answer"].as_str().unwrap(), step["why"].as_str().unwrap())
    };
    assert!(answer(&[]).starts_with("cached: "), "{}", answer(&[]));
    assert_eq!(answer(&["--input", "greeting=bye"]), "runs: its services changed");
    session.run(&["run", "--input", "greeting=bye"]).ends_with(0);
    let log = session.run(&["logs", "last", "test/integration"]).ends_with(0).stdout;
    assert!(log.contains("it says bye\n"), "{log}");
}

const BROKEN: &str = r#"
name: broken
stages:
  - name: test
    steps:
      - run: shell
        retry: 0
        services: { db: { command: 'echo no disk; exit 9' } }
        with: { script: 'echo never' }
"#;

#[test]
fn a_service_that_ends_is_named_with_what_it_said() {
    let session = Session::new(BROKEN);
    let told = session.run(&["run"]).ends_with(3);
    let told = told.stdout + &told.stderr;
    assert!(told.contains("MAE-7125: the service db ended before its step: exit code 9"), "{told}");
    assert!(told.contains("no disk"), "{told}");
}
