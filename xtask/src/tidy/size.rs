//! How large a file, a function and a parameter list may grow. Tests are free.

use super::Finding;
use super::function::{Function, functions};
use super::source::Source;

const FILE_LINES_MAX: usize = 500;
const MAIN_LINES_MAX: usize = 80;
const FUNCTION_LINES_MAX: usize = 70;
const HANDLER_LINES_MAX: usize = 40;
const PARAMETERS_MAX: usize = 5;
const HANDLERS: &str = "coordinator/server/src/api/";

/// Finds what grew too large.
pub fn check(sources: &[Source], findings: &mut Vec<Finding>) {
    for source in sources.iter().filter(|source| !source.is_test()) {
        let lines = source.plain_lines();
        let most =
            if source.path.ends_with("src/main.rs") { MAIN_LINES_MAX } else { FILE_LINES_MAX };
        if lines > most {
            findings.push(Finding::new(
                &source.path,
                format!("{lines} lines without tests; the most is {most}: split it by noun"),
            ));
        }
        for function in functions(&source.code) {
            if !source.in_test(function.offset) {
                findings.extend(too_large(source, &function));
            }
        }
    }
}

fn too_large(source: &Source, function: &Function) -> Option<Finding> {
    let handler = function.is_async && source.path.starts_with(HANDLERS);
    let most = if handler { HANDLER_LINES_MAX } else { FUNCTION_LINES_MAX };
    let what = if function.lines > most {
        format!("{} has {} lines; the most is {most}", function.name, function.lines)
    } else if function.parameters > PARAMETERS_MAX {
        format!(
            "{} takes {} parameters; the most is {PARAMETERS_MAX}, then a struct",
            function.name, function.parameters
        )
    } else {
        return None;
    };
    Some(Finding::new(source.place(function.offset), what))
}
