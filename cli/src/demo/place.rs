//! The demo's directory: a project that is made anew each time, and what was fetched for it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::error::Error;
use crate::local::lock::Lock;
use crate::local::paths::Paths;

/// The example that is run, as the repository has it: name and text.
const EXAMPLE: [(&str, &str); 4] = [
    ("maestro.yaml", include_str!("../../../examples/networkx/maestro.yaml")),
    (
        "prompts/review_change.md",
        include_str!("../../../examples/networkx/prompts/review_change.md"),
    ),
    ("requirements.txt", include_str!("../../../examples/networkx/requirements.txt")),
    ("count.py", include_str!("../../../examples/networkx/count.py")),
];
/// The one file that the story changes: tests of the step [`CHANGED_STEP`], and what the example's
/// input `file` is where nothing is said.
pub const CHANGED_FILE: &str = "networkx/readwrite/tests/test_p2g.py";
/// The step in which a model reviews [`CHANGED_FILE`].
pub const REVIEW_STEP: &str = "review/change";
/// The step that tests what stands in [`CHANGED_FILE`].
pub const CHANGED_STEP: &str = "test/readwrite";
/// What is added to it so that it is another file and still right.
const A_GOOD_TEST: &str = "\n\ndef test_edges_of_a_path():\n    import networkx as nx\n\n    assert nx.path_graph(3).number_of_edges() == 2\n";
/// What is added to it so that it fails.
const A_BAD_TEST: &str = "\n\ndef test_that_fails_on_purpose():\n    import networkx as nx\n\n    assert nx.path_graph(3).number_of_edges() == 3\n";
/// A stack that somebody just used here gets this long to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where everything of the demo is.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
}

impl Place {
    /// Clears the directory of an earlier demo, but for what was fetched, and lays the example out.
    ///
    /// # Errors
    /// Where a local stack runs in it, or files cannot be written.
    pub async fn begin(root: &Path) -> Result<Self, Error> {
        fs::create_dir_all(root).map_err(Error::file("make", root))?;
        let root = root.canonicalize().map_err(Error::file("resolve", root))?;
        let place = Self { root };
        let project = place.project();
        if project.exists() {
            clear(&project).await?;
        }
        for dir in [project.join("prompts"), place.out()] {
            fs::create_dir_all(&dir).map_err(Error::file("make", &dir))?;
        }
        for (name, text) in EXAMPLE {
            let path = project.join(name);
            fs::write(&path, text).map_err(Error::file("write", &path))?;
        }
        place.part_from_other_repositories();
        Ok(place)
    }

    /// All of it.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The project: pipeline, sources, and the local stack's state in `.maestro`.
    pub fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    /// The pipeline.
    pub fn pipeline(&self) -> PathBuf {
        self.project().join("maestro.yaml")
    }

    /// Where the package manager's files are kept from one demo to the next.
    pub fn wheels(&self) -> PathBuf {
        self.root.join("wheels")
    }

    /// Where artifacts are put.
    pub fn out(&self) -> PathBuf {
        self.root.join("out")
    }

    /// A path below the current directory, where it is one: shorter to read and to type.
    pub fn shown(path: &Path) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        path.strip_prefix(&here).unwrap_or(path).display().to_string()
    }

    /// Adds a good test to the file that changes.
    pub fn change(&self) -> Result<(), Error> {
        self.append(A_GOOD_TEST)
    }

    /// Adds a bad test to it.
    pub fn break_on_purpose(&self) -> Result<(), Error> {
        self.append(A_BAD_TEST)
    }

    fn append(&self, text: &str) -> Result<(), Error> {
        let path = self.project().join(CHANGED_FILE);
        let append = || -> io::Result<()> {
            let before = fs::read_to_string(&path)?;
            fs::write(&path, before + text)
        };
        append().map_err(Error::file("change", &path))
    }

    /// A repository that the demo happens to lie in says nothing about the project. Where there is
    /// no git, nothing asks it either.
    fn part_from_other_repositories(&self) {
        let mut git = Command::new("git");
        git.arg("init").arg("--quiet").arg(self.project());
        git.env_remove("GIT_DIR").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = git.status();
    }
}

/// Removes an earlier demo's project. It can hold a database, so it may take its time.
async fn clear(project: &Path) -> Result<(), Error> {
    let lock = Lock::take(&Paths::of_project(project)?, PATIENCE).await?;
    let dir = project.to_owned();
    let removed = tokio::task::spawn_blocking(move || fs::remove_dir_all(dir)).await;
    drop(lock);
    removed.map_err(io::Error::other).flatten().map_err(Error::file("clear", project))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_demo_begins_anew_and_keeps_what_was_fetched() {
        let dir = tempfile::tempdir().unwrap();
        let place = Place::begin(dir.path()).await.unwrap();
        fs::create_dir_all(place.wheels()).unwrap();
        fs::write(place.wheels().join("x.whl"), "x").unwrap();
        fs::write(place.project().join("old"), "x").unwrap();
        let place = Place::begin(dir.path()).await.unwrap();
        assert!(place.wheels().join("x.whl").exists());
        assert!(!place.project().join("old").exists());
        assert!(place.pipeline().exists());
    }
}
