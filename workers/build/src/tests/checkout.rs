use std::path::Path;
use std::process::Command;

use super::*;

/// Runs git for the test's own repository and returns what it says.
fn git(directory: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
        .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
        .args(args)
        .current_dir(directory)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .expect("git is needed for this test");
    assert!(output.status.success(), "git {args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

/// A bench whose worker reads repositories below it.
fn allowing() -> Bench {
    let mut bench = Bench::new();
    let settings = Settings::from_variables(std::env::vars());
    let roots = vec![bench.directory.path().to_owned()];
    bench.pool = BuildPool::new(settings.with_checkout_roots(roots));
    bench
}

/// A bare repository with two commits on `main`; the commits, the older first.
fn repository(bench: &Bench) -> (String, [String; 2]) {
    let work = bench.path("work");
    std::fs::create_dir(&work).expect("a folder");
    git(&work, &["init", "--quiet"]);
    let commit = |text: &str| {
        std::fs::write(work.join("file"), text).expect("a file");
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", text]);
        git(&work, &["rev-parse", "HEAD"])
    };
    let commits = [commit("older"), commit("newer")];
    let bare = bench.path("bare.git");
    let bare_text = bare.to_str().expect("text").to_owned();
    git(&work, &["clone", "--quiet", "--bare", ".", &bare_text]);
    (format!("file://{bare_text}"), commits)
}

fn checkout(url: &str, commit: &str, script: &str) -> Task {
    let mut step = shell(script);
    step.workspace = Workspace::Git { url: url.into(), commit: commit.into() };
    step
}

#[tokio::test]
async fn the_commit_that_was_named_is_checked_out() {
    let bench = allowing();
    let (url, commits) = repository(&bench);
    for commit in &commits {
        success(bench.carry_out(checkout(&url, commit, "cat file; git rev-parse HEAD")).await);
    }
    let [older, newer] = commits;
    assert_eq!(bench.log().await, format!("older{older}\nnewer{newer}\n"));
}

#[tokio::test]
async fn a_path_is_checked_out_only_below_what_the_workers_operator_allows() {
    let mut bench = Bench::new();
    let (url, [commit, _]) = repository(&bench);
    let settings = Settings::from_variables(std::env::vars());
    let other = bench.path("other");
    std::fs::create_dir(&other).expect("a folder");
    std::os::unix::fs::symlink(bench.path("bare.git"), other.join("link.git")).expect("a link");
    let link = format!("file://{}", other.join("link.git").display());
    for roots in [Vec::new(), vec![other]] {
        bench.pool = BuildPool::new(settings.clone().with_checkout_roots(roots));
        for url in [&url, &link] {
            let failure = permanent(bench.carry_out(checkout(url, &commit, "cat file")).await);
            for part in ["MAE-7006", url, "--checkout-root", "MAESTRO_CHECKOUT_ROOTS"] {
                assert!(failure.message.contains(part), "{part}: {}", failure.message);
            }
        }
    }
    assert_eq!(bench.log().await, "", "nothing of it was read");
}

#[tokio::test]
async fn a_commit_that_is_not_there_is_a_permanent_failure() {
    let bench = allowing();
    let (url, _) = repository(&bench);
    let absent = "0123456789abcdef0123456789abcdef01234567";
    let failure = permanent(bench.carry_out(checkout(&url, absent, "true")).await);
    assert!(failure.message.contains(absent), "{}", failure.message);
    let gone = format!("file://{}", bench.path("gone.git").display());
    permanent(bench.carry_out(checkout(&gone, absent, "true")).await);
}

#[tokio::test]
async fn an_address_that_runs_programs_is_refused() {
    let bench = Bench::new();
    let touched = bench.path("touched");
    let commit = "0123456789abcdef0123456789abcdef01234567";
    for url in [
        format!("ext::sh -c touch% {}", touched.display()),
        format!("--upload-pack=touch {}", touched.display()),
        "git://127.0.0.1/x".to_owned(),
        "http://127.0.0.1/x".to_owned(),
        "/etc".to_owned(),
    ] {
        let failure = permanent(bench.carry_out(checkout(&url, commit, "true")).await);
        assert!(failure.message.contains("https://"), "{}", failure.message);
    }
    assert!(!touched.exists());
}

#[tokio::test]
async fn a_name_that_is_no_commit_is_refused() {
    let bench = allowing();
    let (url, commits) = repository(&bench);
    for commit in ["main", "HEAD", "", "--all", &commits[0][..12]] {
        permanent(bench.carry_out(checkout(&url, commit, "true")).await);
    }
}

#[tokio::test]
async fn hooks_and_submodules_of_a_repository_do_nothing() {
    let bench = allowing();
    let (url, _) = repository(&bench);
    let work = bench.path("work");
    git(&work, &["submodule", "--quiet", "add", &url, "sub"]);
    git(&work, &["commit", "--quiet", "-m", "with a submodule"]);
    let commit = git(&work, &["rev-parse", "HEAD"]);
    git(&work, &["push", "--quiet", &bench.path("bare.git").to_string_lossy(), "HEAD:main"]);
    success(bench.carry_out(checkout(&url, &commit, "ls sub | wc -l")).await);
    assert_eq!(bench.log().await.trim(), "0");
}

#[tokio::test]
async fn a_password_in_the_address_is_not_told() {
    let bench = Bench::new();
    let commit = "0123456789abcdef0123456789abcdef01234567";
    // Nobody listens there.
    let url = "https://someone:s3cr3t@127.0.0.1:1/repository.git";
    let failure = failure(bench.carry_out(checkout(url, commit, "true")).await);
    assert_eq!(failure.class, FailureClass::Transient, "{}", failure.message);
    assert!(!failure.message.contains("s3cr3t"), "{}", failure.message);
    assert!(!bench.log().await.contains("s3cr3t"));
}
