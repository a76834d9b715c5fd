-- Prompts by name, each with its versions. A version's text never changes; its labels do, and who set or
-- removed one stays known.
create table prompt (
  project text not null,
  name    text not null check (length(name) between 1 and 128),
  -- 0 only within the transaction that brings the first version.
  newest  int not null check (newest >= 0),
  primary key (project, name)
);

create table prompt_version (
  project     text not null,
  name        text not null,
  version     int not null check (version > 0),
  digest      bytea not null check (length(digest) = 32),
  description text not null,
  body        text not null check (octet_length(body) <= 262144),
  created_at  timestamptz not null default now(),
  created_by  text not null,
  primary key (project, name, version),
  foreign key (project, name) references prompt (project, name)
);

-- Each call of a model that has a prompt asks for the newest version with its digest.
create index prompt_version_of_digest on prompt_version (project, name, digest, version desc);

create table prompt_label (
  id         bigint generated always as identity primary key,
  project    text not null,
  name       text not null,
  version    int not null,
  label      text not null check (label ~ '^[a-z0-9_-]{1,63}$'),
  set_at     timestamptz not null default now(),
  set_by     text not null,
  removed_at timestamptz,
  removed_by text,
  foreign key (project, name, version) references prompt_version (project, name, version)
);

create unique index prompt_label_that_holds on prompt_label (project, name, version, label)
  where removed_at is null;

-- For pages of a project's decisions.
drop index route_decision_of_project;
create index route_decision_of_project on route_decision (project, at_ms desc, id desc);
