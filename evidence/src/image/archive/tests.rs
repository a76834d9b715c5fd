use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::super::LAYER_BYTES_MAX;
use super::*;

/// An entry whose name is written as it is, which `tar` itself would refuse to.
fn header(name: &[u8], kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    header
}

fn archive(entries: &[(Header, &[u8])]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (header, bytes) in entries {
        tar.append(header, *bytes).expect("appended");
    }
    tar.into_inner().expect("an archive")
}

fn scanned(bytes: &[u8]) -> Result<(Digest, Root), Error> {
    let mut root = Root::default();
    let (digest, _) = scan("layer", bytes, (false, LAYER_BYTES_MAX), &mut root)?;
    Ok((digest, root))
}

fn refused(bytes: &[u8], says: &str) {
    let error = scanned(bytes).expect_err("refused").to_string();
    assert!(error.contains(says), "{says}: {error}");
}

#[test]
fn a_name_that_leads_out_is_refused() {
    let file = EntryType::Regular;
    for (name, says) in [
        (&b"../x"[..], "upwards"),
        (b"a/../../x", "upwards"),
        (b"a/..", "upwards"),
        (b"/etc/passwd", "absolute"),
        (b"./../x", "upwards"),
    ] {
        refused(&archive(&[(header(name, file, 0), b"")]), says);
        refused(&archive(&[(header(name, EntryType::Directory, 0), b"")]), says);
        let mut link = header(b"link", EntryType::Link, 0);
        link.as_old_mut().linkname[..name.len()].copy_from_slice(name);
        link.set_cksum();
        refused(&archive(&[(link, b"")]), says);
        let long = header(b"././@LongLink", EntryType::GNULongName, name.len() as u64);
        refused(&archive(&[(long, name), (header(b"ok", file, 0), b"")]), says);
        let record = format!("path={}\n", String::from_utf8_lossy(name));
        let record = format!("{} {record}", record.len() + 3);
        let pax = header(b"pax", EntryType::XHeader, record.len() as u64);
        refused(&archive(&[(pax, record.as_bytes()), (header(b"ok", file, 0), b"")]), says);
    }
}

#[test]
fn what_readers_would_read_differently_is_refused() {
    let record = b"12 size=100\n";
    let pax = header(b"pax", EntryType::XHeader, record.len() as u64);
    let file = header(b"a", EntryType::Regular, 1);
    refused(&archive(&[(pax, record), (file, b"x")]), "two sizes");
    refused(&archive(&[(header(b"a", EntryType::GNUSparse, 0), b"")]), "sparse");
}

#[test]
fn a_name_without_end_is_not_read_to_its_end() {
    let long = vec![b'x'; 3 << 20];
    let name = header(b"././@LongLink", EntryType::GNULongName, long.len() as u64);
    refused(&archive(&[(name, &long), (header(b"a", EntryType::Regular, 0), b"")]), "header");
    let name = header(b"././@LongLink", EntryType::GNULongName, 5000);
    let long = &long[..5000];
    refused(&archive(&[(name, long), (header(b"a", EntryType::Regular, 0), b"")]), "too long");
}

#[test]
fn what_is_cut_short_or_no_archive_is_refused() {
    let whole = archive(&[(header(b"a", EntryType::Regular, 1000), &[1; 1000])]);
    refused(&whole[..600], "no whole archive");
    refused(&[7; 2000], "no whole archive");
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(&whole).expect("packed");
    let packed = packed.finish().expect("packed");
    let mut root = Root::default();
    let most = (true, LAYER_BYTES_MAX);
    let (digest, _) = scan("layer", &packed[..], most, &mut root).expect("scanned");
    assert_eq!(digest, Digest::of(&whole));
    scan("layer", &packed[..packed.len() - 4], most, &mut root).expect_err("refused");
}

#[test]
fn names_of_any_form_are_put_together() {
    let long = format!("deep/{}/end", "x".repeat(150));
    let name = header(b"././@LongLink", EntryType::GNULongName, long.len() as u64);
    let mut link = header(b"l", EntryType::Symlink, 0);
    link.set_link_name("/anywhere").expect("a name");
    link.set_cksum();
    let bytes = archive(&[
        (header(b"./", EntryType::Directory, 0), b""),
        (header(b"./dir/", EntryType::Directory, 0), b""),
        (name, long.as_bytes()),
        (header(b"deep", EntryType::Regular, 2), b"ab"),
        (link, b""),
    ]);
    let (digest, root) = scanned(&bytes).expect("scanned");
    assert_eq!(digest, Digest::of(&bytes));
    assert_eq!(root.kind("dir"), Some(Kind::Directory));
    assert_eq!(root.kind(&long), Some(Kind::File));
    assert_eq!(root.kind("l"), Some(Kind::Link));
}
