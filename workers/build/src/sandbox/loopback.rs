//! A network of a step's own that its commands and services share. A process of the worker's that
//! does nothing holds it; the helper of each of them enters it before it starts bubblewrap.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::host::Host;
use crate::error::Error;
use crate::process::spawn;

/// The word that makes the program the one that holds a network.
pub(super) const WORD: &str = "__hold";

/// How long it may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most digits of a process id.
const DIGITS_MAX: u64 = 20;

/// A network that is gone when this is dropped and nobody is in it.
#[derive(Debug)]
pub(crate) struct Loopback {
    holder: u32,
    /// What holds it ends with either of these.
    _child: Child,
    _stdin: ChildStdin,
}

impl Loopback {
    /// Makes one, with a loopback and nothing else.
    pub(crate) async fn make(host: &Host) -> Result<Self, Error> {
        let failed =
            |error: io::Error| Error::Sandbox(format!("cannot make a network of its own: {error}"));
        timeout(PATIENCE, Self::start(host))
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
            .map_err(failed)
    }

    async fn start(host: &Host) -> io::Result<Self> {
        let missing = || io::Error::other("bubblewrap is not there any more");
        let bubblewrap = host.bubblewrap.as_ref().ok_or_else(missing)?;
        let mut command = Command::new(&bubblewrap.path);
        // What is started is the worker's own program, which needs no fewer files than the worker.
        command
            .args(["--unshare-user", "--unshare-net", "--die-with-parent", "--dev-bind", "/", "/"])
            .arg("--")
            .arg(&host.helper)
            .arg(WORD)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = spawn(command).await?;
        let piped = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = piped else { return Err(missing()) };
        let mut said = String::new();
        BufReader::new(stdout).take(DIGITS_MAX).read_line(&mut said).await?;
        let holder =
            said.trim().parse().map_err(|_| io::Error::other("bubblewrap does not work"))?;
        Ok(Self { holder, _child: child, _stdin: stdin })
    }

    /// The process id of what holds it.
    pub(crate) const fn holder(&self) -> u32 {
        self.holder
    }
}

/// Says its own process id and waits until the worker lets go or ends.
pub(super) fn hold() -> ExitCode {
    let mut stdout = io::stdout();
    let said = writeln!(stdout, "{}", std::process::id()).and_then(|()| stdout.flush());
    match said.and_then(|()| io::stdin().read(&mut [0])) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Moves this process, of one thread, into the network that another holds.
pub(super) fn enter(holder: u32) -> io::Result<()> {
    let open = |name: &str| File::open(format!("/proc/{holder}/ns/{name}"));
    // Both are opened first: within, the other would be out of reach.
    let (users, network) = (open("user")?, open("net")?);
    move_into_link_name_space(users.as_fd(), Some(LinkNameSpaceType::User))?;
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network))?;
    Ok(())
}
