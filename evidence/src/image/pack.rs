//! A layout as one file, which other programs take as `oci-archive:FILE`.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use tar::Builder;

use super::layout::Layout;
use super::{ENTRIES_MAX, Error};

/// Packs a layout that was made here. Blocks.
pub fn pack(layout: &Layout, to: &Path) -> Result<(), Error> {
    let file = File::create(to).map_err(Error::file("cannot write", to))?;
    let mut archive = Builder::new(BufWriter::new(file));
    archive.follow_symlinks(false);
    let mut names = vec!["oci-layout".to_owned(), "index.json".to_owned()];
    let blobs = layout.path().join("blobs/sha256");
    for blob in
        std::fs::read_dir(&blobs).map_err(Error::file("cannot list", &blobs))?.take(ENTRIES_MAX)
    {
        let blob = blob.map_err(Error::file("cannot list", &blobs))?;
        names.push(format!("blobs/sha256/{}", blob.file_name().to_string_lossy()));
    }
    for name in names {
        let path = layout.path().join(&name);
        archive.append_path_with_name(&path, &name).map_err(Error::file("cannot pack", &path))?;
    }
    let mut file = archive.into_inner().map_err(Error::file("cannot write", to))?;
    file.flush().map_err(Error::file("cannot write", to))
}
