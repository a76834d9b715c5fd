use maestro_evidence::sbom::Code;

use super::*;

pub(crate) const LOCK: &str = r#"{
  "name": "shop", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
  "packages": {
    "": {
      "name": "shop", "version": "1.0.0", "license": "MIT OR Apache-2.0", "workspaces": ["packages/*"],
      "dependencies": {"@scope/ui": "^1.0.0", "string-width-cjs": "npm:string-width@^4.2.0"},
      "devDependencies": {"tester": "^2.0.0"}, "optionalDependencies": {"fsevents": "^2.0.0"}
    },
    "node_modules/@scope/ui": {
      "version": "1.0.1", "resolved": "https://user:secret@npm.example.org/@scope/ui/-/ui-1.0.1.tgz?token=secret",
      "integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==",
      "license": "MIT", "dependencies": {"string-width": "^5.0.0"}, "peerDependencies": {"absent": "*"}
    },
    "node_modules/@scope/ui/node_modules/string-width": {
      "version": "5.1.2", "integrity": "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=", "license": "SEE LICENSE IN TERMS"
    },
    "node_modules/api": {"resolved": "packages/api", "link": true},
    "node_modules/bundler": {"version": "3.0.0", "dependencies": {"inner": "1.0.0"}, "license": {"type": "ISC"}},
    "node_modules/bundler/node_modules/inner": {"version": "1.0.0", "inBundle": true},
    "node_modules/forked": {"version": "0.0.1", "resolved": "git+ssh://git@git.example.org/forked.git#c0ffee"},
    "node_modules/fsevents": {"version": "2.3.3", "optional": true},
    "node_modules/string-width-cjs": {"name": "string-width", "version": "4.2.3"},
    "node_modules/tester": {"version": "2.0.0", "dev": true},
    "packages/api": {"version": "0.2.0", "dependencies": {"bundler": "^3.0.0", "forked": "*"}}
  }
}"#;

#[test]
fn a_project_with_workspaces_aliases_links_and_bundles() {
    golden("npm.json", &describe(&[("package-lock.json", LOCK)]).unwrap());
    let two =
        LOCK.replace("\"lockfileVersion\": 3", "\"lockfileVersion\": 2, \"dependencies\": {}");
    assert_eq!(
        describe(&[("package-lock.json", &two)]).unwrap().json,
        describe(&[("package-lock.json", LOCK)]).unwrap().json
    );
}

#[test]
fn a_name_means_the_nearest_package_above() {
    let found = document(&[("package-lock.json", LOCK)]);
    let of = |reference| needs(&found, reference).unwrap();
    assert_eq!(of("pkg:npm/%40scope/ui@1.0.1"), ["pkg:npm/string-width@5.1.2"]);
    let api = "package-lock.json:packages/api:api@0.2.0";
    let forked = "pkg:npm/forked@0.0.1?vcs_url=git%2Bssh://git.example.org/forked.git%40c0ffee";
    assert_eq!(of(api), ["pkg:npm/bundler@3.0.0", forked]);
    let shop = of("package-lock.json:.:shop@1.0.0");
    assert!(shop.contains(&api.to_owned()) && shop.contains(&"pkg:npm/string-width@4.2.3".into()));
}

#[test]
fn what_may_be_secret_is_not_in_the_document() {
    let found = describe(&[("package-lock.json", LOCK)]).unwrap();
    assert!(!String::from_utf8_lossy(&found.json).contains("secret"));
}

#[test]
fn what_a_lock_cannot_say_is_refused_with_its_place() {
    let refused =
        |from: &str, to: &str| refusal(&[("web/package-lock.json", &LOCK.replacen(from, to, 1))]);
    for (from, to, says) in [
        ("\"requires\": true,", "\"requires\": true", "web/package-lock.json:3:3: is no JSON"),
        (
            "sha1-2jmj",
            "sha1-2j",
            "packages[\"node_modules/@scope/ui/node_modules/string-width\"].integrity: is no integrity",
        ),
        ("\"4.2.3\"", "4", "packages[\"node_modules/string-width-cjs\"].version: is no text"),
        ("\"packages/api\": {", "\"../../api\": {", "leads out of what is described"),
        ("\"packages\":", "\"package\":", "has no `packages`"),
    ] {
        let error = refused(from, to);
        assert_eq!(error.code(), Code::Malformed, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let error = refused("\"lockfileVersion\": 3", "\"lockfileVersion\": 1");
    assert_eq!(error.code(), Code::Version);
    assert!(error.to_string().contains("lockfileVersion: version \"1\" is not read"), "{error}");
}
