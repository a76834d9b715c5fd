-- Secrets by name, each with its versions. A value is encrypted under a data key of its own, and that key
-- is wrapped by a key-encryption key that is not in the database. What is revoked has no bytes any more.
create table secret (
  project text not null,
  name    text not null check (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  -- 0 only within the transaction that brings the first version.
  newest  int not null check (newest >= 0),
  primary key (project, name)
);

create table secret_version (
  project        text not null,
  name           text not null,
  version        int not null check (version > 0),
  state          text not null check (state in ('current', 'previous', 'revoked')),
  -- The key-encryption key's id, and the data key that it wrapped.
  kek            text check (length(kek) between 1 and 512),
  wrapped_key    bytea check (octet_length(wrapped_key) between 1 and 8192),
  nonce          bytea check (octet_length(nonce) = 12),
  ciphertext     bytea check (octet_length(ciphertext) <= 65552),
  readable_until timestamptz,
  created_at     timestamptz not null default now(),
  created_by     text not null,
  revoked_at     timestamptz,
  revoked_by     text,
  primary key (project, name, version),
  foreign key (project, name) references secret (project, name),
  check (case state when 'revoked' then num_nonnulls(kek, wrapped_key, nonce, ciphertext) = 0
                    else num_nulls(kek, wrapped_key, nonce, ciphertext) = 0 end),
  check ((state = 'revoked') = (revoked_at is not null)),
  check (state <> 'previous' or readable_until is not null)
);

create unique index secret_version_that_is_current on secret_version (project, name)
  where state = 'current';

create index secret_version_replaced on secret_version (readable_until) where state = 'previous';

-- Which execution was given which version: never the value.
create table secret_delivery (
  run          uuid not null,
  node         int not null,
  item         int not null,
  visit        int not null,
  attempt      int not null,
  execution    uuid not null,
  project      text not null,
  name         text not null,
  version      int not null,
  delivered_at timestamptz not null default now(),
  primary key (run, node, item, visit, attempt, execution, name, version)
);

create index secret_delivery_by_age on secret_delivery (delivered_at);
