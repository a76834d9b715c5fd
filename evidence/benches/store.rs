//! `cargo bench -p maestro-evidence --bench store`: how fast a file is hashed and stored, beside
//! `sha256sum` that reads the same file from a pipe. They take turns, so that a machine that grows slower
//! does so for both; the store is told to forget the file in between.

use std::error::Error;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use maestro_evidence::store::ArtifactStore;

const MIB: usize = 1 << 20;
const SIZE_MIB: usize = 1_024;
const ROUNDS: usize = 7;

type Anything<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Anything<()> {
    // Beside the build's own files, so that both are of one disk.
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let directory = tempfile::tempdir_in(home)?;
    let path = directory.path().join("file");
    fill(&path)?;
    let store = ArtifactStore::local(directory.path().join("store"))?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        theirs.push(rate(by_pipe(&path)?));
        let from = Instant::now();
        let stored = store.put_file(&path).await?;
        ours.push(rate(from.elapsed().as_secs_f64()));
        store.delete(stored.digest).await?;
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    let mut out = std::io::stdout().lock();
    writeln!(out, "{SIZE_MIB} MiB, median of {ROUNDS} rounds:")?;
    writeln!(out, "  hashed and stored        {ours:>8.0} MiB/s")?;
    writeln!(out, "  sha256sum from a pipe    {theirs:>8.0} MiB/s")?;
    writeln!(out, "  ratio                    {:>8.2}", ours / theirs)?;
    Ok(())
}

/// Bytes that nothing makes smaller.
fn fill(path: &Path) -> Anything<()> {
    let (mut from, mut to) = (File::open("/dev/urandom")?, File::create(path)?);
    let mut part = vec![0; MIB];
    for _ in 0..SIZE_MIB {
        from.read_exact(&mut part)?;
        to.write_all(&part)?;
    }
    Ok(to.sync_all()?)
}

fn by_pipe(path: &Path) -> Anything<f64> {
    let from = Instant::now();
    let mut reader = Command::new("cat").arg(path).stdout(Stdio::piped()).spawn()?;
    let pipe = reader.stdout.take().ok_or("cat has no output")?;
    let done = Command::new("sha256sum").stdin(pipe).stdout(Stdio::null()).status()?;
    reader.wait()?;
    if !done.success() {
        return Err("sha256sum failed".into());
    }
    Ok(from.elapsed().as_secs_f64())
}

fn rate(seconds: f64) -> f64 {
    SIZE_MIB as f64 / seconds
}

fn median(of: &mut [f64]) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of.get(of.len() / 2).copied().unwrap_or(f64::NAN)
}
