//! Every environment variable that `maestro` reads, and nothing else reads one by its name.

/// The server's address, as `https://maestro.example.org`. `--server` goes before it.
pub const SERVER: &str = "MAESTRO_SERVER";

/// The API token that goes with [`SERVER`]. There is no flag for it: a flag shows in process lists.
pub const TOKEN: &str = "MAESTRO_TOKEN";

/// The project, `default` where it is not set. `--project` goes before it.
pub const PROJECT: &str = "MAESTRO_PROJECT";

/// The time that an SBOM tells, in seconds since 1970: <https://reproducible-builds.org/specs/source-date-epoch/>.
pub const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Any value but the empty one turns colours off: <https://no-color.org>.
pub const NO_COLOR: &str = "NO_COLOR";

/// The bus' address for a coordinator or worker, as `nats://127.0.0.1:4222`.
pub const NATS_URL: &str = "MAESTRO_NATS_URL";

/// The bus' user; without it, the user name of the role is taken (`coordinator`, `api`,
/// `worker-<pool>`).
pub const NATS_USER: &str = "MAESTRO_NATS_USER";

/// The password of [`NATS_USER`]. There is no flag for it: a flag shows in process lists.
pub const NATS_PASSWORD: &str = "MAESTRO_NATS_PASSWORD";

/// The password of the bus' user `api`, for a coordinator that serves the API as well.
pub const API_NATS_PASSWORD: &str = "MAESTRO_API_NATS_PASSWORD";

/// The database of a coordinator, as `postgres://user:password@host/database`.
pub const DATABASE_URL: &str = "MAESTRO_DATABASE_URL";

/// Where a coordinator serves the API, as `127.0.0.1:8080`.
pub const LISTEN: &str = "MAESTRO_LISTEN";

/// A secret that a coordinator makes known as the token of an admin of every project, so that a
/// new cluster can be used at all.
pub const ADMIN_TOKEN: &str = "MAESTRO_ADMIN_TOKEN";

/// Where artifacts are kept: a directory, or `s3://bucket/prefix` in a build with S3.
pub const STORE: &str = "MAESTRO_STORE";

/// The name of a coordinator or worker; a coordinator that comes back under its name takes its
/// shards back at once.
pub const NAME: &str = "MAESTRO_NAME";

/// What is logged, in the form of `tracing`'s directives, as `info` or `maestro_server=debug`.
pub const LOG: &str = "MAESTRO_LOG";

/// The program nats-server of a local stack: this one or none.
pub const NATS_SERVER: &str = "MAESTRO_NATS_SERVER";

/// The program bubblewrap that steps run in: this one or none.
pub const BWRAP: &str = "MAESTRO_BWRAP";

/// The strongest sandbox that a build worker uses.
pub const SANDBOX: &str = "MAESTRO_SANDBOX";

/// The directory of Postgres' programs for a local stack: this one or none.
pub const POSTGRES_BIN: &str = "MAESTRO_POSTGRES_BIN";

/// The router's configuration, for a coordinator that serves the API.
pub const ROUTER_CONFIG: &str = "MAESTRO_ROUTER_CONFIG";

/// The directory of policies, for a coordinator that serves the API.
pub const POLICIES: &str = "MAESTRO_POLICIES";

/// The directory of keys, for a coordinator that signs and for `maestro keys`.
pub const KEYS: &str = "MAESTRO_KEYS";

/// The passphrase of the keys that sign.
pub const KEY_PASSPHRASE: &str = "MAESTRO_KEY_PASSPHRASE";

/// The passphrase of the root key; that of [`KEY_PASSPHRASE`] where it is not set.
pub const ROOT_PASSPHRASE: &str = "MAESTRO_ROOT_PASSPHRASE";
/// The file of key-encryption keys of secrets, for a coordinator that serves the API.
pub const SECRETS_KEY_FILE: &str = "MAESTRO_SECRETS_KEY_FILE";
/// The key of AWS KMS that a coordinator keeps secrets by, by its ARN.
pub const SECRETS_KMS_KEY: &str = "MAESTRO_SECRETS_KMS_KEY";
/// How long a coordinator keeps decisions of the router, as `30d`.
pub const KEEP_DECISIONS: &str = "MAESTRO_KEEP_DECISIONS";

/// How long a coordinator keeps calls of models, as `400d`.
pub const KEEP_CALLS: &str = "MAESTRO_KEEP_CALLS";

/// The directory that LiteLLM was installed into, with its `bin/litellm`, for a local stack: this
/// one or none.
pub const LITELLM: &str = "MAESTRO_LITELLM";

/// The LiteLLM proxy, or another endpoint of OpenAI's protocol, that a worker of the pool `llm`
/// calls, as `http://litellm:4000`.
pub const LITELLM_URL: &str = "MAESTRO_LITELLM_URL";

/// The key of [`LITELLM_URL`]. There is no flag for it: a flag shows in process lists.
pub const LITELLM_KEY: &str = "MAESTRO_LITELLM_KEY";

/// The router's configuration, for a worker of the pool `llm` that calls own servers straight.
pub const DIRECT: &str = "MAESTRO_DIRECT";

/// The file of Ollama hosts, for a worker of the pool `llm` and for a local stack.
pub const OLLAMA_HOSTS: &str = "MAESTRO_OLLAMA_HOSTS";

/// The one Ollama host where no file names any, as `http://gpu-1:11434` or `gpu-1:11434`.
pub const OLLAMA_HOST: &str = "MAESTRO_OLLAMA_HOST";

/// The same by Ollama's own name for it; [`OLLAMA_HOST`] goes before it.
pub const OLLAMAS_OWN_HOST: &str = "OLLAMA_HOST";

/// A Docker `config.json` with credentials for registries of containers, for a worker of the pool
/// `build` and for a local stack.
pub const REGISTRY_AUTH: &str = "MAESTRO_REGISTRY_AUTH";

/// Directories below which repositories are checked out by their paths, with `:` between them, for a worker
/// of the pool `build` and for a local stack.
pub const CHECKOUT_ROOTS: &str = "MAESTRO_CHECKOUT_ROOTS";

/// Keys of model providers, which a local stack hands to its LiteLLM and to nobody else.
pub const PROVIDER_KEYS: [&str; 8] = [
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "GEMINI_API_KEY",
    "MISTRAL_API_KEY",
    "GROQ_API_KEY",
    "DEEPSEEK_API_KEY",
    "COHERE_API_KEY",
    "OPENROUTER_API_KEY",
];

/// How to leave the machine, for a local stack's LiteLLM.
pub const PROXIES: [&str; 6] =
    ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"];

/// Where the socket of a local stack lies whose own directory is too deep for one.
pub const RUNTIME_DIR: &str = "XDG_RUNTIME_DIR";

/// Where a user's programs keep what can be made again.
pub const CACHE_HOME: &str = "XDG_CACHE_HOME";

/// The user's own directory.
pub const HOME: &str = "HOME";
