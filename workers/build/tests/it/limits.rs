//! Limits hold: memory, processes, processor time, disk.

use maestro_build::sandbox::claims::{CLAIMS, Stops};
use maestro_schemas::outcome::FailureClass;
use maestro_schemas::plan::Resources;
use maestro_schemas::sandbox::{Level, Limits, LimitsBy};
use maestro_schemas::task::Task;

use super::bench::{Bench, LEVELS, failure, shell};

/// Forks until it cannot, and says how many processes there were.
const BOMB: &str = "
import os, time
count = 0
try:
    for _ in range(400):
        if os.fork() == 0:
            time.sleep(30)
            os._exit(0)
        count += 1
except OSError:
    pass
print('forked', count)
";

#[tokio::test]
async fn processes_without_end_are_stopped() {
    let claim = CLAIMS.iter().find(|claim| claim.attempt.contains("start processes"));
    for level in LEVELS {
        assert_eq!(claim.expect("a claim").at(level), Stops::ByCgroup);
        let limits = Limits { processes: Some(60), ..Limits::default() };
        let bench = Bench::limited(level, limits).await;
        let task = shell(&format!("cat > bomb.py <<'END'\n{BOMB}\nEND\npython3 bomb.py"));
        let applied = bench.applied(&bench.script("true").await).await;
        assert_eq!(applied.limits.processes, Some(60));
        if applied.limits_by == LimitsBy::Rlimit {
            continue;
        }
        let said = bench.says(task).await;
        let count: u32 = said
            .trim()
            .strip_prefix("forked ")
            .and_then(|count| count.parse().ok())
            .unwrap_or_else(|| panic!("{level}: {said}"));
        assert!((20..60).contains(&count), "{level}: {count}");
    }
}

#[tokio::test]
async fn a_step_that_takes_more_memory_than_it_said_is_killed_and_told_why() {
    for level in LEVELS {
        let bench = Bench::new(level).await;
        let resources = Resources { memory_mib: 64, ..Resources::default() };
        let script = "python3 -c 'x = bytearray(300 << 20); print(len(x))'";
        let task = Task { resources, ..shell(script) };
        let outcome = bench.carry_out(task).await;
        let applied = bench.applied(&outcome).await;
        assert_eq!(applied.limits.memory_mib, Some(64), "{level}");
        let failure = failure(outcome);
        assert_eq!(failure.class, FailureClass::Permanent);
        if applied.limits_by != LimitsBy::Rlimit {
            assert!(failure.message.starts_with("MAE-7004"), "{level}: {}", failure.message);
            assert!(failure.message.contains("64 MiB"), "{level}: {}", failure.message);
        }
    }
}

#[tokio::test]
async fn processor_time_is_shared_out_as_the_step_said() {
    let bench = Bench::new(Level::Plain).await;
    let resources = Resources { cpu_millis: 250, ..Resources::default() };
    let script = "python3 -c '
import time
end = time.time() + 1.5
while time.time() < end: pass
print(int(time.process_time() * 1000))'";
    let outcome = bench.carry_out(Task { resources, ..shell(script) }).await;
    let applied = bench.applied(&outcome).await;
    assert_eq!(applied.limits.cpu_millis, Some(250));
    if applied.limits_by != LimitsBy::Rlimit {
        let log = bench.log().await;
        let used: u64 = log.lines().last().and_then(|line| line.parse().ok()).expect("a number");
        assert!(used < 900, "{used} ms of 1500 at a quarter of a core");
    }
}

#[tokio::test]
async fn a_step_that_fills_its_directories_is_stopped() {
    for level in LEVELS {
        let limits = Limits { disk_mib: Some(20), ..Limits::default() };
        let bench = Bench::limited(level, limits).await;
        let script = "i=0; while [ $i -lt 3000 ]; do head -c 1000000 /dev/zero > f$i; \
                      i=$((i + 1)); sleep 0.01; done";
        let failure = failure(bench.script(script).await);
        assert_eq!(failure.class, FailureClass::Permanent, "{level}: {failure:?}");
        assert!(failure.message.starts_with("MAE-7003"), "{level}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_step_that_removes_what_it_holds_open_fills_the_disk_no_more_than_another() {
    for level in LEVELS {
        let limits = Limits { disk_mib: Some(20), ..Limits::default() };
        let bench = Bench::limited(level, limits).await;
        let script = "exec python3 -c '
import os, time
held = []
for number in range(300):
    held.append(open(\"f\", \"wb\"))
    os.unlink(\"f\")
    held[-1].write(bytes(1000000))
    held[-1].flush()
    time.sleep(0.01)
time.sleep(60)'";
        let failure = failure(bench.script(script).await);
        assert!(failure.message.starts_with("MAE-7003"), "{level}: {}", failure.message);
    }
}

#[tokio::test]
async fn a_step_that_nests_directories_without_end_fills_the_disk_no_more_than_another() {
    for level in LEVELS {
        let limits = Limits { disk_mib: Some(20), ..Limits::default() };
        let bench = Bench::limited(level, limits).await;
        let script = "exec python3 -c '
import os, time
for level in range(100):
    os.mkdir(\"d\" * 100)
    os.chdir(\"d\" * 100)
for number in range(300):
    with open(str(number), \"wb\") as file: file.write(bytes(1000000))
    time.sleep(0.01)
time.sleep(60)'";
        let failure = failure(bench.script(script).await);
        assert!(failure.message.starts_with("MAE-7003"), "{level}: {}", failure.message);
    }
}

#[tokio::test]
async fn one_file_is_never_larger_than_the_disk_of_the_step() {
    for level in LEVELS {
        let limits = Limits { disk_mib: Some(8), ..Limits::default() };
        let bench = Bench::limited(level, limits).await;
        let script = "head -c 9000000 /dev/zero > large; true";
        let message = failure(bench.script(script).await).message;
        assert!(message.contains("large") || message.contains("XFSZ"), "{level}: {message}");
    }
}
