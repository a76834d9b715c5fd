//! The cases of all reports of a step, within limits.

use std::io::{BufReader, Read as _};
use std::path::Path;

use maestro_kit::redact::Redactor;
use maestro_schemas::tested::{CASES_MAX, TestCase, TestReport};

use super::junit;
use crate::plain;

/// The most bytes of one report.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The most bytes of all reports of a step.
const TOTAL_BYTES_MAX: u64 = 128 << 20;

/// The most messages that are kept, of cases that are bad news and of others each.
const MESSAGES_MAX: usize = 1_000;

/// The most warnings that are kept.
const WARNINGS_MAX: usize = 20;

/// What was read so far.
pub(super) struct Collection {
    redactor: Redactor,
    report: TestReport,
    bytes: u64,
    /// The cases that are kept, those that are bad news apart from others, with their places.
    bad: Vec<(u32, TestCase)>,
    good: Vec<(u32, TestCase)>,
    seen: u32,
    messages: Messages,
    duration_us: u64,
}

/// How many cases had a message so far.
#[derive(Default)]
struct Messages {
    bad: usize,
    good: usize,
}

impl Collection {
    /// Nothing yet; what will be read has no secrets of `redactor`.
    pub(super) fn without_secrets(redactor: Redactor) -> Self {
        Self {
            redactor,
            report: TestReport::default(),
            bytes: 0,
            bad: Vec::new(),
            good: Vec::new(),
            seen: 0,
            messages: Messages::default(),
            duration_us: 0,
        }
    }

    /// Says what could not be read.
    pub(super) fn warn(&mut self, warning: String) {
        if self.report.warnings.len() < WARNINGS_MAX {
            self.report.warnings.push(self.redactor.text(&warning));
        }
    }

    /// Reads a file below `root`: all of its cases, or those before what cannot be read.
    pub(super) fn take(&mut self, root: &Path, path: &str) {
        let shown: String = path.chars().take(200).collect();
        let file = match plain::open(&root.join(path)) {
            Ok(file) => file,
            Err(error) => return self.warn(format!("MAE-7122: {shown} cannot be read: {error}")),
        };
        let size = file.metadata().map(|meta| meta.len()).unwrap_or(0);
        if size > FILE_BYTES_MAX || self.bytes.saturating_add(size) > TOTAL_BYTES_MAX {
            let most = format!("{FILE_BYTES_MAX} bytes a file, {TOTAL_BYTES_MAX} together");
            return self.warn(format!("MAE-7121: {shown} has {size} bytes; the most is {most}"));
        }
        self.bytes = self.bytes.saturating_add(size);
        let input = BufReader::new(file.take(FILE_BYTES_MAX));
        let redactor = self.redactor.clone();
        if let Err(fault) = junit::read(input, &redactor, &mut |case| self.add(case)) {
            self.warn(format!("MAE-7122: {shown} is no JUnit report: {fault}"));
        }
    }

    fn add(&mut self, mut case: TestCase) {
        self.report.totals.count(case.outcome);
        self.duration_us = self.duration_us.saturating_add(case.duration_us.unwrap_or(0));
        let is_bad = case.outcome.is_bad();
        if case.message.is_some() && self.messages.count(is_bad) > MESSAGES_MAX {
            case.message = None;
        }
        let place = self.seen;
        self.seen = self.seen.saturating_add(1);
        if self.bad.len() + self.good.len() >= CASES_MAX {
            self.report.totals.left_out = self.report.totals.left_out.saturating_add(1);
            if !is_bad || self.good.pop().is_none() {
                return;
            }
        }
        let kept = if is_bad { &mut self.bad } else { &mut self.good };
        kept.push((place, case));
    }

    /// What there is.
    pub(super) fn finish(mut self) -> TestReport {
        self.report.totals.duration_ms = self.duration_us / 1_000;
        for (count, word) in [(self.messages.bad, "that failed"), (self.messages.good, "skipped")] {
            if count > MESSAGES_MAX {
                self.warn(format!(
                    "MAE-7121: {count} cases {word} said something; the first {MESSAGES_MAX} \
                     messages are kept"
                ));
            }
        }
        let mut cases = self.bad;
        cases.append(&mut self.good);
        cases.sort_unstable_by_key(|(place, _)| *place);
        self.report.cases = cases.into_iter().map(|(_, case)| case).collect();
        self.report
    }
}

impl Messages {
    /// Counts one more; how many there are of its kind.
    fn count(&mut self, is_bad: bool) -> usize {
        let count = if is_bad { &mut self.bad } else { &mut self.good };
        *count += 1;
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maestro_schemas::tested::TestOutcome;

    fn case(number: usize, outcome: TestOutcome) -> TestCase {
        TestCase {
            suite: String::new(),
            class: String::new(),
            name: number.to_string(),
            file: None,
            outcome,
            duration_us: Some(1_500),
            message: (outcome != TestOutcome::Passed).then(|| "why".to_owned()),
        }
    }

    #[test]
    fn of_too_many_cases_those_that_failed_stay_and_all_are_counted() {
        let mut collection = Collection::without_secrets(Redactor::default());
        for number in 0..CASES_MAX + 10 {
            collection.add(case(number, TestOutcome::Passed));
        }
        collection.add(case(usize::MAX, TestOutcome::Failed));
        let report = collection.finish();
        assert_eq!((report.totals.passed, report.totals.failed), (CASES_MAX as u32 + 10, 1));
        assert_eq!((report.cases.len(), report.totals.left_out), (CASES_MAX, 11));
        assert_eq!(report.cases.iter().filter(|case| case.outcome.is_bad()).count(), 1);
        assert_eq!(report.totals.duration_ms, (CASES_MAX as u64 + 11) * 3 / 2);
    }

    #[test]
    fn cases_stay_in_their_order_and_a_full_report_takes_no_longer_for_each_further_one() {
        let mut collection = Collection::without_secrets(Redactor::default());
        for number in 0..CASES_MAX {
            collection.add(case(number, TestOutcome::Passed));
        }
        let began = std::time::Instant::now();
        for number in CASES_MAX..CASES_MAX * 20 {
            collection.add(case(number, TestOutcome::Failed));
        }
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
        let report = collection.finish();
        let numbers: Vec<usize> =
            report.cases.iter().map(|case| case.name.parse().expect("a number")).collect();
        assert_eq!(numbers, (CASES_MAX..CASES_MAX * 2).collect::<Vec<_>>());

        let mut collection = Collection::without_secrets(Redactor::default());
        for (number, outcome) in
            [TestOutcome::Failed, TestOutcome::Passed, TestOutcome::Error].into_iter().enumerate()
        {
            collection.add(case(number, outcome));
        }
        let names: Vec<String> =
            collection.finish().cases.into_iter().map(|case| case.name).collect();
        assert_eq!(names, ["0", "1", "2"]);
    }

    #[test]
    fn reasons_to_skip_push_no_failure_out_and_what_is_left_out_is_said() {
        let mut collection = Collection::without_secrets(Redactor::default());
        for number in 0..MESSAGES_MAX + 5 {
            collection.add(case(number, TestOutcome::Skipped));
        }
        for number in 0..MESSAGES_MAX {
            collection.add(case(number, TestOutcome::Failed));
        }
        let report = collection.finish();
        let told = |bad: bool| {
            let told = report.cases.iter().filter(|case| case.outcome.is_bad() == bad);
            told.filter(|case| case.message.is_some()).count()
        };
        assert_eq!((told(true), told(false)), (MESSAGES_MAX, MESSAGES_MAX));
        assert_eq!(
            report.warnings,
            ["MAE-7121: 1005 cases skipped said something; the first 1000 messages are kept"]
        );
        let mut collection = Collection::without_secrets(Redactor::default());
        for number in 0..=MESSAGES_MAX {
            collection.add(case(number, TestOutcome::Failed));
        }
        let warnings = collection.finish().warnings;
        assert!(warnings[0].starts_with("MAE-7121: 1001 cases that failed"), "{warnings:?}");
    }
}
