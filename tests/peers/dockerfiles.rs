//! What the commands of a Dockerfile get to see of the worker's host, with buildah in the worker's sandbox
//! as a worker has it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use maestro_build::sandbox::host::Search;
use maestro_build::{BuildPool, Host, Settings};
use maestro_schemas::outcome::FailureClass;
use maestro_schemas::plan::Workspace;
use maestro_schemas::sandbox::{Isolation, Level, Limits};
use maestro_schemas::task::{Task, TaskInput};
use maestro_tests::harness::maestro;
use serde_json::json;

use crate::images::{Bench, Ended, programs};
use crate::registries::{AUTH, Debians};

const SECRET: &str = "what-only-the-worker-reads";

/// Leaves its root as whoever may call chroot does, and reads a file.
const LEAVES: &str = "mkdir '/x'; chroot '/x' or print 'held'; chdir '..' for 1..64; chroot '.'; \
                      open F, '<', $ARGV[0] or exit 0; print <F>";

/// A pool in the best sandbox of this machine, which is bubblewrap.
async fn bench(registry: Option<(&str, &str)>) -> Bench {
    limited(registry, Limits::default()).await
}

async fn limited(registry: Option<(&str, &str)>, limits: Limits) -> Bench {
    let plain = Settings::from_variables(std::env::vars());
    let bubblewrap = maestro_cli::local::tools::bubblewrap(&root());
    let helper = maestro().into();
    let search =
        Search { helper, bubblewrap, most: None, readable: vec![root().join(".tools/peers")] };
    let host = Host::probe(search, &plain).await.expect("a host").with_limits(limits);
    assert_eq!(host.level(), Level::Bubblewrap, "scripts/get-tools.sh gets bubblewrap");
    Bench::with(registry, |directory, settings| {
        let settings = settings.with_checkout_roots(vec![directory.to_owned()]);
        BuildPool::new(settings).within(host)
    })
}

fn root() -> std::path::PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::canonicalize(tests.parent().expect("the checkout")).expect("a path")
}

/// Builds a Dockerfile upon a shell and perl.
async fn built(bench: &Bench, dockerfile: &str) -> Ended {
    carried_out(bench, dockerfile, |step| step).await
}

async fn carried_out(bench: &Bench, dockerfile: &str, change: impl FnOnce(Task) -> Task) -> Ended {
    let base = programs(bench, &["/bin/sh", "/usr/bin/perl"]).await;
    bench.file("Dockerfile", dockerfile);
    let step = bench.step(json!({"base": "base", "dockerfile": "Dockerfile"})).await;
    let inputs = vec![TaskInput { artifact: base, path: "base".into() }];
    bench.carry_out(change(Task { inputs, ..step })).await
}

fn secret(bench: &Bench) -> String {
    let path = bench.path("secret");
    fs::write(&path, SECRET).expect("written");
    fs::canonicalize(path).expect("a path").display().to_string()
}

#[tokio::test]
async fn a_command_of_a_dockerfile_does_not_leave_its_root_in_or_out_of_the_workers_sandbox() {
    let bench = bench(None).await;
    let secret = secret(&bench);
    let dockerfile =
        format!("FROM scratch\nRUN /usr/bin/perl -e \"{LEAVES}\" {secret}\n").replace('$', "\\$");
    for isolation in [None, Some(Isolation::Plain)] {
        let step = |step| Task { isolation, ..step };
        let ended = carried_out(&bench, &dockerfile, step).await;
        ended.success();
        assert!(ended.log.contains("held") && !ended.log.contains(SECRET), "{}", ended.log);
        let level = if isolation.is_none() { "bubblewrap" } else { "plain" };
        assert!(ended.log.contains(&format!("sandbox: {level}; ")), "{}", ended.log);
    }
}

#[tokio::test]
async fn a_link_of_a_checkout_mounts_no_file_of_the_host_into_a_dockerfiles_command() {
    let bench = bench(None).await;
    let secret = secret(&bench);
    let repository = bench.path("repository");
    fs::create_dir(&repository).expect("made");
    symlink("/", repository.join("link")).expect("linked");
    let mount = format!("--mount=type=bind,source=link{},target=/seen", bench.path("").display());
    let text = format!("FROM scratch\nRUN {mount} while read l; do echo $l; done < /seen/secret\n");
    fs::write(repository.join("Dockerfile"), &text).expect("written");
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(words);
        let done = git.current_dir(&repository).output().expect("git is needed");
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).expect("text").trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "x"]);
    let (url, commit) = (format!("file://{}", repository.display()), git(&["rev-parse", "HEAD"]));
    let checkout = |step| Task { workspace: Workspace::Git { url, commit }, ..step };
    let ended = carried_out(&bench, &text, checkout).await;
    assert_eq!(ended.failure().class, FailureClass::Permanent, "{}", ended.log);
    assert!(
        ended.log.contains("STEP 2/2") && !ended.log.contains(SECRET),
        "{secret}: {}",
        ended.log
    );
}

#[tokio::test]
async fn a_dockerfile_that_is_preprocessed_includes_no_file_of_the_host() {
    let bench = bench(None).await;
    let secret = secret(&bench);
    bench.file("Dockerfile.in", format!("FROM scratch\nCOPY a /\n#include \"{secret}\"\n"));
    bench.file("a", "1");
    let ended = bench.build(json!({"dockerfile": "Dockerfile.in"})).await;
    assert!(ended.log.contains("STEP 1/"), "{}", ended.log);
    assert!(!ended.log.to_lowercase().contains(SECRET), "{}", ended.log);
}

#[tokio::test]
async fn nothing_that_a_dockerfiles_command_starts_outlives_the_build() {
    let bench = bench(None).await;
    let mark = format!("outlives{}", std::process::id());
    let starts = "exit if fork; setpgrp 0, 0; close STDOUT; close STDERR; sleep 600";
    let dockerfile = format!("FROM scratch\nRUN /usr/bin/perl -e \"{starts}\" {mark}\n");
    for isolation in [None, Some(Isolation::Plain)] {
        let ended = carried_out(&bench, &dockerfile, |step| Task { isolation, ..step }).await;
        ended.success();
        let processes = fs::read_dir("/proc").expect("processes").flatten();
        let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
        let left = lines.filter(|line| String::from_utf8_lossy(line).contains(&mark)).count();
        assert_eq!(left, 0, "{isolation:?}");
    }
}

#[tokio::test]
async fn a_dockerfile_that_fills_the_disk_is_stopped() {
    let limits = Limits { disk_mib: Some(100), ..Limits::default() };
    let fills =
        "for $n (1..30) { open F, '>', '/fill'.$n; print F 'x' x (10<<20); close F } sleep 600";
    for isolation in [None, Some(Isolation::Plain)] {
        let bench = limited(None, limits).await;
        let dockerfile = format!("FROM scratch\nRUN /usr/bin/perl -e \"{fills}\"\n");
        let dockerfile = dockerfile.replace('$', "\\$");
        let ended = carried_out(&bench, &dockerfile, |step| Task { isolation, ..step }).await;
        let failure = ended.failure();
        assert!(failure.message.contains("MAE-7003"), "{}\n{}", failure.message, ended.log);
    }
}

#[tokio::test]
async fn a_dockerfiles_command_sets_nothing_of_the_kernels_and_has_few_capabilities() {
    let bench = bench(None).await;
    let dockerfile = "FROM scratch\nRUN ( : > /proc/sys/kernel/domainname ) || echo sets none\n\
                      RUN while read n v; do echo has $n $v; done < /proc/self/status\n";
    let ended = built(&bench, dockerfile).await;
    ended.success();
    assert!(ended.log.contains("sets none"), "{}", ended.log);
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        let line = ended.log.lines().find_map(|line| line.strip_prefix(&format!("has {set} ")));
        let bits = u64::from_str_radix(line.expect("a line").trim(), 16).expect("a number");
        for (name, bit) in [
            ("NET_RAW", 13),
            ("SYS_CHROOT", 18),
            ("SYS_PTRACE", 19),
            ("SYS_ADMIN", 21),
            ("MKNOD", 27),
        ] {
            assert_eq!(bits >> bit & 1, 0, "{set} {name}: {bits:x}");
        }
    }
}

#[tokio::test]
async fn an_image_is_fetched_with_the_workers_credentials_and_no_command_finds_them() {
    let registry = Debians::start(true).await;
    let bench = bench(Some((&registry.address, AUTH))).await;
    let base = programs(&bench, &["/bin/sh"]).await;
    let with =
        json!({"registry": registry.address, "image": "team/base", "base": "base", "files": {}});
    let step = bench.step(with).await;
    let inputs = vec![TaskInput { artifact: base, path: "base".into() }];
    bench.carry_out(Task { inputs, ..step }).await.success();
    let file = fs::canonicalize(bench.path("config.json")).expect("a file").display().to_string();
    let text = format!(
        "ARG REGISTRY\nFROM $REGISTRY/team/base\nRUN test ! -e {file} && echo has-none\n\
         RUN for f in /proc/[0-9]*/root{file}; do while read l; do echo $l; done < $f; done || true\n"
    );
    bench.file("Dockerfile", text);
    let ended = bench.build(json!({"build_args": {"REGISTRY": registry.address}})).await;
    ended.success();
    assert!(ended.log.contains("has-none"), "{}", ended.log);
    assert!(!ended.log.contains(AUTH), "{}", ended.log);
    let nobody = self::bench(None).await;
    nobody.file("Dockerfile", format!("FROM {}/team/base\n", registry.address));
    nobody.build(json!({})).await.failure();
}
