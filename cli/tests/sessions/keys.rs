//! `maestro keys`, as whoever looks after them calls it.

use crate::Session;

const PASSPHRASES: [(&str, &str); 2] =
    [("MAESTRO_KEY_PASSPHRASE", "correct horse"), ("MAESTRO_ROOT_PASSPHRASE", "battery staple")];

#[test]
fn keys_are_made_listed_rotated_and_revoked() {
    let session = Session::new(&[]);
    let keys = |args: &[&str]| {
        let args = [&["keys"], args, &["--keys", "keys", "--json"]].concat();
        session.run_with(&PASSPHRASES, &args)
    };
    let made = keys(&["init"]);
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    let root = made.json()["root"].clone();
    let rotated = keys(&["rotate", "--valid", "90d", "--grace", "10m"]).json();
    assert_eq!((&rotated["root"], rotated["keys"].as_array().unwrap().len()), (&root, 2));

    let first = rotated["keys"][0]["fingerprint"].as_str().unwrap();
    let revoked = keys(&["revoke", first, "--reason", "laptop stolen"]).json();
    assert_eq!(revoked["keys"][0]["state"], "revoked", "{revoked}");
    assert_eq!(revoked["keys"][1]["state"], "good", "{revoked}");
    let again = keys(&["init"]);
    assert_eq!(again.code, 1);
    assert!(again.stderr.contains("MAE-7084"), "{}", again.stderr);
}

#[test]
fn a_wrong_passphrase_and_none_are_told_apart_and_neither_is_shown() {
    let session = Session::new(&[]);
    session.run_with(&PASSPHRASES, &["keys", "init", "--keys", "keys"]);
    let wrong = [("MAESTRO_KEY_PASSPHRASE", "correct house")];
    let refused = session.run_with(&wrong, &["keys", "rotate", "--keys", "keys"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("MAE-7081"), "{}", refused.stderr);
    assert!(!refused.stderr.contains("correct house"), "{}", refused.stderr);
    let none = session.run(&["keys", "rotate", "--keys", "keys"]);
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("MAESTRO_KEY_PASSPHRASE is not set"), "{}", none.stderr);
}
