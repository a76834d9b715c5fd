//! The doorman within: hands what a step sends to a port of its own loopback on to the proxy of its
//! worker, by the one socket that leads out.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;

/// The word that makes the program the one that starts doorman and step.
pub(super) const WORD: &str = "__forward";
/// The word that makes it the doorman.
pub(super) const SERVE_WORD: &str = "__forward-serve";

/// Connections that go on at once; further ones are closed.
const CONNECTIONS_MAX: usize = 128;

/// What names the proxy to programs.
const VARIABLES: [&str; 6] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// Starts the doorman and becomes the step: `words` are the socket, the program and its arguments.
pub(super) fn start(words: &[OsString]) -> ExitCode {
    let [socket, program, args @ ..] = words else { return ExitCode::FAILURE };
    let error = match open(socket) {
        Ok(port) => {
            let mut step = Command::new(program);
            for name in VARIABLES {
                step.env(name, format!("http://127.0.0.1:{port}"));
            }
            // What listens beside the step is reached without it.
            for name in ["NO_PROXY", "no_proxy"] {
                step.env(name, "127.0.0.1,localhost,::1");
            }
            step.args(args).exec()
        }
        Err(error) => error,
    };
    let _ = io::Write::write_all(
        &mut io::stderr(),
        format!("cannot start {}: {error}\n", program.to_string_lossy()).as_bytes(),
    );
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 })
}

/// Starts the doorman; the port that it listens on.
fn open(socket: &OsStr) -> io::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    Command::new("/proc/self/exe")
        .arg(SERVE_WORD)
        .arg(socket)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(port)
}

/// Hands on until the sandbox ends; standard input is the listener.
pub(super) fn serve(words: &[OsString]) -> ExitCode {
    let (Some(socket), Ok(listener)) = (words.first(), io::stdin().as_fd().try_clone_to_owned())
    else {
        return ExitCode::FAILURE;
    };
    let listener = TcpListener::from(listener);
    let seat = Arc::new(());
    for stream in listener.incoming().flatten() {
        if Arc::strong_count(&seat) > CONNECTIONS_MAX {
            continue;
        }
        let Ok(out) = UnixStream::connect(socket) else { continue };
        let taken = Arc::clone(&seat);
        let handing = thread::Builder::new().spawn(move || {
            let _ = hand_on(&stream, &out);
            drop(taken);
        });
        if handing.is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn hand_on(inner: &TcpStream, outer: &UnixStream) -> io::Result<()> {
    let (mut from, mut to) = (outer.try_clone()?, inner.try_clone()?);
    let back = thread::Builder::new().spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    })?;
    let (mut from, mut to) = (inner.try_clone()?, outer.try_clone()?);
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = back.join();
    Ok(())
}
