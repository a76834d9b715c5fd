use maestro_evidence::sbom::{Code, Place};

use super::*;

pub(crate) const STATUS: &str = "Package: base-files
Status: install ok installed
Architecture: amd64
Version: 12.4+deb12u5
Description: Debian base system
 with a second line: here

Package: libssl3
Status: install ok installed
Source: openssl (3.0.11-1)
Architecture: amd64
Version: 1:3.0.11-1~deb12u2
Provides: libssl (= 3), libssl-abi
Depends: libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0

Package: curl
Status: hold ok installed
Architecture: amd64
Version: 7.88
Pre-Depends: libssl-abi
Depends: base-files:any, libssl3

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1
";

const RELEASE: &str =
    "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=\"12\"\n";

const COPYRIGHT: &str = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 1998 somebody
License: GPL-2+

Files: a
License: Expat or curl

Files: b
License: Artistic or nobody-knows
";

#[test]
fn an_image_with_dpkg() {
    let files = [
        ("var/lib/dpkg/status", STATUS),
        ("etc/os-release", RELEASE),
        ("usr/share/doc/curl/copyright", COPYRIGHT),
        ("usr/share/doc/libssl3/copyright", "It is free.\n"),
    ];
    golden("debian.json", &describe_as(&Subject::image("example.org/app"), &files).unwrap());
}

#[test]
fn an_image_without_dpkg() {
    let files = [
        ("./var/lib/dpkg/status.d/tzdata", "Package: tzdata\nVersion: 2024a\nArchitecture: all\n"),
        ("./var/lib/dpkg/status.d/tzdata.md5sums", "d41d8cd98f00b204e9800998ecf8427e  x\n"),
        ("./usr/lib/os-release", "ID=debian\n"),
    ];
    let found = document(&files);
    assert_eq!(references(&found), ["os:debian@", "pkg:deb/debian/tzdata@2024a?arch=all"]);
}

#[test]
fn a_stanza_in_no_form_is_refused_with_its_line() {
    for (text, line) in [
        ("Package: a\nVersion: 1\n\nPackage: b\n", 4),
        ("Package: a\nVersion: 1\nno field\n", 3),
        ("\n\nVersion: 1\n", 3),
    ] {
        let error = refusal(&[("var/lib/dpkg/status", text)]);
        assert_eq!((error.code(), error.place()), (Code::Malformed, &Place::Line(line)), "{error}");
    }
}
