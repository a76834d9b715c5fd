use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use maestro_schemas::outcome::{Failure, FailureClass};

fn over(values: &[&[u8]]) -> Redactor {
    let redactor = Redactor::default();
    redactor.register(values.iter().copied()).unwrap();
    redactor
}

/// Goes through in pieces of these lengths, the last one taking the rest.
fn in_pieces(redactor: &Redactor, bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let (mut out, mut rest) = (Vec::new(), bytes);
    for cut in cuts {
        let (piece, later) = rest.split_at((*cut).min(rest.len()));
        out.extend(stream.push(piece));
        rest = later;
    }
    out.extend(stream.push(rest));
    out.extend(stream.finish());
    out
}

/// The same without an automaton: marks every form at every place, and replaces what hangs together.
fn by_hand(values: &[Vec<u8>], bytes: &[u8]) -> Vec<u8> {
    let mut found: Vec<(usize, usize)> = values
        .iter()
        .flat_map(|value| encodings::of(value))
        .flat_map(|form| {
            let places = 0..(bytes.len() + 1).saturating_sub(form.len());
            places
                .filter(|at| bytes[*at..].starts_with(&form))
                .map(|at| (at, at + form.len()))
                .collect::<Vec<_>>()
        })
        .collect();
    found.sort_unstable();
    let (mut out, mut at, mut end) = (Vec::new(), 0, 0);
    for (begin, until) in found {
        if begin >= end {
            out.extend_from_slice(&bytes[at.max(end)..begin]);
            out.extend_from_slice(MASK.as_bytes());
            at = begin;
        }
        end = end.max(until);
    }
    out.extend_from_slice(&bytes[end.max(at)..]);
    out
}

#[test]
fn a_secret_is_replaced_in_each_way_of_writing_it() {
    let secret = "p\u{e4}ss w\"rd/+&\\!";
    let redactor = over(&[secret.as_bytes()]);
    for form in [
        secret,
        r#"p\u00e4ss w\"rd\/+&\\!"#,
        r#"päss w\"rd/+&\\!"#,
        "p%C3%A4ss%20w%22rd%2F%2B%26%5C%21",
        "p%c3%a4ss+w%22rd%2f%2b%26%5c%21",
        "70c3a4737320772272642f2b265c21",
        "70C3A4737320772272642F2B265C21",
    ] {
        let said = format!("before {form} after");
        assert_eq!(redactor.text(&said), "before *** after", "{form}");
    }
}

#[test]
fn base64_is_found_wherever_it_begins_in_a_longer_text() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    let secret = b"\xfb\xff\xfehunter2-hunter2";
    let redactor = over(&[secret]);
    for before in 0..7 {
        for after in 0..4 {
            let text = [&vec![b'u'; before][..], secret, &vec![b'x'; after][..]].concat();
            for said in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let clean = redactor.text(&said);
                assert!(clean.contains(MASK), "{said} went through as {clean}");
                assert!(said.len() - clean.len() >= 20, "{said} went through as {clean}");
            }
        }
    }
}

#[test]
fn lines_of_a_key_are_found_alone_and_indented_and_short_ones_are_left() {
    let key = b"-----BEGIN KEY-----\nMIIEvQIBADANBg\nshort\n-----END KEY-----\n";
    let redactor = over(&[key]);
    assert_eq!(redactor.text("  MIIEvQIBADANBg\r\n"), "  ***\r\n");
    assert_eq!(redactor.text("a short word"), "a short word");
    assert_eq!(redactor.text(std::str::from_utf8(key).unwrap()), MASK);
}

#[test]
fn long_base64_is_found_in_lines_as_programs_break_it() {
    use base64::Engine as _;
    let secret: Vec<u8> = (0..=255).collect();
    let redactor = over(&[&secret]);
    let whole = base64::engine::general_purpose::STANDARD.encode(&secret);
    for width in [64, 76] {
        let lines: Vec<&str> =
            whole.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let clean = redactor.text(&lines.join("\n"));
        for line in lines.iter().filter(|line| line.len() == width) {
            assert!(!clean.contains(line), "{clean}");
        }
    }
}

#[test]
fn base64_that_ends_with_the_secret_is_masked_to_its_last_letter() {
    let redactor = over(&[b"hunter2!"]);
    // As `base64` writes it alone, and behind one and two other bytes.
    for (said, clean) in
        [("aHVudGVyMiE=", "***="), ("dWh1bnRlcjIh", "dW***"), ("dXVodW50ZXIyIQ==", "dXV***==")]
    {
        assert_eq!(redactor.text(said), clean);
    }
}

#[test]
fn only_what_may_begin_a_secret_is_held_back() {
    let redactor = over(&[b"hunter2!"]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push(b"a line\n"), b"a line\n");
    assert_eq!(stream.push(b"the hun"), b"the ");
    assert_eq!(stream.push(b"gry"), b"hungry");
    assert_eq!(stream.push(b" hunt"), b" ");
    assert_eq!(stream.push(b"er2!"), b"***");
    assert_eq!(stream.push(b"hunter"), b"");
    assert_eq!(stream.finish(), b"hunter");
}

#[test]
fn a_secret_without_end_is_masked_in_bounded_memory() {
    let redactor = over(&[b"aaaaaaaa"]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    for _ in 0..1_000 {
        out.extend(stream.push(&[b'a'; 100]));
        assert!(stream.held.len() <= 8, "{} bytes are held", stream.held.len());
    }
    out.extend(stream.push(b"b"));
    out.extend(stream.finish());
    assert_eq!(out, b"***b");
}

#[test]
fn without_secrets_everything_passes() {
    let mut stream = Redactor::default().stream();
    assert_eq!(stream.push(b"anything"), b"anything");
    assert_eq!(stream.finish(), b"");
}

#[test]
fn outputs_and_failures_are_cleaned_and_other_values_stay() {
    let redactor = over(&[b"12345678", b"hunter2!"]);
    let outputs = serde_json::json!({
        "pin": 12345678, "count": 7, "list": ["a hunter2!", true], "of": {"hunter2!": null}
    });
    let outcome = Outcome::Succeeded {
        outputs: serde_json::from_value(outputs).unwrap(),
        artifacts: Vec::new(),
    };
    let Outcome::Succeeded { outputs, .. } = redactor.outcome(outcome) else { panic!() };
    let expected = serde_json::json!({
        "pin": "***", "count": 7, "list": ["a ***", true], "of": {"***": null}
    });
    assert_eq!(serde_json::to_value(outputs).unwrap(), expected);
    let failed = redactor.outcome(Outcome::failed(FailureClass::Permanent, "no hunter2! here"));
    let Outcome::Failed { failure: Failure { message, .. }, .. } = failed else { panic!() };
    assert_eq!(message, "no *** here");
}

#[test]
fn it_tells_nothing_of_what_it_looks_for() {
    let redactor = over(&[b"hunter2!"]);
    assert!(!format!("{redactor:?} {:?}", redactor.stream()).contains("hunter2"));
    assert!(redactor.register([b"another one".as_slice()]).is_err());
}

/// Few letters, so that secrets begin in each other and in what surrounds them.
fn letters(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(b"ab\n\"/ \xc3\xa4".to_vec()), count)
}

proptest! {
    #[test]
    fn no_cut_lets_a_secret_through_or_changes_other_bytes(
        secrets in vec(letters(6..14), 1..4),
        parts in vec((letters(0..12), any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6),
        cuts in vec(0..9_usize, 0..40),
    ) {
        let mut said = Vec::new();
        for (between, which, form) in &parts {
            said.extend_from_slice(between);
            let forms: Vec<_> = encodings::of(which.get::<Vec<u8>>(&secrets)).into_iter().collect();
            if !forms.is_empty() {
                said.extend_from_slice(form.get::<Vec<u8>>(&forms));
            }
        }
        let redactor = Redactor::default();
        redactor.register(secrets.iter().map(Vec::as_slice)).unwrap();
        let clean = in_pieces(&redactor, &said, &cuts);
        prop_assert_eq!(&clean, &by_hand(&secrets, &said));
        for form in secrets.iter().flat_map(|secret| encodings::of(secret)) {
            prop_assert!(!clean.windows(form.len()).any(|window| window == form));
        }
    }

    #[test]
    fn bytes_without_a_secret_come_out_as_they_went_in(
        secret in vec(any::<u8>(), 16..80),
        said in vec(any::<u8>(), 0..400),
        cuts in vec(0..50_usize, 0..20),
    ) {
        let forms = encodings::of(&secret);
        prop_assume!(!forms.iter().any(|form| said.windows(form.len()).any(|window| window == form)));
        prop_assert_eq!(in_pieces(&over(&[&secret]), &said, &cuts), said);
    }
}
