//! The cases of all reports of a step, within limits.

use std::fs::File;
use std::io::{BufReader, Read as _};
use std::path::Path;

use maestro_kit::redact::Redactor;
use maestro_schemas::tested::{CASES_MAX, TestCase, TestReport};

use super::junit;

/// The most bytes of one report.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// The most bytes of all reports of a step.
const TOTAL_BYTES_MAX: u64 = 128 << 20;

/// The most messages that are kept with their texts.
const MESSAGES_MAX: usize = 1_000;

/// The most warnings that are kept.
const WARNINGS_MAX: usize = 20;

/// What was read so far.
pub(super) struct Collection {
    redactor: Redactor,
    report: TestReport,
    bytes: u64,
    messages: usize,
    duration_us: u64,
}

impl Collection {
    /// Nothing yet; what will be read has no secrets of `redactor`.
    pub(super) fn without_secrets(redactor: Redactor) -> Self {
        let report = TestReport::default();
        Self { redactor, report, bytes: 0, messages: 0, duration_us: 0 }
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
        let file = match open(&root.join(path)) {
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
        if case.message.is_some() {
            self.messages += 1;
            if self.messages > MESSAGES_MAX {
                case.message = None;
            }
        }
        let cases = &mut self.report.cases;
        if cases.len() < CASES_MAX {
            cases.push(case);
            return;
        }
        self.report.totals.left_out = self.report.totals.left_out.saturating_add(1);
        if case.outcome.is_bad()
            && let Some(place) = cases.iter().rposition(|case| !case.outcome.is_bad())
        {
            cases.remove(place);
            cases.push(case);
        }
    }

    /// What there is.
    pub(super) fn finish(mut self) -> TestReport {
        self.report.totals.duration_ms = self.duration_us / 1_000;
        self.report
    }
}

/// Opens a file that is one, and no link, pipe or device that a step left in its place.
fn open(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(std::io::Error::other("it is no file")),
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
            message: outcome.is_bad().then(|| "bad".to_owned()),
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
}
