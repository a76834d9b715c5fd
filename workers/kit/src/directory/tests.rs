use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_tree_goes_whatever_its_modes_are_and_of_a_link_only_the_link() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(other.path().join("file"), "x").unwrap();
    std::fs::set_permissions(other.path(), std::fs::Permissions::from_mode(0o500)).unwrap();
    let tree = root.path().join("tree");
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    std::fs::write(tree.join("a/b/file"), "x").unwrap();
    symlink(other.path(), tree.join("a/link")).unwrap();
    for (path, mode) in [("a/b", 0o000), ("a", 0o500), ("", 0o500)] {
        std::fs::set_permissions(tree.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let held = Directory::open(root.path()).unwrap();
    held.remove("tree".as_ref()).unwrap();
    assert!(held.entries().unwrap().is_empty());
    symlink(other.path(), root.path().join("tree")).unwrap();
    held.remove("tree".as_ref()).unwrap();
    assert!(held.entries().unwrap().is_empty());
    assert!(other.path().join("file").exists());
    assert_eq!(mode(other.path()), 0o500);
}

#[test]
fn no_part_of_a_path_is_a_link_or_leads_out() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(root.path().join("a/b")).unwrap();
    std::fs::create_dir_all(other.path().join("b")).unwrap();
    symlink(other.path(), root.path().join("link")).unwrap();
    symlink(other.path(), root.path().join("a/link")).unwrap();
    let held = Directory::open(root.path()).unwrap();
    held.walk(Path::new("a/b")).unwrap();
    for path in ["link", "link/b", "a/link", "a/link/b", "..", "a/..", "/", "a/b/c"] {
        held.walk(Path::new(path)).expect_err(path);
    }
    Directory::open(&root.path().join("link")).expect_err("a link");
}

#[test]
fn a_sparse_file_counts_for_what_it_takes_up() {
    let root = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(root.path().join("sparse")).unwrap();
    file.set_len(1 << 30).unwrap();
    let entries = Directory::open(root.path()).unwrap().entries().unwrap();
    assert!(entries[0].bytes < 1 << 20, "{entries:?}");
}

#[test]
fn a_tree_goes_however_deep_it_is_nested_and_whatever_its_names_are() {
    let root = tempfile::tempdir().unwrap();
    let held = Directory::open(root.path()).unwrap();
    let flags = (OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty());
    // Deeper than a path may be long.
    let mut at = rustix::fs::openat(&held.0, ".", flags.0, flags.1).unwrap();
    for level in 0..5_000 {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
        let inner = rustix::fs::openat(&at, "d", flags.0, flags.1).unwrap();
        if level % 100 == 0 {
            rustix::fs::mkdirat(&inner, "other", Mode::RWXU).unwrap();
            rustix::fs::fchmod(&at, Mode::RUSR | Mode::XUSR).unwrap();
        }
        at = inner;
    }
    for (number, has_more) in [(1, false), (2, true)] {
        let taken = root.path().join(format!("d/lifted-{number}"));
        match has_more {
            true => std::fs::create_dir_all(taken.join("x")).unwrap(),
            false => std::fs::write(taken, "x").unwrap(),
        }
    }
    held.remove("d".as_ref()).unwrap();
    assert!(held.entries().unwrap().is_empty());
}
