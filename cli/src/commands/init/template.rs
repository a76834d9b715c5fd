//! What there is to begin with.

/// A pipeline to begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Template {
    /// Two shell steps that run anywhere.
    #[default]
    Shell,
    /// Build and test a Rust package with cargo.
    Rust,
    /// Install and test a Node package with npm.
    Node,
    /// Compile and test a Python project with its own unittest.
    Python,
    /// A small TypeScript service with its tests, a prompt, and a pipeline that has a model review
    /// it, builds, tests and packages it.
    IntelgraphBuild,
}

/// Files by their path.
type Files = &'static [(&'static str, &'static str)];

macro_rules! example {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../examples/intelgraph-build/", $path)))),*]
    };
}

impl Template {
    /// Its files, the pipeline among them.
    pub const fn files(self) -> Files {
        match self {
            Self::Shell => &[("maestro.yaml", include_str!("shell.yaml"))],
            Self::Rust => &[("maestro.yaml", include_str!("rust.yaml"))],
            Self::Node => &[("maestro.yaml", include_str!("node.yaml"))],
            Self::Python => &[("maestro.yaml", include_str!("python.yaml"))],
            Self::IntelgraphBuild => example![
                "maestro.yaml",
                ".gitignore",
                "package.json",
                "package-lock.json",
                "tsconfig.json",
                "src/graph.ts",
                "src/server.ts",
                "src/main.ts",
                "test/unit.test.ts",
                "test/integration.test.ts",
                "test/e2e.test.ts",
                "test/listening.ts",
                "prompts/code_review.md",
            ],
        }
    }

    /// Whether its pipeline names the commit that is checked out.
    pub const fn needs_commit(self) -> bool {
        matches!(self, Self::IntelgraphBuild)
    }
}
