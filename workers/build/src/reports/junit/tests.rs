use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

fn cases(text: &str) -> (Vec<TestCase>, Result<(), Fault>) {
    let mut cases = Vec::new();
    let ended = read(text.as_bytes(), &Redactor::default(), &mut |case| cases.push(case));
    (cases, ended)
}

const PYTEST: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest" errors="0" failures="1" skipped="1" tests="3" time="0.12">
<testcase classname="tests.test_a" name="test_ok" time="0.001" />
<testcase classname="tests.test_a" name="test_bad[a &lt; b]" file="tests/test_a.py" time="1,000.5">
<failure message="assert 1 == 2&#10;more">def test_bad():
&gt;       assert 1 == 2
E       assert 1 == 2</failure></testcase>
<testcase classname="tests.test_b" name="test_not"><skipped type="pytest.skip" message="later"/></testcase>
</testsuite></testsuites>"#;

#[test]
fn what_pytest_writes_is_read() {
    let (cases, ended) = cases(PYTEST);
    ended.expect("it is a report");
    let names: Vec<_> = cases.iter().map(|case| (case.name.as_str(), case.outcome)).collect();
    assert_eq!(
        names,
        [
            ("test_ok", TestOutcome::Passed),
            ("test_bad[a < b]", TestOutcome::Failed),
            ("test_not", TestOutcome::Skipped)
        ]
    );
    assert_eq!(cases[0].duration_us, Some(1_000));
    assert_eq!(cases[1].duration_us, Some(1_000_500_000));
    assert_eq!(cases[1].file.as_deref(), Some("tests/test_a.py"));
    let message = cases[1].message.as_deref().expect("a message");
    assert!(message.contains("assert 1 == 2"), "{message}");
    assert!(message.contains("\n>       assert 1 == 2"), "{message}");
    assert_eq!(cases[2].message.as_deref(), Some("later"));
}

#[test]
fn a_suite_gives_its_file_to_its_cases_and_text_may_be_character_data() {
    let (cases, ended) = cases(
        "<testsuite name='jest' file='a.test.js'><testcase name='x'>\
         <error type='E'><![CDATA[it <broke>]]></error></testcase></testsuite>",
    );
    ended.expect("it is a report");
    assert_eq!(cases[0].file.as_deref(), Some("a.test.js"));
    assert_eq!((cases[0].suite.as_str(), cases[0].outcome), ("jest", TestOutcome::Error));
    assert_eq!(cases[0].message.as_deref(), Some("it <broke>"));
}

#[test]
fn entities_are_never_expanded() {
    let bomb = "<!DOCTYPE t [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;'>\
                <!ENTITY f SYSTEM 'file:///etc/passwd'>]>\
                <testsuite><testcase name='x'><failure>&b;&f;</failure></testcase></testsuite>";
    let (found, ended) = cases(bomb);
    assert!(found.is_empty());
    assert!(matches!(ended, Err(Fault::Xml { .. })), "{ended:?}");
    let (_, ended) = cases("<!DOCTYPE t [<!ENTITY a 'a'>]><testsuite name='&a;'/>");
    assert!(matches!(ended, Err(Fault::Xml { .. })), "{ended:?}");
}

#[test]
fn what_is_no_report_is_refused_with_what_was_read_before() {
    let (found, ended) = cases("<testsuite><testcase name='a'/><testcase name='b'>");
    assert_eq!(found.len(), 1);
    assert!(matches!(ended, Err(Fault::Cut)), "{ended:?}");
    assert!(matches!(cases("<html></html>").1, Err(Fault::Root(name)) if name == "html"));
    assert!(matches!(cases("<testsuite></testcase>").1, Err(Fault::Xml { .. })));
    let deep = "<testsuite>".repeat(DEPTH_MAX + 1);
    assert!(matches!(cases(&deep).1, Err(Fault::Deep { .. })));
}

#[test]
fn long_names_and_messages_are_cut_at_a_letter() {
    let long = "ä".repeat(10_000);
    let (found, ended) = cases(&format!(
        "<testsuite><testcase name='{long}'><failure>{long}</failure></testcase></testsuite>"
    ));
    ended.expect("it is a report");
    assert!(found[0].name.len() <= NAME_BYTES_MAX);
    assert!(found[0].message.as_ref().is_some_and(|text| text.len() <= MESSAGE_BYTES_MAX));
}

#[test]
fn no_bytes_make_it_panic() {
    let whole = PYTEST.as_bytes();
    let redactor = Redactor::default();
    let mut seed = 1_u64;
    for round in 0..3_000_usize {
        let mut bytes = whole.to_vec();
        for _ in 0..1 + round % 4 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let at = (seed >> 33) as usize % bytes.len();
            match seed % 3 {
                0 => bytes.truncate(at),
                1 => bytes[at] = (seed >> 17) as u8,
                _ => bytes.insert(at, b"<>&\"'\0\xff"[(seed >> 20) as usize % 7]),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let read = catch_unwind(AssertUnwindSafe(|| {
            read(bytes.as_slice(), &redactor, &mut |_| ()).is_ok()
        }));
        assert!(read.is_ok(), "round {round}");
    }
}

#[test]
fn a_secret_is_masked_also_where_it_is_written_with_entities() {
    let redactor = Redactor::default();
    redactor.register([b"hunter2&hunter3".as_slice()]).expect("a secret");
    let text = "<testsuite><testcase name='is hunter2&amp;hunter3'>\
                <failure message='hunter2&amp;hunter3'>got hunter2&amp;hunter3</failure></testcase>\
                </testsuite>";
    let mut cases = Vec::new();
    read(text.as_bytes(), &redactor, &mut |case| cases.push(case)).expect("a report");
    let told = format!("{cases:?}");
    assert!(!told.contains("hunter2") && told.contains("got"), "{told}");
}

#[test]
fn a_secret_is_masked_however_the_text_of_a_verdict_is_cut_in_pieces() {
    let redactor = Redactor::default();
    redactor.register([b"hunter2&hunter3".as_slice()]).expect("a secret");
    for (message, text) in [
        ("", "hunter2&amp;hunter3"),
        ("", "got hunter2&amp;hunter3"),
        ("", "hunter2<![CDATA[&]]>hunter3"),
        ("", "<![CDATA[hunter2&]]>hunter3"),
        ("", "hunter2&#38;hunter3"),
        ("", "hunter<!-- -->2&amp;hunter3"),
        ("message=''", "hunter2&amp;hunter3"),
        ("message='no'", "hunter2&amp;hunter3"),
        ("message='no'", "&#104;unter2&amp;hunter3"),
        ("message='no'", "hunter2<![CDATA[&hunter3]]>"),
    ] {
        for verdict in ["failure", "error", "skipped"] {
            let whole = format!(
                "<testsuite><testcase name='x'><{verdict} {message}>{text}</{verdict}></testcase>\
                 </testsuite>"
            );
            let mut cases = Vec::new();
            read(whole.as_bytes(), &redactor, &mut |case| cases.push(case)).expect("a report");
            let told = cases[0].message.as_deref().expect("a message");
            assert!(!told.contains("hunter"), "{text}: {told}");
        }
    }
}

#[test]
fn a_text_begins_on_a_line_of_its_own_behind_its_attribute_and_is_else_as_it_was_written() {
    for (verdict, expected) in [
        ("<failure message='no'>a &lt; b &amp; c</failure>", "no\na < b & c"),
        ("<failure message='no'>\na</failure>", "no\na"),
        ("<failure message='no'>&gt;</failure>", "no\n>"),
        ("<failure>a &lt; b &amp; c</failure>", "a < b & c"),
        ("<failure>a</failure><error message='x'>b</error>", "a\nb"),
    ] {
        let (cases, ended) =
            cases(&format!("<testsuite><testcase name='x'>{verdict}</testcase></testsuite>"));
        ended.expect("it is a report");
        assert_eq!(cases[0].message.as_deref(), Some(expected), "{verdict}");
    }
}
