//! What is true on one machine only has no place in what everybody gets.

use crate::checkout;
use crate::error::Error;

use super::Finding;

/// In halves, so that this list does not find itself: directories of the machines that the project
/// is written on, and hosts that a package manager's own configuration names.
const FOREIGN: [(&str, &str); 8] = [
    ("/wo", "rk/"),
    ("..", "/shared"),
    ("fa", "rm-"),
    ("/ho", "me/"),
    ("registry.npm", "js.org"),
    ("py", "pi.org"),
    ("python", "hosted.org"),
    ("index.cra", "tes.io"),
];

/// Files that package managers write.
const LOCKS: [&str; 3] = ["Cargo.lock", "package-lock.json", "uv.lock"];

/// Finds names of one machine's directories and hosts.
pub fn check(files: &[String], findings: &mut Vec<Finding>) -> Result<(), Error> {
    for path in files.iter().filter(|path| !LOCKS.iter().any(|lock| path.ends_with(lock))) {
        let text = checkout::read(path)?;
        for (number, line) in text.lines().enumerate() {
            for word in FOREIGN.iter().map(|(one, other)| format!("{one}{other}")) {
                if line.contains(&word) {
                    findings.push(Finding::new(
                        format!("{path}:{}", number + 1),
                        format!("{word} is true on one machine only"),
                    ));
                }
            }
        }
    }
    Ok(())
}
