//! Two laws about strings: subjects and streams are spelled by the topology alone, and run tables
//! are written by the store alone. Comments and tests may name both.

use super::Finding;
use super::source::Source;

const TOPOLOGY: &str = "streams/src/topology";
/// Where the names of environment variables stand, and `MAESTRO_LOG` is one.
const ENVIRONMENT: &str = "cli/src/env_vars.rs";
const STORE: &str = "coordinator/server/src/store";
const MIGRATIONS: &str = "coordinator/server/migrations/";

/// In halves, so that this file does not find itself.
const SUBJECT: &str = concat!("maestro", ".v1.");

/// The streams' names; what only begins like one, as an environment variable, is no stream.
const STREAMS: [&str; 6] = ["INBOX", "TASK", "EVENT", "SUBMIT", "LOG", "DEAD"];

/// The tables whose rows a shard's owner writes.
const TABLES: [&str; 15] = [
    "run",
    "step",
    "attempt",
    "dispatch",
    "run_event",
    "fanout",
    "fanout_item",
    "timer",
    "gate",
    "limit",
    "lease",
    "notice",
    "audit",
    "shard",
    "command",
];

const WRITES: [&str; 3] = ["insert into ", "update ", "delete from "];

/// Finds literals that belong elsewhere.
pub fn check(sources: &[Source], files: &[String], findings: &mut Vec<Finding>) {
    for source in sources {
        for literal in &source.literals {
            if source.in_test(literal.offset) {
                continue;
            }
            let spelled = literal.text.contains(SUBJECT)
                || (source.path != ENVIRONMENT && names_stream(&literal.text));
            if spelled && !source.path.starts_with(TOPOLOGY) {
                findings.push(Finding::new(
                    source.place(literal.offset),
                    "a subject or a stream is spelled here; only streams/src/topology spells them",
                ));
            }
            if !source.path.starts_with(STORE)
                && let Some(table) = written_table(&literal.text)
            {
                findings.push(Finding::new(
                    source.place(literal.offset),
                    format!("the table {table} is written here; only {STORE} writes it"),
                ));
            }
        }
    }
    for path in files.iter().filter(|path| path.ends_with(".sql")) {
        if !path.starts_with(MIGRATIONS) && !path.starts_with(STORE) {
            findings.push(Finding::new(path, format!("SQL stands in {STORE} or {MIGRATIONS}")));
        }
    }
}

fn names_stream(text: &str) -> bool {
    text.match_indices("MAESTRO_").any(|(offset, prefix)| {
        let rest = text.get(offset + prefix.len()..).unwrap_or_default();
        STREAMS.iter().any(|stream| {
            rest.strip_prefix(stream).is_some_and(|after| match after.chars().next() {
                // `MAESTRO_TASK_{pool}` and `MAESTRO_TASK_BUILD`, but not `MAESTRO_LOG_FORMAT`.
                Some('_') => matches!(*stream, "INBOX" | "TASK"),
                Some(next) => !next.is_ascii_alphanumeric(),
                None => true,
            })
        })
    })
}

fn written_table(text: &str) -> Option<&'static str> {
    let words = text.to_ascii_lowercase().split_whitespace().collect::<Vec<_>>().join(" ");
    WRITES.iter().find_map(|write| {
        words.match_indices(write).find_map(|(offset, _)| {
            let rest = words.get(offset + write.len()..)?;
            let table: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            let after = rest.get(table.len()..).unwrap_or_default().trim_start();
            // "update run state" is prose; "update run set" and "update run r set" are not.
            let is_statement =
                !write.starts_with("update") || after.split(' ').take(3).any(|word| word == "set");
            TABLES.into_iter().find(|known| *known == table && is_statement)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_told_from_an_environment_variable() {
        for text in ["MAESTRO_EVENT", "MAESTRO_INBOX_3", "MAESTRO_TASK_{pool}", "x MAESTRO_LOG y"] {
            assert!(names_stream(text), "{text}");
        }
        for text in ["MAESTRO_NATS_SERVER", "MAESTRO_LOG_FORMAT", "MAESTRO_TASKS", "MAESTRO_"] {
            assert!(!names_stream(text), "{text}");
        }
    }

    #[test]
    fn writing_a_run_table_is_told_from_talking_of_it() {
        assert_eq!(written_table("INSERT\n  INTO dispatch (run)"), Some("dispatch"));
        assert_eq!(written_table("update run as r set state = $1"), Some("run"));
        assert_eq!(written_table("delete from lease where"), Some("lease"));
        assert_eq!(written_table("select 1 from run for update"), None);
        assert_eq!(written_table("cannot update run state"), None);
    }
}
