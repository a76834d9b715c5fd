-- What is signed of runs that ended.

create table evidence (
  run       uuid primary key,
  project   text not null,
  -- The digest of the bundle over all files; null until it is signed.
  manifest  bytea check (length(manifest) = 32),
  -- How many files it names.
  files     int check (files > 0),
  -- Why it was not signed the last time.
  problem   text,
  tries     int not null default 0 check (tries >= 0),
  -- When it is tried next.
  due_at    timestamptz not null default now(),
  signed_at timestamptz
);

create index evidence_due on evidence (due_at) where manifest is null;

-- Statements and records, by digest. What steps made lies in object storage.
create table evidence_file (
  run    uuid not null,
  digest bytea not null check (length(digest) = 32),
  body   bytea not null,
  primary key (run, digest)
);

-- Which statement says how something was made.
create table evidence_subject (
  project   text not null,
  digest    bytea not null check (length(digest) = 32),
  run       uuid not null,
  statement bytea not null check (length(statement) = 32),
  primary key (project, digest, run, statement)
);

-- The list of keys as its root signed it, for whoever verifies. There is one row.
create table key_ring (
  id     int primary key check (id = 1),
  body   bytea not null,
  put_at timestamptz not null default now()
);
