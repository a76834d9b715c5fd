//! Which files of the workspace go where in the image. No link is followed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};
use maestro_kit::evidence::image::{Source, image_path};

use super::parameters::Files;
use super::refusal::Refusal;
use crate::workspace::plain;

/// The most files and links of a workspace that are looked at.
const FILES_MAX: usize = 200_000;
/// The most globs of one step.
const GLOBS_MAX: usize = 1_000;
/// Signs of a glob.
const SIGNS: [char; 4] = ['*', '?', '[', '{'];

/// What a step says of files.
pub(super) struct Wanted<'a> {
    /// Its `files`.
    pub(super) files: Option<&'a Files>,
    /// Its `exclude`.
    pub(super) exclude: &'a [String],
    /// A directory of the workspace that does not go in by itself: the base's.
    pub(super) aside: Option<&'a str>,
    /// The image's directory for files that keep their paths.
    pub(super) workdir: &'a str,
}

/// The image's files by their path in it.
pub(super) fn select(
    workspace: &Path,
    wanted: &Wanted<'_>,
) -> Result<BTreeMap<String, Source>, Refusal> {
    let found = walk(workspace)?;
    let rules = rules(wanted)?;
    let excluded = wanted.exclude.iter().map(|glob| Rule::of(glob, ""));
    let excluded = excluded.collect::<Result<Vec<_>, _>>()?;
    let mut files = BTreeMap::new();
    for rule in &rules {
        let mut any = false;
        for (path, source) in &found {
            let Some(rest) = rule.matched(path) else { continue };
            if excluded.iter().any(|glob| glob.matched(path).is_some()) {
                continue;
            }
            any = true;
            put(&mut files, rule.place(path, rest)?, source.clone())?;
        }
        if !any && !rule.may_be_empty {
            return Err(Refusal::parameter(
                format!("files: nothing in the workspace matches {:?}", rule.glob),
                "what an earlier step made is put there with its `artifacts` and this step's `use`",
            ));
        }
    }
    Ok(files)
}

fn put(files: &mut BTreeMap<String, Source>, place: String, source: Source) -> Result<(), Refusal> {
    match files.get(&place) {
        Some(other) if *other != source => Err(Refusal::parameter(
            format!("files: two files go to /{place}, expected one"),
            "give one of them another place, or name it in `exclude`",
        )),
        _ => {
            files.insert(place, source);
            Ok(())
        }
    }
}

fn rules(wanted: &Wanted<'_>) -> Result<Vec<Rule>, Refusal> {
    let count = match wanted.files {
        Some(Files::Kept(globs)) => globs.len(),
        Some(Files::Placed(globs)) => globs.len(),
        None => 1,
    };
    if count.saturating_add(wanted.exclude.len()) > GLOBS_MAX {
        let what = format!("files: more globs than {GLOBS_MAX}");
        return Err(Refusal::parameter(what, "name directories instead of single files"));
    }
    let kept = |glob: &String| {
        let mut rule = Rule::of(glob, wanted.workdir)?;
        rule.keeps = true;
        Ok(rule)
    };
    match wanted.files {
        Some(Files::Kept(globs)) => globs.iter().map(kept).collect(),
        Some(Files::Placed(globs)) => {
            globs.iter().map(|(glob, place)| Rule::of(glob, place)).collect()
        }
        None => {
            let mut all = Rule::of(".", wanted.workdir)?;
            all.may_be_empty = true;
            all.aside = wanted.aside.map(|path| plain(path).to_owned());
            Ok(vec![all])
        }
    }
}

/// A glob, and where its files go.
struct Rule {
    glob: String,
    /// What the files' paths begin with that they lose on their way, with a `/` behind.
    prefix: String,
    matcher: Option<GlobMatcher>,
    place: String,
    keeps: bool,
    may_be_empty: bool,
    aside: Option<String>,
}

impl Rule {
    fn of(glob: &str, place: &str) -> Result<Self, Refusal> {
        let plain = plain(glob);
        let refuse = |problem: &str| {
            let glob: String = glob.chars().take(120).collect();
            let what = format!("files: the glob {glob:?} {problem}");
            Err(Refusal::parameter(what, "as dist/**, src/*.js or package.json"))
        };
        if plain.starts_with('/') || plain.split('/').any(|name| name == "..") {
            return refuse("leads out of the workspace");
        }
        let literal = |name: &&str| !name.contains(SIGNS);
        let before: Vec<&str> = plain.split('/').take_while(literal).collect();
        let whole = before.len() == plain.split('/').count();
        let prefix = before.iter().filter(|name| !name.is_empty()).map(|name| format!("{name}/"));
        let matcher = if whole {
            None
        } else {
            match GlobBuilder::new(plain).literal_separator(true).build() {
                Ok(glob) => Some(glob.compile_matcher()),
                Err(error) => return refuse(&format!("is none: {}", error.kind())),
            }
        };
        Ok(Self {
            glob: glob.to_owned(),
            prefix: prefix.collect(),
            matcher,
            place: place.to_owned(),
            keeps: false,
            may_be_empty: false,
            aside: None,
        })
    }

    /// What is left of a path that matches, without the literal part before; empty for the very
    /// file that is named.
    fn matched<'a>(&self, path: &'a str) -> Option<&'a str> {
        if let Some(aside) = &self.aside
            && path.strip_prefix(aside.as_str()).is_some_and(|rest| rest.starts_with('/'))
        {
            return None;
        }
        match &self.matcher {
            Some(matcher) if !matcher.is_match(path) => None,
            Some(_) => path.strip_prefix(self.prefix.as_str()),
            None if self.prefix.strip_suffix('/') == Some(path) => Some(""),
            None => path.strip_prefix(self.prefix.as_str()),
        }
    }

    /// Where a file goes.
    fn place(&self, path: &str, rest: &str) -> Result<String, Refusal> {
        let name = path.rsplit('/').next().unwrap_or(path);
        let place = match (self.keeps, rest) {
            (true, _) => format!("{}/{path}", self.place),
            (false, "") if self.place.ends_with('/') => format!("{}{name}", self.place),
            (false, "") => self.place.clone(),
            (false, rest) => format!("{}/{rest}", self.place),
        };
        image_path(&place).map_err(|error| {
            Refusal::parameter(format!("files: {error}"), "as `files: {dist/**: /app/dist}`")
        })
    }
}

/// All files and links of the workspace in the order of their paths, but git's own.
fn walk(workspace: &Path) -> Result<BTreeMap<String, Source>, Refusal> {
    let failed = |path: &Path, error: std::io::Error| {
        let what = format!("files: cannot look at {}: {error}", path.display());
        Refusal::parameter(what, "the step's workspace must be readable")
    };
    let mut found = BTreeMap::new();
    let mut folders = vec![(workspace.to_owned(), String::new())];
    while let Some((folder, prefix)) = folders.pop() {
        for child in fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let child = child.map_err(|error| failed(&folder, error))?;
            let path = child.path();
            let Ok(name) = child.file_name().into_string() else {
                let what = format!("files: the name of {} is not UTF-8", path.display());
                return Err(Refusal::parameter(
                    what,
                    "name such files in `inputs` to leave them out",
                ));
            };
            let below = format!("{prefix}{name}");
            let meta = fs::symlink_metadata(&path).map_err(|error| failed(&path, error))?;
            if meta.is_dir() {
                if below != ".git" {
                    folders.push((path, format!("{below}/")));
                }
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| failed(&path, error))?;
                let target = target.to_string_lossy().into_owned();
                found.insert(below, Source::Link { target });
            } else if meta.is_file() {
                let executable = meta.mode() & 0o100 != 0;
                found.insert(below, Source::File { path, executable });
            }
            if found.len() > FILES_MAX {
                let what = format!("files: the workspace has more than {FILES_MAX} files");
                return Err(Refusal::parameter(what, "select fewer with the step's `inputs`"));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selected(files: Value, exclude: &[&str]) -> Result<Vec<String>, String> {
        let workspace = tempfile::tempdir().expect("a directory");
        for path in [
            ".git/config",
            "dist/a.js",
            "dist/lib/b.js",
            "package.json",
            "src/a.ts",
            "base/index.json",
        ] {
            let path = workspace.path().join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs::write(path, "x").expect("written");
        }
        let exclude: Vec<String> = exclude.iter().map(|glob| (*glob).to_owned()).collect();
        let files: Option<Files> = serde_json::from_value(files).expect("files");
        let wanted = Wanted {
            files: files.as_ref(),
            exclude: &exclude,
            aside: Some("./base/"),
            workdir: "/app",
        };
        select(workspace.path(), &wanted)
            .map(|files| files.into_keys().collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn files_go_where_their_glob_says() {
        let all = selected(json!(null), &["src"]).expect("files");
        assert_eq!(all, ["app/dist/a.js", "app/dist/lib/b.js", "app/package.json"]);
        let kept = selected(json!(["dist/**", "package.json"]), &["**/lib/*"]).expect("files");
        assert_eq!(kept, ["app/dist/a.js", "app/package.json"]);
        for (files, expected) in [
            (json!({"dist/**": "/srv"}), vec!["srv/a.js", "srv/lib/b.js"]),
            (json!({"./dist/": "/srv/"}), vec!["srv/a.js", "srv/lib/b.js"]),
            (json!({"dist/*.js": "/srv"}), vec!["srv/a.js"]),
            (json!({"package.json": "/etc/p.json"}), vec!["etc/p.json"]),
            (json!({"package.json": "/etc/"}), vec!["etc/package.json"]),
            (json!({"{src,dist}/*": "/"}), vec!["dist/a.js", "src/a.ts"]),
            (json!({}), vec![]),
        ] {
            assert_eq!(selected(files.clone(), &[]).expect("files"), expected, "{files}");
        }
    }

    #[test]
    fn what_matches_nothing_or_leads_elsewhere_is_refused() {
        for (files, says) in [
            (json!(["nothing/*"]), "nothing in the workspace matches"),
            (json!([".git/config"]), "nothing in the workspace matches"),
            (json!(["../x"]), "leads out"),
            (json!(["/etc/passwd"]), "leads out"),
            (json!(["a[b"]), "is none"),
            (json!({"dist/a.js": "/x/../../y"}), "leads upwards"),
            (json!({"dist/a.js": "/x", "src/a.ts": "/x"}), "two files go to /x"),
        ] {
            let error = selected(files.clone(), &[]).expect_err("refused");
            assert!(error.starts_with("MAE-7030") && error.contains(says), "{files}: {error}");
        }
    }
}
