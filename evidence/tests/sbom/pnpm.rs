use maestro_evidence::sbom::Code;

use super::*;

pub(crate) const NINE: &str = r"lockfileVersion: '9.0'

settings:
  autoInstallPeers: true

importers:
  .:
    devDependencies:
      tester:
        specifier: ^2.0.0
        version: 2.0.0
  packages/api:
    dependencies:
      '@scope/ui':
        specifier: ^1.0.0
        version: 1.0.1(react@18.0.0)
      old-react:
        specifier: npm:react@17.0.0
        version: react@17.0.0
      web:
        specifier: workspace:*
        version: link:../web
    optionalDependencies:
      forked:
        specifier: git+https://git.example.org/forked.git
        version: git+https://git.example.org/forked.git#c0ffee
  packages/web:
    dependencies:
      react:
        specifier: ^18.0.0
        version: 18.0.0

packages:
  '@scope/ui@1.0.1':
    resolution: {integrity: sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==}
    peerDependencies:
      react: '*'
  forked@git+https://git.example.org/forked.git#c0ffee:
    resolution: {commit: c0ffee, repo: https://git.example.org/forked.git, type: git}
    version: 0.0.1
  react@17.0.0:
    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}
  react@18.0.0:
    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=, tarball: https://npm.example.org/react.tgz}
  tester@2.0.0:
    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}

snapshots:
  '@scope/ui@1.0.1(react@18.0.0)':
    dependencies:
      react: 18.0.0
  forked@git+https://git.example.org/forked.git#c0ffee: {}
  react@17.0.0: {}
  react@18.0.0: {}
  tester@2.0.0:
    dependencies:
      react: 18.0.0
    optionalDependencies:
      old: react@17.0.0
";

pub(crate) const SIX: &str = r"lockfileVersion: '6.0'

dependencies:
  '@scope/ui':
    specifier: ^1.0.0
    version: 1.0.1(react@18.0.0)
  old:
    specifier: npm:react@17.0.0
    version: /react@17.0.0

devDependencies:
  forked:
    specifier: example/forked
    version: git.example.org/example/forked/c0ffee

packages:
  /@scope/ui@1.0.1(react@18.0.0):
    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}
    dependencies:
      react: 18.0.0
    dev: false
  /react@17.0.0:
    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}
  /react@18.0.0:
    resolution: {integrity: sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=}
  git.example.org/example/forked/c0ffee:
    resolution: {tarball: https://git.example.org/example/forked/tar.gz/c0ffee}
    name: forked
    version: 0.0.1
    dev: true
";

const API: &str = r#"{"name": "@shop/api", "version": "0.2.0", "license": "ISC"}"#;

#[test]
fn a_workspace_with_peers_aliases_and_links() {
    let files = [("pnpm-lock.yaml", NINE), ("packages/api/package.json", API)];
    golden("pnpm-9.json", &describe(&files).unwrap());
}

#[test]
fn a_project_in_the_older_form() {
    let files = [("web/pnpm-lock.yaml", SIX), ("web/package.json", API)];
    golden("pnpm-6.json", &describe(&files).unwrap());
}

#[test]
fn what_is_needed_for_development_only_is_excluded() {
    let found = document(&[("pnpm-lock.yaml", NINE)]);
    let scope = |reference| component(&found, reference)["scope"].as_str();
    assert_eq!(scope("pkg:npm/tester@2.0.0"), Some("excluded"));
    assert_eq!(scope("pkg:npm/react@18.0.0"), None);
    let forked = "pkg:npm/forked@0.0.1?vcs_url=git%2Bhttps://git.example.org/forked.git%40c0ffee";
    assert_eq!(scope(forked), Some("optional"));
}

#[test]
fn what_a_lock_cannot_say_is_refused_with_its_place() {
    let refused =
        |from: &str, to: &str| refusal(&[("pnpm-lock.yaml", &NINE.replacen(from, to, 1))]);
    for (from, to, says) in [
        ("settings:", "settings: [", "pnpm-lock.yaml:6:10: is no YAML"),
        (
            "version: 2.0.0",
            "other: 2.0.0",
            "importers[\".\"].devDependencies.tester: has no `version`",
        ),
        (
            "sha512-z4",
            "sha512-",
            "packages[\"@scope/ui@1.0.1\"].resolution.integrity: is no integrity",
        ),
        ("  packages/web:", "  ../web:", "importers[\"../web\"]: leads out of what is described"),
        ("snapshots:", "snapshots: &a", "has an anchor"),
    ] {
        let error = refused(from, to);
        assert_eq!(error.code(), Code::Malformed, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(refused("'9.0'", "5.4").code(), Code::Version);
}
