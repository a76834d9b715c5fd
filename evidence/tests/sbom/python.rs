use maestro_evidence::sbom::{Code, Place};

use super::*;

pub(crate) const REQUIREMENTS: &str = "\u{feff}# What it needs.
--index-url https://user:secret@python.example.org/simple
-r requirements/base.txt
-c constraints.txt
Zope.Interface==5.0 ; python_version < '3.9' \\
    --hash=sha256:0000000000000000000000000000000000000000000000000000000000000000 \\
    --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111
flask[async]>=2 # no version
pinned @ https://user:secret@files.example.org/pinned-1.0-py3-none-any.whl?key=secret
-e git+https://git.example.org/edited.git@c0ffee#egg=edited
./local
";

const BASE: &str = "six==1.17.0 --hash=sha256:2222222222222222222222222222222222222222222222222222222222222222\n-r ../requirements.txt\n";

const PYPROJECT: &str = r#"
[project]
name = "Shop"
version = "1.0.0"
license = "MIT"
dependencies = ["flask>=2"]

[project.optional-dependencies]
fast = ["uvloop"]

[dependency-groups]
dev = ["pytest>=8", {include-group = "lint"}]
"#;

pub(crate) const POETRY: &str = r#"
[[package]]
name = "Flask"
version = "2.0.0"
description = ""
optional = false
python-versions = ">=3.8"
files = [
    {file = "flask-2.0.0-py3-none-any.whl", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000"},
    {file = "flask-2.0.0.tar.gz", hash = "sha256:1111111111111111111111111111111111111111111111111111111111111111"},
]

[package.dependencies]
click = {version = ">=8", extras = ["x"]}
colorama = {version = "*", optional = true}

[[package]]
name = "click"
version = "8.0.0"
optional = false
python-versions = "*"
files = []

[[package]]
name = "colorama"
version = "0.4.6"
optional = true
python-versions = "*"
files = []

[[package]]
name = "pytest"
version = "8.0.0"
optional = false
python-versions = "*"
files = []

[package.source]
type = "git"
url = "https://me:secret@git.example.org/pytest.git"
reference = "main"
resolved_reference = "c0ffee"

[metadata]
lock-version = "2.0"
"#;

pub(crate) const UV: &str = r#"version = 1
revision = 3
requires-python = ">=3.10"

[manifest]
members = ["shop", "tool"]

[[package]]
name = "click"
version = "8.0.0"
source = { registry = "https://python.example.org/simple" }
dependencies = [{ name = "colorama", marker = "sys_platform == 'win32'" }]
sdist = { url = "https://files.example.org/click-8.0.0.tar.gz", hash = "sha256:0000000000000000000000000000000000000000000000000000000000000000", size = 1 }
wheels = [{ url = "https://files.example.org/click-8.0.0-py3-none-any.whl", hash = "sha256:1111111111111111111111111111111111111111111111111111111111111111", size = 2 }]

[[package]]
name = "colorama"
version = "0.4.6"
source = { registry = "https://python.example.org/simple" }

[[package]]
name = "pytest"
version = "8.0.0"
source = { git = "https://git.example.org/pytest?rev=main#c0ffee" }

[[package]]
name = "shop"
version = "1.0.0"
source = { editable = "." }
dependencies = [{ name = "click" }, { name = "tool" }]

[package.optional-dependencies]
fast = [{ name = "uvloop", version = "1.0", source = { registry = "https://python.example.org/simple" } }]

[package.dev-dependencies]
dev = [{ name = "pytest" }]

[[package]]
name = "tool"
version = "0.1.0"
source = { virtual = "tool" }

[[package]]
name = "uvloop"
version = "1.0"
source = { registry = "https://python.example.org/simple" }
"#;

#[test]
fn requirements_with_what_they_take_in() {
    let files = [
        ("requirements.txt", REQUIREMENTS),
        ("requirements/base.txt", BASE),
        ("constraints.txt", "flask==2.0\n"),
    ];
    let found = describe(&files).unwrap();
    assert!(!String::from_utf8_lossy(&found.json).contains("secret"));
    golden("requirements.json", &found);
}

#[test]
fn what_requirements_need_themselves_is_not_told() {
    let found = document(&[("requirements.txt", "six==1.17.0\n")]);
    assert_eq!(needs(&found, "subject"), Some(vec!["pkg:pypi/six@1.17.0".into()]));
    assert_eq!(needs(&found, "pkg:pypi/six@1.17.0"), None);
}

#[test]
fn a_file_that_is_taken_in_must_be_there_and_within() {
    for (line, says) in [
        ("-r ../other.txt", "outside of what is described: \"../other.txt\""),
        ("-r /etc/requirements.txt", "outside of what is described"),
        ("--requirement=requirements-dev.txt", "that is not there: \"requirements-dev.txt\""),
        ("-rhttps://user:secret@example.org/r.txt", "takes in an address"),
    ] {
        let text = format!("six\n\n{line}\n");
        let error = refusal(&[("requirements.txt", &text)]);
        assert_eq!((error.code(), error.place()), (Code::Reference, &Place::Line(3)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn a_line_that_is_no_requirement_is_refused_with_its_number() {
    for text in ["a==1\n\nb c\n", "a==1\n\nb==1 --hash=sha256:00\n"] {
        let error = refusal(&[("requirements.txt", text)]);
        assert_eq!((error.code(), error.place()), (Code::Malformed, &Place::Line(3)), "{error}");
    }
}

#[test]
fn a_poetry_project_with_groups() {
    let files = [("poetry.lock", POETRY), ("pyproject.toml", PYPROJECT)];
    let found = describe(&files).unwrap();
    assert!(!String::from_utf8_lossy(&found.json).contains("secret"));
    golden("poetry.json", &found);
    let grouped = POETRY.replacen("optional = false", "optional = false\ngroups = [\"dev\"]", 1);
    let found = document(&[("poetry.lock", &grouped)]);
    assert_eq!(component(&found, "pkg:pypi/flask@2.0.0")["scope"], "excluded");
}

#[test]
fn a_uv_workspace_with_extras_and_groups() {
    golden("uv.json", &describe(&[("uv.lock", UV)]).unwrap());
    let found = document(&[("uv.lock", UV)]);
    assert_eq!(component(&found, "pkg:pypi/uvloop@1.0")["scope"], "optional");
}

#[test]
fn what_a_lock_cannot_say_is_refused_with_its_place() {
    let uv = |from: &str, to: &str| refusal(&[("uv.lock", &UV.replacen(from, to, 1))]);
    let missing = uv("{ name = \"click\" }", "{ name = \"clock\" }");
    assert!(
        missing.to_string().contains("package[3].dependencies[0]: names a package"),
        "{missing}"
    );
    assert_eq!(uv("version = 1\n", "version = 2\n").code(), Code::Version);
    let digest = uv("sha256:11", "sha256:1");
    assert!(digest.to_string().contains("package[0].wheels[0].hash: is no digest"), "{digest}");
    let poetry = |from: &str, to: &str| refusal(&[("poetry.lock", &POETRY.replacen(from, to, 1))]);
    assert_eq!(poetry("\"2.0\"\n", "\"3.0\"\n").code(), Code::Version);
    let digest = poetry("sha256:11", "sha256:1");
    assert!(digest.to_string().contains("package[0].files[1].hash: is no digest"), "{digest}");
}
