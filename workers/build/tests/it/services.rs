//! Servers beside a step: there before its first command, in its network, gone with it.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use maestro_schemas::outcome::{FailureClass, Outcome};
use maestro_schemas::sandbox::{Isolation, Level, Limits, Network};
use maestro_schemas::service::{Ready, Service, ServiceCommand};
use maestro_schemas::task::Task;

use super::bench::{Bench, LEVELS, eventually, failure, marked, offline, shell, strict};

/// A server of the workspace's files, which says where it listens.
const WEB: &str = "echo listening on $PORT; exec python3 -u -m http.server --bind 127.0.0.1 $PORT";

/// Gets the file `hello`, without any proxy of the host's.
const GET: &str = "python3 -c \"
import os, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
at = 'http://' + os.environ['WEB_HOST'] + ':' + os.environ['WEB_PORT'] + '/hello'
print(opener.open(at).read().decode())\"";

fn lines(text: &str) -> ServiceCommand {
    ServiceCommand::Lines(text.to_owned())
}

fn service(command: &str) -> Service {
    Service {
        command: lines(command),
        env: BTreeMap::new(),
        ports: vec!["main".into()],
        ready: Ready::Ports,
        ready_ms: 30_000,
    }
}

fn beside(mut task: Task, name: &str, service: Service) -> Task {
    task.beside.services.insert(name.into(), service);
    task
}

/// A server of files that are there before it.
fn web() -> Service {
    let command = format!("echo good morning > hello; {WEB}");
    Service { ready: Ready::Http("/hello".into()), ..service(&command) }
}

#[tokio::test]
async fn a_step_finds_its_service_at_every_level() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let said = bench.says(beside(shell(GET), "web", web())).await;
        assert!(said.contains("good morning\n"), "{level}: {said}");
        assert!(said.contains("[web] listening on "), "{level}: {said}");
        let ready = said.find("service web is ready after ").expect("a line of its readiness");
        assert!(ready < said.find("\ngood morning").expect("said"), "{level}: {said}");
    }
}

#[tokio::test]
async fn a_strict_step_shares_a_network_with_its_service_and_with_nobody_else() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let script = format!(
        "{GET}\necho routes $(($(wc -l < /proc/net/route) - 1))\necho $WEB_PORT > port\n\
         until test -e go; do sleep 0.02; done"
    );
    let going = bench.begin(beside(strict(&script), "web", web()));
    let scratch = bench.path("scratch");
    eventually(|| file(&scratch, "workspace/port").is_some_and(|text| text.ends_with('\n'))).await;
    let port = file(&scratch, "workspace/port").and_then(|text| text.trim().parse().ok());
    let port: u16 = port.expect("a number");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "the host reaches it");
    std::fs::write(only(&scratch).join("workspace/go"), "").expect("written");
    let outcome = going.await.expect("an outcome");
    let said = bench.log().await;
    assert!(matches!(outcome, Outcome::Succeeded { .. }), "{outcome:?}\n{said}");
    assert!(said.contains("good morning\n"), "{said}");
    assert!(said.contains("\nroutes 0\n"), "{said}");
}

/// The directory of the execution.
fn only(scratch: &Path) -> PathBuf {
    let mut executions = std::fs::read_dir(scratch).expect("a directory").flatten();
    executions.next().expect("an execution").path()
}

fn file(scratch: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(scratch.read_dir().ok()?.flatten().next()?.path().join(name)).ok()
}

#[tokio::test]
async fn two_services_find_each_other() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let front = "python3 - <<'END'
import http.server, os, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
class Front(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = opener.open('http://127.0.0.1:' + os.environ['BACK_PORT'] + '/hello').read()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'through the front: ' + body)
http.server.HTTPServer(('127.0.0.1', int(os.environ['PORT'])), Front).serve_forever()
END";
    let task =
        beside(strict(GET), "web", Service { ready: Ready::Http("/".into()), ..service(front) });
    let said = bench.says(beside(task, "back", web())).await;
    assert!(said.contains("through the front: good morning"), "{said}");
}

/// A service that ends when it is killed and not before, with a mark in its command line.
fn stubborn(mark: &str) -> Service {
    let child = format!("bash -c 'trap \"\" TERM; while true; do sleep 0.1; done' {mark}");
    service(&format!("trap '' TERM; {child} & {WEB}"))
}

fn mark(level: Level, what: &str) -> String {
    format!("maestro-service-{level}-{what}-{}", std::process::id())
}

/// Begins a step that waits, and waits itself until its service is there.
async fn begun(bench: &Bench, mark: &str) -> tokio::task::JoinHandle<Outcome> {
    let wait = "until test -e go; do sleep 0.02; done; echo done";
    let going = bench.begin(beside(shell(wait), "web", stubborn(mark)));
    eventually(|| marked(mark) > 0).await;
    going
}

#[tokio::test]
async fn a_service_goes_with_its_step_whatever_it_does() {
    for level in LEVELS {
        let (bench, mark) = (Bench::new(level).await, mark(level, "ended"));
        let going = begun(&bench, &mark).await;
        std::fs::write(only(&bench.path("scratch")).join("workspace/go"), "").expect("written");
        let outcome = going.await.expect("an outcome");
        let said = bench.log().await;
        assert!(matches!(outcome, Outcome::Succeeded { .. }), "{level}: {outcome:?}\n{said}");
        eventually(|| marked(&mark) == 0).await;
    }
}

#[tokio::test]
async fn a_service_goes_with_a_step_that_is_stopped() {
    for level in LEVELS {
        let (bench, mark) = (Bench::new(level).await, mark(level, "stopped"));
        let going = begun(&bench, &mark).await;
        bench.stop.cancel();
        let outcome = going.await.expect("an outcome");
        assert!(matches!(outcome, Outcome::Cancelled { .. }), "{level}: {outcome:?}");
        eventually(|| marked(&mark) == 0).await;
    }
}

/// What the test below starts as a worker that is killed: this very test, by its name.
const WORKER: &str = "MAESTRO_TEST_SERVING_WORKER";

#[tokio::test]
async fn nothing_of_a_strict_step_with_a_service_outlives_its_worker_killed() {
    if let Ok(mark) = std::env::var(WORKER) {
        let bench = Bench::new(Level::Bubblewrap).await;
        let never = Service { ready: Ready::Http("/never".into()), ..stubborn(&mark) };
        bench.carry_out(beside(strict("true"), "web", never)).await;
        return;
    }
    let mark = mark(Level::Bubblewrap, "killed");
    let mut worker = Command::new(std::env::current_exe().expect("a path"))
        .args([
            "--exact",
            "services::nothing_of_a_strict_step_with_a_service_outlives_its_worker_killed",
        ])
        .env(WORKER, &mark)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a worker");
    // What holds the network, what asks whether the service answers, and the service.
    let all = || below(worker.id());
    let has = |word: &str| all().iter().any(|id| command_line(*id).contains(word));
    eventually(|| marked(&mark) > 0 && has("__hold") && has("__ready")).await;
    let all = all();
    worker.kill().expect("killed");
    worker.wait().expect("ended");
    eventually(|| all.iter().all(|id| command_line(*id).is_empty())).await;
}

fn command_line(id: u32) -> String {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).into_owned()
}

/// All processes that one has started, and those have.
fn below(id: u32) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
    let lists = threads.filter_map(|it| std::fs::read_to_string(it.path().join("children")).ok());
    let own: Vec<u32> = lists
        .flat_map(|list| {
            list.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        })
        .collect();
    own.iter().copied().chain(own.iter().flat_map(|id| below(*id))).collect()
}

#[tokio::test]
async fn a_step_fails_at_once_where_its_service_ends_before_it() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let broken = "echo listening; python3 -c \"
import os, socket
s = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))
s.accept()
s.accept()\"; echo out of paper; exit 3";
    let connect = "python3 -c \"import os, socket; socket.create_connection(('127.0.0.1', int(os.environ['WEB_PORT'])))\"; sleep 600";
    let outcome = bench.carry_out(beside(strict(connect), "web", service(broken))).await;
    let failure = failure(outcome);
    assert_eq!(failure.class, FailureClass::Permanent, "{failure:?}");
    let begins = "MAE-7125: the service web ended before its step: exit code 3";
    assert!(failure.message.starts_with(begins), "{failure:?}");
    assert!(failure.message.contains("out of paper"), "{failure:?}");
}

#[tokio::test]
async fn a_step_that_ends_well_fails_where_its_service_had_ended_before() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let brief = Service {
            ready: Ready::Command(lines("test -e left")),
            ports: Vec::new(),
            ..service("touch left; exit 0")
        };
        let failure = failure(bench.carry_out(beside(shell("true"), "brief", brief)).await);
        let begins = "MAE-7125: the service brief ended before its step: exit code 0";
        assert!(failure.message.starts_with(begins), "{level}: {failure:?}");
    }
}

#[tokio::test]
async fn a_service_whose_port_another_has_is_tried_again_elsewhere() {
    let bench = Bench::new(Level::Plain).await;
    let robbed = Service {
        ready: Ready::Command(lines("false")),
        ..service("echo $PORT > port; until test -e stolen; do sleep 0.02; done; exit 98")
    };
    let going = bench.begin(beside(shell("true"), "web", robbed));
    let scratch = bench.path("scratch");
    eventually(|| file(&scratch, "workspace/port").is_some_and(|text| text.ends_with('\n'))).await;
    let port = file(&scratch, "workspace/port").and_then(|text| text.trim().parse::<u16>().ok());
    let _thief = TcpListener::bind(("127.0.0.1", port.expect("a number"))).expect("a listener");
    std::fs::write(only(&scratch).join("workspace/stolen"), "").expect("written");
    let failure = failure(going.await.expect("an outcome"));
    assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
    assert!(failure.message.contains("exit code 98; another process has its port"), "{failure:?}");
}

#[tokio::test]
async fn a_step_whose_service_is_not_ready_in_time_is_not_begun() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let late = Service { ready_ms: 400, ..service("sleep 600") };
    let never = Service {
        ready: Ready::Command(lines("echo still asleep; exit 1")),
        ready_ms: 5_000,
        ..service("sleep 600")
    };
    for (service, said) in [(late, ""), (never, "still asleep")] {
        let within = Duration::from_millis(service.ready_ms).as_secs_f64();
        let outcome = bench.carry_out(beside(strict("echo begun"), "web", service)).await;
        let log = bench.log().await;
        let failure = failure(outcome);
        assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
        let begins = format!("MAE-7126: the service web was not ready within {within} s");
        assert!(failure.message.starts_with(&begins), "{failure:?}");
        assert!(failure.message.contains(said), "{failure:?}");
        assert!(!log.contains("begun"), "{log}");
    }
}

#[tokio::test]
async fn a_command_tells_when_a_service_without_ports_is_ready() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let writer = Service {
            ports: Vec::new(),
            ready: Ready::Command(lines("test -e made-$WHAT")),
            env: BTreeMap::from([("WHAT".to_owned(), "tea".to_owned())]),
            ..service("sleep 0.3; touch made-$WHAT; exec sleep 600")
        };
        let said = bench.says(beside(shell("ls made-tea"), "kitchen", writer)).await;
        assert!(said.contains("\nmade-tea\n"), "{level}: {said}");
    }
}

#[tokio::test]
async fn a_service_of_a_step_without_a_network_takes_a_network_of_their_own() {
    let bench = Bench::new(Level::Landlock).await;
    let failure = failure(bench.carry_out(beside(offline(GET), "web", web())).await);
    assert_eq!(failure.class, FailureClass::Transient, "{failure:?}");
    assert!(failure.message.starts_with("MAE-7001: "), "{failure:?}");
    assert!(failure.message.contains("services, which takes bubblewrap"), "{failure:?}");
    let bench = Bench::new(Level::Bubblewrap).await;
    let said = bench.says(beside(offline(GET), "web", web())).await;
    assert!(said.contains("good morning"), "{said}");
}

#[tokio::test]
async fn a_step_with_a_list_of_hosts_reaches_its_service_without_the_proxy() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let through = "python3 -c \"
import os, urllib.request
print(urllib.request.urlopen('http://127.0.0.1:' + os.environ['WEB_PORT'] + '/hello').read().decode())\"";
    let network = Some(Network::Hosts(vec!["example.org".into()]));
    let task = Task { network, isolation: Some(Isolation::Strict), ..shell(through) };
    let said = bench.says(beside(task, "web", web())).await;
    assert!(said.contains("good morning"), "{said}");
}

#[tokio::test]
async fn what_a_step_was_kept_in_names_its_services() {
    let bench = Bench::new(Level::Plain).await;
    let outcome = bench.carry_out(beside(shell("true"), "web", web())).await;
    assert_eq!(bench.applied(&outcome).await.services, ["web"]);
}

#[tokio::test]
async fn a_service_fills_no_more_of_the_disk_than_its_step_may() {
    let limits = Limits { disk_mib: Some(16), ..Limits::default() };
    let bench = Bench::limited(Level::Bubblewrap, limits).await;
    let greedy = Service {
        ready: Ready::Command(lines("false")),
        ..service(
            "i=0; while true; do i=$((i + 1)); head -c 1048576 /dev/zero > \"$TMPDIR/$i\"; done",
        )
    };
    let failure = failure(bench.carry_out(beside(shell("true"), "web", greedy)).await);
    assert!(failure.message.starts_with("MAE-7003: a service filled"), "{failure:?}");
}
