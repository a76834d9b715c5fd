//! Golden plans: what a pipeline compiles to, as a tree, as Mermaid and as JSON.
//!
//! A case is a directory under `tests/golden/`: `maestro.yaml`, the files beside it, and what is
//! expected. `UPDATE_GOLDEN=1` writes what was found instead, to be read before it is committed.

#[cfg(test)]
mod specification {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use maestro_engine::plan::answer::{Known, answers};
    use maestro_engine::plan::print::{mermaid, tree};
    use maestro_engine::plan::sources::{Git, MemoryFiles, Sources};
    use maestro_engine::plan::{CheckedPlan, Request, UNKNOWN_DURATIONS, compile};
    use maestro_schemas::api::plans::Catalogue;

    const EXPECTED: [&str; 4] = ["plan.txt", "plan.mmd", "plan.json", "errors.txt"];

    fn gather(directory: &Path, base: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(base).expect("below").to_string_lossy().into_owned();
            if path.is_dir() {
                gather(&path, base, files);
            } else if !EXPECTED.contains(&name.as_str()) {
                files.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }

    fn git() -> Git {
        Git {
            sha: "0123456789abcdef0123456789abcdef01234567".into(),
            short: "0123456".into(),
            branch: Some("main".into()),
            tag: None,
            dirty: false,
        }
    }

    fn expect(path: &Path, found: &str) {
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(path, found).expect("the golden file is written");
            return;
        }
        let expected = fs::read_to_string(path).unwrap_or_default();
        assert_eq!(found, expected, "{} differs; UPDATE_GOLDEN=1 writes it anew", path.display());
    }

    fn check(case: &str) {
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case);
        let mut files = BTreeMap::new();
        gather(&directory, &directory, &mut files);
        let files = MemoryFiles(files);
        let text = String::from_utf8(files.0.get("maestro.yaml").expect("a pipeline").clone())
            .expect("text");
        let (tree_of_files, git) = (files.tree(), git());
        let sources = Sources { files: &files, tree: Some(&tree_of_files), git: Some(&git) };
        let (inputs, catalogue) = (BTreeMap::new(), Catalogue::default());
        let request = Request {
            file: "maestro.yaml",
            text: &text,
            inputs: &inputs,
            sources,
            catalogue: &catalogue,
            durations: &UNKNOWN_DURATIONS,
        };
        match compile(request) {
            Err(diagnostics) => expect(&directory.join("errors.txt"), &format!("{diagnostics}\n")),
            Ok(compiled) => {
                assert_eq!(compile(request).as_ref(), Ok(&compiled), "compiling is deterministic");
                let plan = compiled.plan;
                let answers = answers(&plan, &Known::NOTHING);
                expect(&directory.join("plan.txt"), &tree(&plan, &answers));
                expect(&directory.join("plan.mmd"), &mermaid(&plan, &answers));
                let json = serde_json::to_string_pretty(&plan).expect("json");
                expect(&directory.join("plan.json"), &format!("{json}\n"));
                CheckedPlan::check(plan).expect("a compiled plan is sound");
            }
        }
    }

    macro_rules! cases {
    ($($(#[$doc:meta])* $name:ident: $directory:literal;)*) => {$(
        $(#[$doc])*
        #[test]
        fn $name() {
            check($directory);
        }
    )*};
}

    cases! {
        the_specifications_example_has_six_steps: "specification";
        all_that_the_language_has_compiles: "language";
        wrong_keys_and_values_are_told_all_at_once: "errors";
        wrong_names_and_expressions_are_told_all_at_once: "references";
        what_is_wrong_with_services_is_told_all_at_once: "services";
        a_circle_is_told_with_its_steps: "circle";
    }
}
