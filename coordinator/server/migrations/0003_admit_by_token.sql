-- Who may come in, what can be run, and whose bytes are whose.

create table token (
  id         uuid primary key,
  -- It stands in audit rows and on terminals: no control characters.
  name       text not null check (length(name) between 1 and 200 and name !~ '[[:cntrl:]]'),
  -- SHA-256 of the secret, which is 32 random bytes and stands nowhere.
  hash       bytea not null unique check (length(hash) = 32),
  -- Role by project; `*` stands for every project.
  roles      jsonb not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz
);

-- Actions that workers announced, by name.
create table action (
  name    text primary key,
  info    json not null,
  seen_at timestamptz not null default now()
);

-- Objects that a project may read by digest besides those that its attempts name: somebody of it
-- uploaded them, or read a directory of its attempts that holds them.
create table project_object (
  project text not null,
  digest  bytea not null check (length(digest) = 32),
  size    bigint not null check (size >= 0),
  held_at timestamptz not null default now(),
  primary key (project, digest)
);

-- The digests in a list of artifacts, as they are written there.
create function artifact_digests(artifacts json) returns text[]
  language sql immutable strict parallel safe as
$$ select array_agg(each ->> 'digest') from json_array_elements(artifacts) each $$;

-- Steps that make nothing, as a benchmark's, do not pay for it.
create index attempt_artifact on attempt using gin (artifact_digests(artifacts))
  where artifacts is not null;
create index step_artifact on step using gin (artifact_digests(artifacts))
  where artifacts is not null;
