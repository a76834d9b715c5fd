use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};
use std::time::Duration;

use tokio::sync::watch;

use super::super::Error;
use super::super::attach::{
    Answer, Attachments, EXIT_HELD, Refusal, Server, connect, connect_or_spawn, path,
};
use super::super::lock::Lock;
use super::super::paths::Paths;
use super::{DEADLINE, eventually, role, role_dir};

const GRACE: Duration = Duration::from_millis(300);

/// Not a test by itself: the owner that the tests below start. It serves its own process id,
/// ends when it is abandoned, and notes in `owners` that it was.
#[tokio::test]
async fn owner() {
    let Some(dir) = role_dir() else { return };
    let paths = Paths::of_project(&dir).unwrap();
    let Ok(lock) = Lock::take(&paths, Duration::from_millis(100)).await else {
        exit(EXIT_HELD.into())
    };
    let server = Server::bind(&paths, &lock).unwrap();
    let mut owners =
        fs::OpenOptions::new().append(true).create(true).open(dir.join("owners")).unwrap();
    writeln!(owners, "{}", std::process::id()).unwrap();
    let (answer, answers) = watch::channel(None);
    let attachments = server.serve(answers);
    answer.send_replace(Some(Answer::Ready(std::process::id())));
    loop {
        attachments.abandoned(GRACE).await;
        if attachments.close() {
            return;
        }
    }
}

fn owners(dir: &Path) -> Vec<u32> {
    let text = fs::read_to_string(dir.join("owners")).unwrap_or_default();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

async fn attach(dir: PathBuf) -> (u32, super::super::attach::Attachment) {
    let paths = Paths::of_project(&dir).unwrap();
    let found =
        connect_or_spawn::<u32>(&paths, DEADLINE, || role("attach::owner", &dir)).await.unwrap();
    let (Answer::Ready(pid), attachment) = found else { panic!("refused") };
    (pid, attachment)
}

async fn serve<T>(dir: &Path) -> (Paths, Lock, watch::Sender<Option<Answer<T>>>, Attachments)
where
    T: serde::Serialize + serde::de::DeserializeOwned + Clone + Send + Sync + 'static,
{
    let paths = Paths::of_project(dir).unwrap();
    let lock = Lock::take(&paths, Duration::ZERO).await.unwrap();
    let (answer, answers) = watch::channel(None);
    let attachments = Server::bind(&paths, &lock).unwrap().serve(answers);
    (paths, lock, answer, attachments)
}

#[tokio::test]
async fn clients_that_start_at_once_end_at_one_owner_which_ends_when_all_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let clients: Vec<_> = (0..4).map(|_| tokio::spawn(attach(dir.path().to_owned()))).collect();
    let mut attached = Vec::new();
    for client in clients {
        attached.push(client.await.unwrap());
    }
    let started = owners(dir.path());
    assert_eq!(started.len(), 1, "{started:?}");
    assert!(attached.iter().all(|(pid, _)| *pid == started[0]));
    drop(attached);
    eventually("the owner ends", || !dir.path().join(".maestro/up.sock").exists()).await;
    let (second, _attachment) = attach(dir.path().to_owned()).await;
    assert_ne!(second, started[0]);
}

#[tokio::test]
async fn clients_that_come_and_go_while_owners_end_are_always_served() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..6 {
        let (pid, attachment) = attach(dir.path().to_owned()).await;
        assert_eq!(owners(dir.path()).last(), Some(&pid), "round {round}");
        drop(attachment);
        // About as long as the owner's patience, so that some rounds meet one that is ending.
        let ended = || !dir.path().join(".maestro/up.sock").exists();
        if round % 2 == 0 {
            eventually("the owner ends", ended).await;
        }
    }
}

#[tokio::test]
async fn a_killed_owner_is_noticed_and_its_socket_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let (pid, mut attachment) = attach(dir.path().to_owned()).await;
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::SIGKILL)
        .unwrap();
    tokio::time::timeout(DEADLINE, attachment.lost()).await.unwrap();
    let (next, _attachment) = attach(dir.path().to_owned()).await;
    assert_ne!(next, pid);
}

#[tokio::test]
async fn an_owner_that_fails_before_it_serves_is_an_error_with_its_words() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::of_project(dir.path()).unwrap();
    let command = || {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option >&2; exit 2"]);
        command
    };
    let failed = connect_or_spawn::<u32>(&paths, DEADLINE, command).await.unwrap_err();
    assert!(matches!(failed, Error::OwnerEnded { .. }));
    assert!(failed.to_string().contains("no such option"), "{failed}");
}

#[tokio::test]
async fn a_directory_that_is_held_by_somebody_who_never_serves_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::of_project(dir.path()).unwrap();
    let _lock = Lock::take(&paths, Duration::ZERO).await.unwrap();
    let limit = Duration::from_secs(2);
    let failed = connect_or_spawn::<u32>(&paths, limit, || role("attach::owner", dir.path()))
        .await
        .unwrap_err();
    assert!(matches!(failed, Error::Held { .. } | Error::OwnerSlow { .. }), "{failed}");
}

#[tokio::test]
async fn a_client_waits_for_the_answer_and_hears_why_there_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let (paths, _lock, answer, attachments) = serve::<u32>(dir.path()).await;
    let client = tokio::spawn(async move { connect::<u32>(&paths, DEADLINE).await });
    eventually("it is attached", || attachments.count() == 1).await;
    let refusal =
        Refusal { message: "Postgres was not found".into(), hint: Some("install it".into()) };
    answer.send_replace(Some(Answer::Error(refusal.clone())));
    let (said, _attachment) = client.await.unwrap().unwrap().unwrap();
    assert_eq!(said, Answer::Error(refusal));
}

#[tokio::test]
async fn the_door_closes_only_when_nobody_is_attached() {
    let dir = tempfile::tempdir().unwrap();
    let (paths, _lock, answer, attachments) = serve(dir.path()).await;
    answer.send_replace(Some(Answer::Ready("up".to_owned())));
    let (_, attachment) = connect::<String>(&paths, DEADLINE).await.unwrap().unwrap();
    assert!(!attachments.close());
    drop(attachment);
    attachments.abandoned(Duration::ZERO).await;
    assert!(attachments.close());
    assert!(connect::<String>(&paths, DEADLINE).await.unwrap().is_none());
}

#[tokio::test]
async fn a_client_that_talks_is_put_out() {
    let dir = tempfile::tempdir().unwrap();
    let (paths, _lock, _answer, attachments) = serve::<u32>(dir.path()).await;
    let mut stream = std::os::unix::net::UnixStream::connect(path(&paths).unwrap()).unwrap();
    eventually("it is attached", || attachments.count() == 1).await;
    stream.write_all(&[0; 10_000]).unwrap();
    eventually("it is put out", || attachments.count() == 0).await;
}

#[tokio::test]
async fn a_line_without_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::of_project(dir.path()).unwrap();
    let listener = UnixListener::bind(path(&paths).unwrap()).unwrap();
    let hostile = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(&vec![b'x'; 200_000]);
    });
    let refused = connect::<u32>(&paths, DEADLINE).await.unwrap_err();
    assert!(matches!(refused, Error::OwnerAnswer { .. }), "{refused}");
    hostile.join().unwrap();
}
