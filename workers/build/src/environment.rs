//! The variables of a step's processes: a fixed few, the host's, the declared ones, and no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use maestro_kit::scratch::Scratch;
use maestro_schemas::task::Task;

use crate::caches::Caches;
use crate::error::Error;
use crate::settings::Settings;

/// Names that a step cannot declare.
const RESERVED: &str = "MAESTRO_";

/// The directories of one execution, below its scratch directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// What the step works in.
    pub(crate) workspace: PathBuf,
    /// `HOME`
    pub(crate) home: PathBuf,
    /// `TMPDIR`
    pub(crate) temporary: PathBuf,
    /// `MAESTRO_OUTPUT`
    pub(crate) output: PathBuf,
}

impl Places {
    /// Makes the directories and an empty output file.
    pub(crate) async fn make(scratch: &Scratch) -> Result<Self, Error> {
        let scratch = scratch.path().await.map_err(Error::Scratch)?;
        Self::make_below(&scratch).await
    }

    /// The same below any directory.
    pub(crate) async fn make_below(directory: &Path) -> Result<Self, Error> {
        Self::below(directory).filled().await
    }

    /// The same, of which nothing is made yet.
    pub(crate) fn below(scratch: &Path) -> Self {
        Self {
            workspace: scratch.join("workspace"),
            home: scratch.join("home"),
            temporary: scratch.join("tmp"),
            // In a directory of its own, so that a step may put another file in its place.
            output: scratch.join("output/values"),
        }
    }

    /// `MAESTRO_SPLIT_FILE`: beside the output, where every sandbox lets the step look.
    fn share(&self) -> PathBuf {
        self.output.with_file_name("share")
    }

    /// Writes the step's share of the files, a path each line, where it has one.
    pub(crate) async fn put_share(&self, task: &Task) -> Result<(), Error> {
        let Some(share) = &task.beside.share else { return Ok(()) };
        if share.files.iter().any(|file| file.contains(['\n', '\0'])) {
            return Err(Error::Parameters(
                "a file of its share has a line break in its name".into(),
            ));
        }
        let lines: String = share.files.iter().map(|file| format!("{file}\n")).collect();
        let path = self.share();
        let written = tokio::fs::write(&path, lines).await;
        written.map_err(|source| Error::files("cannot make", &path, source))
    }

    async fn filled(self) -> Result<Self, Error> {
        let places = self;
        let output = places.output.parent().unwrap_or(&places.output);
        for directory in [&places.workspace, &places.home, &places.temporary, output] {
            tokio::fs::create_dir_all(directory)
                .await
                .map_err(|source| Error::files("cannot make", directory, source))?;
        }
        tokio::fs::write(&places.output, b"")
            .await
            .map_err(|source| Error::files("cannot make", &places.output, source))?;
        Ok(places)
    }
}

/// Variables of a process, by name.
pub(crate) type Variables = BTreeMap<String, String>;

/// What every process of the worker's host gets, with the execution's own home.
pub(crate) fn of_host(settings: &Settings, places: &Places) -> Variables {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = settings.host.clone();
    variables.extend([
        ("PATH".to_owned(), settings.path.clone()),
        ("HOME".to_owned(), text(&places.home)),
        ("TMPDIR".to_owned(), text(&places.temporary)),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("USER".to_owned(), "maestro".to_owned()),
    ]);
    variables
}

/// What a step's processes get; `toolchain` is what its preset adds.
pub(crate) fn of_step(
    settings: &Settings,
    places: &Places,
    task: &Task,
    (toolchain, caches): (Variables, &Caches),
) -> Result<Variables, Error> {
    let mut variables = of_host(settings, places);
    variables.insert("CI".into(), "true".into());
    variables.extend(caches.variables.clone());
    variables.extend(toolchain);
    for (name, value) in &task.env {
        check(name, value)?;
        variables.insert(name.clone(), value.clone());
    }
    variables.extend(share(places, task));
    variables.extend([
        ("MAESTRO_RUN".to_owned(), task.run.to_string()),
        ("MAESTRO_STEP".to_owned(), task.name.clone()),
        ("MAESTRO_ATTEMPT".to_owned(), task.token.number.to_string()),
        ("MAESTRO_OUTPUT".to_owned(), places.output.to_string_lossy().into_owned()),
    ]);
    Ok(variables)
}

/// Where a step that splits files finds its share.
fn share(places: &Places, task: &Task) -> Variables {
    let Some(share) = &task.beside.share else { return Variables::new() };
    let file = places.share().to_string_lossy().into_owned();
    Variables::from([
        ("MAESTRO_SPLIT_INDEX".to_owned(), share.index.to_string()),
        ("MAESTRO_SPLIT_TOTAL".to_owned(), share.total.to_string()),
        ("MAESTRO_SPLIT_FILE".to_owned(), file),
    ])
}

fn check(name: &str, value: &str) -> Result<(), Error> {
    let refuse = |problem: &str| {
        let name: String = name.chars().take(64).collect();
        Err(Error::Parameters(format!("variable {name:?} {problem}")))
    };
    if name.is_empty() || name.contains(['=', '\0']) {
        return refuse("has a name that no variable can have");
    }
    if name.starts_with(RESERVED) {
        return refuse("cannot be declared: MAESTRO_ is Maestro's own");
    }
    if value.contains('\0') {
        return refuse("holds a zero byte");
    }
    Ok(())
}
