//! An object's bytes, checked against their digest before a file bears its name.

use std::io::Write as _;
use std::path::Path;

use maestro_schemas::digest::Digest;
use sha2::{Digest as _, Sha256};

use crate::client::Client;
use crate::error::Error;
use crate::output::Output;

/// The most that is kept in memory: trees, and what is small.
const BYTES_MAX: usize = 64 << 20;

/// Writes it to a file: whole and verified, or not at all.
pub async fn to_file(client: &Client, digest: Digest, path: &Path) -> Result<(), Error> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".maestro-")
        .tempfile_in(dir)
        .map_err(Error::file("write in", dir))?;
    let mut stream = client.object_stream(digest).await?;
    let mut hash = Sha256::new();
    while let Some(bytes) = stream.next().await? {
        hash.update(&bytes);
        file.write_all(&bytes).map_err(Error::file("write", path))?;
    }
    verify(digest, hash)?;
    open_up(file.as_file()).map_err(Error::file("write", path))?;
    file.persist(path).map_err(|error| Error::file("write", path)(error.error))?;
    Ok(())
}

/// A temporary file is its owner's alone; what a person asked for is as other files of theirs.
fn open_up(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mask = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    nix::sys::stat::umask(mask);
    file.set_permissions(std::fs::Permissions::from_mode(0o666 & !mask.bits()))
}

/// Writes it to standard output as it comes; what does not verify is an error at the end.
pub async fn to_stdout(client: &Client, digest: Digest, output: Output) -> Result<(), Error> {
    let mut stream = client.object_stream(digest).await?;
    let mut hash = Sha256::new();
    while let Some(bytes) = stream.next().await? {
        hash.update(&bytes);
        output.bytes(&bytes)?;
    }
    verify(digest, hash)
}

/// A small object as bytes.
pub async fn to_memory(client: &Client, digest: Digest) -> Result<Vec<u8>, Error> {
    let mut stream = client.object_stream(digest).await?;
    let mut all = Vec::new();
    while let Some(bytes) = stream.next().await? {
        if all.len().saturating_add(bytes.len()) > BYTES_MAX {
            let server = client.address().as_str().to_owned();
            return Err(crate::client::Error::TooLarge { server, most: BYTES_MAX }.into());
        }
        all.extend_from_slice(&bytes);
    }
    verify(digest, Sha256::new_with_prefix(&all))?;
    Ok(all)
}

fn verify(expected: Digest, hash: Sha256) -> Result<(), Error> {
    let found = Digest::from_bytes(hash.finalize().into());
    if found == expected {
        return Ok(());
    }
    Err(Error::Corrupt {
        what: "the artifact".to_owned(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}
