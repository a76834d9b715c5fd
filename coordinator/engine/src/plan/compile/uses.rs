//! A step that uses another pipeline: reads it and gathers its steps in the step's place.

use super::gather::{Call, Gatherer, Place, Site};
use crate::pipeline::diagnostic::list;
use crate::pipeline::yaml::Kind;
use crate::pipeline::{Code, Fault, read};
use crate::plan::sources::join;

/// The keys of a step that uses a pipeline.
const USES_KEYS: [&str; 6] = ["name", "uses", "with", "needs", "if", "env"];

/// The most pipelines that a pipeline may use, directly and through others, each use counted.
pub const USES_MAX: usize = 500;

/// The deepest that pipelines may use each other.
pub const NESTING_MAX: usize = 8;

impl Gatherer<'_> {
    /// Refuses what only a step that runs an action can say.
    fn only_uses(&mut self, site: &Site) {
        let Some(source) = self.graph.frames.get(site.frame).map(|frame| &frame.source) else {
            return;
        };
        let Kind::Map(entries) = &source.tree.find(&site.path).kind else { return };
        let faults: Vec<Fault> = entries
            .iter()
            .filter(|entry| !USES_KEYS.contains(&entry.key.as_str()))
            .map(|entry| {
                Fault::new(
                    Code::UnknownKey,
                    entry.at,
                    format!("a step with uses has no key {:?}", entry.key),
                )
                .found(&entry.key)
                .expected(list(USES_KEYS, "or"))
                .hint("say it in the pipeline that is used")
            })
            .collect();
        faults.into_iter().for_each(|fault| self.report.add(source, fault));
    }

    /// Gathers the steps of a pipeline that a step uses; absent where it cannot be read.
    pub(super) fn used(&mut self, file: &str, call: Call, outer: Place) -> Option<usize> {
        self.only_uses(&call.site);
        let (frame, path) = (call.site.frame, call.site.path.join("uses"));
        let directory = self.graph.frames.get(frame)?.directory.clone();
        let found =
            join(&directory, file).filter(|_| file.starts_with("./") || file.starts_with("../"));
        let Some(found) = found else {
            self.fault(frame, &path, |at| {
                Fault::new(Code::InvalidValue, at, "this is no path of another pipeline")
                    .found(file)
                    .expected("a path that begins with ./ or ../ and stays below the first pipeline's directory")
            });
            return None;
        };
        if outer.files.contains(&found) || outer.files.len() > NESTING_MAX {
            let chain = format!("{} → {found}", outer.files.join(" → "));
            self.fault(frame, &path, |at| {
                Fault::new(Code::Nesting, at, "pipelines use each other in a circle or too deeply")
                    .found(chain)
                    .expected(format!("at most {NESTING_MAX} levels, and none twice"))
            });
            return None;
        }
        if self.graph.frames.len() > USES_MAX {
            self.fault(frame, &path, |at| {
                Fault::new(Code::GraphLimit, at, "the pipeline uses too many pipelines")
                    .expected(format!("at most {USES_MAX}, each use counted"))
            });
            return None;
        }
        let text = self
            .sources
            .files
            .read(&found)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let Some(text) = text else {
            self.fault(frame, &path, |at| {
                Fault::new(Code::MissingFile, at, "the other pipeline is not there").found(&found)
            });
            return None;
        };
        match read(&found, &text) {
            Ok(source) => {
                let directory = found
                    .rsplit_once('/')
                    .map(|(directory, _)| directory.to_owned())
                    .unwrap_or_default();
                let mut place = outer;
                place.files.push(found);
                Some(self.frame(source, directory, Some(call), place))
            }
            Err(faults) => {
                self.report.found.extend(faults.0);
                None
            }
        }
    }
}
