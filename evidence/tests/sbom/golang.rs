use maestro_evidence::sbom::{Code, Place};

use super::*;

pub(crate) const MOD: &str = r#"module example.org/Shop // the shop

go 1.22

toolchain go1.22.1

require "github.com/BurntSushi/toml" v1.3.2

require (
	example.org/forked v1.0.0
	example.org/inhouse v0.0.0-00010101000000-000000000000
	github.com/docker/docker v24.0.7+incompatible // indirect
)

replace example.org/forked v1.0.0 => git.example.org/fork v1.0.1

replace (
	example.org/inhouse => ./inhouse
)

exclude github.com/old/old v1.0.0

retract [v0.1.0, v0.2.0]
"#;

const SUM: &str = "\
git.example.org/fork v1.0.1 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
github.com/BurntSushi/toml v1.3.2 h1:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB=
github.com/BurntSushi/toml v1.3.2/go.mod h1:CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCC=
";

#[test]
fn a_module_with_replacements_and_sums() {
    golden("go.json", &describe(&[("go.mod", MOD), ("go.sum", SUM)]).unwrap());
}

#[test]
fn a_sum_of_another_module_is_not_taken() {
    let found = document(&[("a/go.mod", MOD), ("go.sum", SUM)]);
    let toml = component(&found, "pkg:golang/github.com/burntsushi/toml@v1.3.2");
    assert_eq!(toml.get("properties"), None);
    assert_eq!(toml["name"], "github.com/BurntSushi/toml");
}

#[test]
fn a_line_in_no_form_is_refused_with_its_number() {
    for (text, line) in [
        ("module a\nrequire b\n", Place::Line(2)),
        ("module a\nreplace (\n\tb v1 =>\n)\n", Place::Line(3)),
        ("go 1.22\n", Place::Whole),
    ] {
        let error = refusal(&[("go.mod", text)]);
        assert_eq!((error.code(), error.place()), (Code::Malformed, &line), "{error}");
    }
    let error = refusal(&[("go.mod", MOD), ("go.sum", "a v1 h2:x\n")]);
    assert_eq!((error.path(), error.place()), ("go.sum", &Place::Line(1)));
}
