//! What a step may try, under each level that claims to stop it.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use maestro_build::sandbox::claims::{CLAIMS, Stops, table};
use maestro_schemas::sandbox::Level;

use super::bench::{Bench, LEVELS, eventually, has_file, marked, offline, shell};

/// Whether a level claims to stop what `words` name.
fn claims(words: &str, level: Level) -> Stops {
    let found: Vec<_> = CLAIMS.iter().filter(|claim| claim.attempt.contains(words)).collect();
    assert_eq!(found.len(), 1, "{words}");
    found[0].at(level)
}

/// Runs a script that says `escaped` where it got out, and holds the level to its claim.
async fn hold(level: Level, words: &str, script: &str) {
    let bench = Bench::new(level).await;
    hold_in(&bench, level, words, script).await;
}

async fn hold_in(bench: &Bench, level: Level, words: &str, script: &str) {
    let claim = claims(words, level);
    let task = match claim {
        Stops::WithoutNetwork => offline(script),
        _ => shell(script),
    };
    let said = bench.says(task).await;
    let escaped = said.contains("escaped");
    let claimed = matches!(claim, Stops::Yes | Stops::WithoutNetwork);
    assert_eq!(escaped, !claimed, "{level}: {words}: {said}");
}

#[tokio::test]
async fn files_of_the_host_are_read_only_where_nothing_is_claimed() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let secret = bench.path("secret");
        std::fs::write(&secret, "escaped").expect("a file");
        let script = format!("cat {} 2>&1 || true", secret.display());
        hold_in(&bench, level, "read a file", &script).await;
    }
}

#[tokio::test]
async fn what_only_root_reads_of_the_system_is_not_there_even_for_a_worker_that_is_root() {
    for level in [Level::Bubblewrap, Level::Landlock] {
        let bench = Bench::new(level).await;
        let script = "for f in /etc/shadow /etc/ssl/private /etc/sudoers /var/log; do \
                      [ -z \"$(find $f -type f -exec head -c 1 {} + 2>/dev/null)\" ] \
                      || echo escaped $f; done";
        assert_eq!(bench.says(shell(script)).await, "", "{level}");
    }
}

#[tokio::test]
async fn nothing_is_written_outside_where_that_is_claimed() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let place = bench.path("outside");
        std::fs::create_dir(&place).expect("a directory");
        let victim = place.join("victim");
        std::fs::write(&victim, "whole").expect("a file");
        let script = format!(
            "(echo x > {place}/new; : > {place}/victim; rm {place}/victim; mkdir {place}/d) \
             2>/dev/null || true; for d in / /usr /etc; do \
             touch $d/maestro-was-here 2>/dev/null && rm $d/maestro-was-here && echo escaped; done; true",
            place = place.display()
        );
        hold_in(&bench, level, "write or make", &script).await;
        let is_whole = std::fs::read_to_string(&victim).is_ok_and(|text| text == "whole");
        let is_closed = !place.join("new").exists() && !place.join("d").exists() && is_whole;
        assert_eq!(is_closed, level != Level::Plain, "{level}");
    }
}

#[tokio::test]
async fn what_a_step_needs_is_there_at_every_level() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let script = "echo a > in-workspace; echo b > $HOME/f; echo c > $TMPDIR/f; \
                      cat in-workspace $HOME/f $TMPDIR/f; echo n=1 >> $MAESTRO_OUTPUT; \
                      id -u > /dev/null; cat /etc/hosts > /dev/null; \
                      echo x > /dev/null; head -c 4 /dev/urandom > f; cat /proc/self/status > g; \
                      sh -c 'sleep 0 & wait'; python3 -c 'print(40 + 2)'; git --version > /dev/null";
        let said = bench.says(shell(script)).await;
        assert_eq!(said, "a\nb\nc\n42\n", "{level}");
    }
}

#[tokio::test]
async fn other_processes_are_seen_only_where_nothing_is_claimed() {
    let id = std::process::id();
    for level in LEVELS {
        let script = format!(
            "tr '\\0' ' ' < /proc/{id}/cmdline 2>/dev/null | grep -q sandbox- && echo escaped; true"
        );
        hold(level, "see other processes", &script).await;
    }
}

/// A process beside the step, which ends with the test.
struct Sibling(std::process::Child);

impl Sibling {
    fn start() -> Self {
        Self(std::process::Command::new("sleep").arg("600").spawn().expect("a process"))
    }
}

impl Drop for Sibling {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Attaches to a process by ptrace, and reads its variables.
const TRACE: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
target = int(sys.argv[1])
ATTACH, DETACH = 16, 17
if libc.ptrace(ATTACH, target, 0, 0) == 0:
    os.waitpid(target, 0x40000000)
    libc.ptrace(DETACH, target, 0, 0)
    print('escaped by ptrace')
try:
    open(f'/proc/{target}/environ').read()
    print('escaped by environ')
except OSError:
    pass
";

#[tokio::test]
async fn processes_of_the_host_are_traced_only_where_nothing_is_claimed() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let sibling = Sibling::start();
        let id = sibling.0.id();
        let script = format!("cat > trace.py <<'END'\n{TRACE}\nEND\npython3 trace.py {id}");
        hold_in(&bench, level, "trace a process", &script).await;
    }
}

/// Tries each kind of socket that is named.
const SOCKETS: &str = "
import socket, sys
kind, target = sys.argv[1:3]
try:
    if kind == 'tcp':
        socket.create_connection(('127.0.0.1', int(target)), timeout=5)
    elif kind == 'udp':
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(5)
        s.sendto(b'out', ('127.0.0.1', int(target)))
        assert s.recv(2) == b'in'
    else:
        s = socket.socket(socket.AF_UNIX)
        s.connect('\\0' + target if kind == 'abstract' else target)
    print('escaped')
except OSError as error:
    print(kind, error)
";

fn try_socket(kind: &str, target: &str) -> String {
    format!("cat > s.py <<'END'\n{SOCKETS}\nEND\npython3 s.py {kind} {target}")
}

#[tokio::test]
async fn tcp_and_udp_lead_out_only_where_nothing_is_claimed() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let port = |address: std::io::Result<std::net::SocketAddr>| {
        address.expect("an address").port().to_string()
    };
    let (tcp_port, udp_port) = (port(tcp.local_addr()), port(udp.local_addr()));
    std::thread::spawn(move || {
        let mut buffer = [0; 8];
        while let Ok((_, from)) = udp.recv_from(&mut buffer) {
            let _ = udp.send_to(b"in", from);
        }
    });
    for level in LEVELS {
        hold(level, "connect by TCP", &try_socket("tcp", &tcp_port)).await;
        hold(level, "connect by TCP", &try_socket("udp", &udp_port)).await;
    }
}

#[tokio::test]
async fn unix_sockets_of_the_host_are_reached_only_where_nothing_is_claimed() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let name = format!("maestro-test-{}-{level}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).expect("an address");
        let _abstract = UnixListener::bind_addr(&address).expect("a listener");
        hold_in(&bench, level, "abstract unix socket", &try_socket("abstract", &name)).await;
        let path = bench.path("socket");
        let _named = UnixListener::bind(&path).expect("a listener");
        let path = path.display().to_string();
        hold_in(&bench, level, "by its path", &try_socket("path", &path)).await;
    }
}

#[tokio::test]
async fn namespaces_and_mounts_are_not_made_where_that_is_claimed() {
    let script = "unshare --user --map-root-user true 2>&1 && echo escaped; \
                  unshare --mount true 2>&1 && echo escaped; true";
    for level in LEVELS {
        hold(level, "make namespaces", script).await;
    }
}

#[tokio::test]
async fn modes_of_the_hosts_files_are_changed_only_where_nothing_is_claimed() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let victim = bench.path("victim");
        std::fs::write(&victim, "x").expect("a file");
        let script = format!("chmod 600 {} 2>/dev/null && echo escaped; true", victim.display());
        hold_in(&bench, level, "change modes", &script).await;
    }
}

/// Makes files that others would run as this step, by each call that may.
const SET_IDS: &str = "
import os
os.umask(0)
def tried(what):
    try: what()
    except OSError: pass
for mode in (0o4755, 0o2755, 0o6755):
    name = f'm{mode:o}'
    open(name, 'w').close()
    tried(lambda: os.chmod(name, mode))
    fd = os.open(name, os.O_RDONLY)
    tried(lambda: os.fchmod(fd, mode))
    tried(lambda: os.chmod(name, mode, dir_fd=os.open('.', os.O_RDONLY)))
    tried(lambda: os.close(os.open('o' + name, os.O_CREAT | os.O_WRONLY, mode)))
    tried(lambda: os.mknod('n' + name, 0o100000 | mode))
for name in os.listdir('.'):
    if os.stat(name).st_mode & 0o6000: print('escaped', name)
os.chmod('m4755', 0o755)
os.mkdir('d', 0o755)
";

#[tokio::test]
async fn no_file_is_left_that_runs_as_the_worker_where_that_is_claimed() {
    for level in LEVELS {
        let script = format!("cat > s.py <<'END'\n{SET_IDS}\nEND\npython3 s.py");
        hold(level, "leave programs", &script).await;
    }
}

#[tokio::test]
async fn the_first_process_of_a_sandbox_is_out_of_its_steps_reach() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let script = "python3 - <<'END'
import os
for name in ('mem', 'exe', 'environ', 'maps', 'root', 'cwd', 'fd/0', 'fd/1', 'fd/2', 'fd/3'):
    try:
        os.close(os.open('/proc/1/' + name, os.O_RDWR if name == 'mem' else os.O_RDONLY))
        print('escaped by', name)
    except OSError: pass
try: os.chmod('/proc/1/exe', 0o755); print('escaped by chmod')
except OSError: pass
END
false || true; (exit 7) || echo code $?; sh -c 'kill -9 $$' || echo signal $?";
    let said = bench.says(shell(script)).await;
    assert!(!said.contains("escaped"), "{said}");
    assert!(said.contains("code 7\n") && said.contains("signal 137\n"), "{said}");
}

#[tokio::test]
async fn limits_and_shared_memory_of_the_host_are_reached_only_where_nothing_is_claimed() {
    let made = std::process::Command::new("ipcmk").args(["-M", "16", "-p", "0600"]).output();
    let made = String::from_utf8(made.expect("ipcmk").stdout).expect("text");
    let memory = made.trim().rsplit(' ').next().expect("a number").to_owned();
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let sibling = Sibling::start();
        let limits = format!(
            "python3 -c \"import resource as r; r.prlimit({}, r.RLIMIT_CORE); print('escaped')\" \
             2>/dev/null || true",
            sibling.0.id()
        );
        hold_in(&bench, level, "change limits", &limits).await;
        let attach = format!(
            "python3 -c \"import ctypes; l = ctypes.CDLL(None); l.shmat.restype = ctypes.c_long; \
             l.shmat({memory}, None, 0) == -1 or print('escaped')\""
        );
        hold_in(&bench, level, "reach shared memory", &attach).await;
    }
    let removed = std::process::Command::new("ipcrm").args(["-m", &memory]).status();
    assert!(removed.expect("ipcrm").success());
}

/// Opens, and writes nothing: what it would change is the whole machine's.
const SETTINGS: &str = "
import os
for top, below, names in os.walk('/proc'):
    if top == '/proc':
        below[:] = [name for name in below if not name.isdigit() and name not in ('self', 'thread-self', 'pressure')]
    for name in names:
        path = os.path.join(top, name)
        try:
            if not os.path.islink(path):
                os.close(os.open(path, os.O_WRONLY))
                print('escaped', path)
        except OSError:
            pass
";

#[tokio::test]
async fn settings_of_the_kernel_are_not_opened_to_be_written_even_by_a_worker_that_is_root() {
    for level in [Level::Bubblewrap, Level::Landlock] {
        let script = format!("cat > s.py <<'END'\n{SETTINGS}\nEND\npython3 s.py");
        hold(level, "change settings", &script).await;
    }
    // Who is not root may not do so at any level.
    if nix::unistd::geteuid().is_root() {
        let script = "python3 -c \"import os; os.close(os.open('/proc/sys/kernel/core_pattern', \
                      os.O_WRONLY)); print('escaped')\" 2>/dev/null; true";
        hold(Level::Plain, "change settings", script).await;
    }
}

#[tokio::test]
async fn memory_and_keys_of_the_host_are_not_told_where_there_is_a_proc_of_its_own() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let script = "for f in kcore keys kpagecount kpageflags kpagecgroup vmallocinfo slabinfo; do \
                  head -c 1 /proc/$f 2>/dev/null | grep -q . && echo escaped $f; done; true";
    assert_eq!(bench.says(shell(script)).await, "");
}

/// Writes down which program it was loaded into.
const LIBRARY: &str = r#"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
    char name[64] = "";
    int own = open("/proc/self/comm", O_RDONLY), out = open(PLACE, O_WRONLY | O_APPEND | O_CREAT, 0600);
    long length = read(own, name, sizeof name);
    if (length > 0 && write(out, name, length) < 0) _exit(1);
}
"#;

#[tokio::test]
async fn variables_of_a_step_load_nothing_into_what_runs_before_it() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let (source, library) = (bench.path("loaded.c"), bench.path("loaded.so"));
        let place = bench.path("place");
        std::fs::write(&source, LIBRARY).expect("a file");
        let made = std::process::Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .arg(&library)
            .arg(format!("-DPLACE=\"{}\"", place.display()))
            .arg(&source)
            .status();
        assert!(made.expect("a compiler").success(), "cc makes a library");
        let mut task = shell("true");
        task.env.insert("LD_PRELOAD".into(), library.display().to_string());
        bench.says(task).await;
        let loaded = std::fs::read_to_string(&place).unwrap_or_default();
        let outside = ["maestro-confine", "bwrap"];
        assert!(!loaded.lines().any(|name| outside.contains(&name)), "{level}: {loaded}");
        assert_eq!(loaded.is_empty(), level != Level::Plain, "{level}: {loaded}");
    }
}

#[tokio::test]
async fn no_variable_of_a_step_stands_in_a_command_line() {
    let bench = Bench::new(Level::Bubblewrap).await;
    let mark = format!("hunter2-{}", std::process::id());
    let mut task = shell("touch begun; until test -e go; do sleep 0.02; done");
    task.env.insert("SECRET".into(), mark.clone());
    let running = bench.begin(task);
    let scratch = bench.path("scratch");
    eventually(|| has_file(&scratch, "workspace/begun")).await;
    assert_eq!(marked(&mark), 0, "another user of this machine would see it");
    bench.stop.cancel();
    running.await.expect("an outcome");
}

#[test]
fn the_table_of_claims_is_the_one_of_the_documents() {
    let document = include_str!("../../../../docs/sandbox.md");
    assert!(document.contains(&table()), "docs/sandbox.md must hold this:\n{}", table());
}
