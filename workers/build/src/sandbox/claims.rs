//! What each level stops. Tests hold every line to what happens, and `docs/sandbox.md` prints it.

use maestro_schemas::sandbox::Level;

/// Something that a step may try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What is tried.
    pub attempt: &'static str,
    /// Whether [`Level::Bubblewrap`] stops it.
    pub bubblewrap: Stops,
    /// Whether [`Level::Landlock`] stops it.
    pub landlock: Stops,
    /// Whether [`Level::Plain`] stops it.
    pub plain: Stops,
}

/// Whether something is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stops {
    /// Always.
    Yes,
    /// Where the step has `network: none`.
    WithoutNetwork,
    /// Where control groups hold the limits; elsewhere limits of each process and user do, which a
    /// worker that is root passes over.
    ByCgroup,
    /// Not at all.
    No,
}

impl Stops {
    /// For a table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yes => "stopped",
            Self::WithoutNetwork => "with `network: none`",
            Self::ByCgroup => "with control groups",
            Self::No => "not stopped",
        }
    }
}

impl Claim {
    /// Whether `level` stops it.
    pub const fn at(&self, level: Level) -> Stops {
        match level {
            Level::Bubblewrap => self.bubblewrap,
            Level::Landlock => self.landlock,
            Level::Plain => self.plain,
        }
    }
}

/// A claim of the three levels, the strongest first.
const fn claim(attempt: &'static str, [bubblewrap, landlock, plain]: [Stops; 3]) -> Claim {
    Claim { attempt, bubblewrap, landlock, plain }
}

use Stops::{ByCgroup, No, WithoutNetwork, Yes};

/// Every claim.
pub const CLAIMS: [Claim; 18] = [
    claim("read a file of the host's or of another step", [Yes, Yes, No]),
    claim("write or make a file outside its own directories", [Yes, Yes, No]),
    claim("change modes, owners or times of the host's files, devices aside", [Yes, No, No]),
    claim("leave programs that run as whoever the worker is", [Yes, Yes, No]),
    claim("see other processes, and their command lines", [Yes, No, No]),
    claim("trace a process of the host's, or read its variables", [Yes, Yes, No]),
    claim("change limits of the host's processes", [Yes, Yes, No]),
    claim("reach shared memory of the host's", [Yes, No, No]),
    claim("connect by TCP, or send by UDP", [WithoutNetwork, WithoutNetwork, No]),
    claim("reach an abstract unix socket of the host's", [WithoutNetwork, WithoutNetwork, No]),
    claim("reach a unix socket of the host's by its path", [Yes, WithoutNetwork, No]),
    claim("change settings of the kernel's by `/proc/sys`", [Yes, Yes, No]),
    claim("have its variables load code into the worker's own programs", [Yes, Yes, Yes]),
    claim("mount, make namespaces, load code into the kernel", [Yes, Yes, No]),
    claim("start processes without end", [ByCgroup, ByCgroup, ByCgroup]),
    claim("take up memory without end", [ByCgroup, ByCgroup, ByCgroup]),
    claim("fill the disk", [Yes, Yes, Yes]),
    claim("outlive its worker, killed by SIGKILL", [Yes, No, No]),
];

/// The claims as rows of a Markdown table.
pub fn table() -> String {
    let mut lines = vec![
        "| what a step may try | bubblewrap | landlock | plain |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(CLAIMS.iter().map(|claim| {
        let [bubblewrap, landlock, plain] =
            [claim.bubblewrap, claim.landlock, claim.plain].map(Stops::as_str);
        format!("| {} | {bubblewrap} | {landlock} | {plain} |", claim.attempt)
    }));
    lines.join("\n")
}
