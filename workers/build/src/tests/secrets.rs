//! Secrets of a step: in its processes, and nowhere else.

use std::sync::Arc;

use maestro_kit::evidence::secret::Zeroizing;
use maestro_kit::secrets::Secret;

use super::*;

const VALUE: &str = "s3cr3t/va+lue \"x\"";

/// A step's execution with the secret as the variable `TOKEN` and as the file `KEY`.
fn with_secrets(bench: &Bench, script: &str) -> Execution {
    let mut execution = bench.execution(bench.shell(script));
    let value = Arc::new(Zeroizing::new(VALUE.as_bytes().to_vec()));
    execution.redactor.register([VALUE.as_bytes()]).expect("registered");
    for (variable, file) in [("TOKEN", false), ("KEY", true)] {
        let secret = Secret { version: 1, file, value: Arc::clone(&value) };
        execution.secrets.insert(variable.to_owned(), secret);
    }
    execution
}

#[tokio::test]
async fn a_step_has_its_secrets_and_its_log_shows_masks() {
    let bench = Bench::new();
    let script = "cp \"$KEY\" \"$BENCH/copy\"; stat -c %a \"$KEY\"; echo \"$KEY\" > \"$BENCH/path\"
        echo \"plain $TOKEN\"; printf %s \"$TOKEN\" | base64; printf 'u:%s' \"$TOKEN\" | base64 -w0
        echo; printf %s \"$TOKEN\" | od -An -tx1 | tr -d ' \\n'";
    let outcome = bench.pool.carry_out(with_secrets(&bench, script)).await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}");
    assert_eq!(bench.written("copy"), VALUE);
    let path = bench.written("path");
    assert!(!std::path::Path::new(path.trim()).exists(), "{path} is left behind");
    let log = bench.log().await;
    assert!(log.contains("600\nplain ***\n"), "{log}");
    assert_eq!(log.matches("***").count(), 4, "{log}");
}

#[tokio::test]
async fn the_last_words_of_a_step_that_failed_show_masks() {
    let bench = Bench::new();
    let script = "for each in $(seq 200); do echo \"$each $TOKEN\"; done; exit 3";
    let outcome = bench.pool.carry_out(with_secrets(&bench, script)).await;
    let Outcome::Failed { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert!(failure.message.ends_with("200 ***"), "{}", failure.message);
    assert!(!failure.message.contains("s3cr3t"), "{}", failure.message);
}

#[tokio::test]
async fn a_line_of_outputs_in_no_form_is_told_without_the_secret_in_it() {
    let bench = Bench::new();
    let script = "printf '%s\\n' \"no form of 48 letters before the secret begins: $TOKEN\" > \"$MAESTRO_OUTPUT\"";
    let outcome = bench.pool.carry_out(with_secrets(&bench, script)).await;
    let Outcome::Failed { failure, .. } = outcome else { panic!("{outcome:?}") };
    assert!(failure.message.contains("begins: ***"), "{}", failure.message);
}

#[tokio::test]
async fn the_file_of_a_secret_is_gone_after_a_step_that_is_stopped() {
    let bench = Bench::new();
    let execution = with_secrets(&bench, "echo \"$KEY\" > \"$BENCH/path\"; sleep 60");
    let running = bench.pool.carry_out(execution);
    let stopping = async {
        while bench.written("path").is_empty() {
            tokio::task::yield_now().await;
        }
        bench.stop.cancel();
    };
    let (outcome, ()) = tokio::join!(running, stopping);
    assert!(matches!(outcome, Outcome::Cancelled { .. }), "{outcome:?}");
    let path = bench.written("path");
    assert!(!std::path::Path::new(path.trim()).exists(), "{path} is left behind");
}
