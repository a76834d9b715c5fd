-- The truth about runs. All but `plan`, `submission` and `result` is written by a shard's commit.
--
-- Values that people or workers gave are `json` and not `jsonb`: they come back as they went in,
-- number for number, and `\u0000` in a string is no error. Nothing here is asked for their insides.

create table plan (
  project   text not null,
  digest    bytea not null check (length(digest) = 32),
  body      json not null,
  stored_at timestamptz not null default now(),
  primary key (project, digest)
);

-- What was asked for, before it is a run: same key, same request, same run and same command.
create table submission (
  project         text not null,
  idempotency_key text not null check (length(idempotency_key) between 1 and 200),
  request_digest  bytea not null check (length(request_digest) = 32),
  run             uuid not null unique,
  command         uuid not null,
  shard           int not null check (shard between 0 and 65535),
  plan            bytea not null,
  labels          json not null,
  rerun           json,
  actor           text not null,
  submitted_at    timestamptz not null default now(),
  primary key (project, idempotency_key)
);

create table run (
  id            uuid primary key,
  project       text not null,
  shard         int not null,
  pipeline      text not null,
  state         text not null check (state in
                  ('running', 'cancelling', 'succeeded', 'failed', 'cancelled', 'quarantined')),
  plan          bytea not null,
  labels        jsonb not null,
  rerun         json,
  rerun_of      uuid,
  created_at_ms bigint not null,
  begun_batch   bigint not null,
  begun_steps   bigint not null,
  -- What follows has changed since it began where `changed_batch` is not null.
  changed_batch bigint,
  cause         text,
  cancel_reason text,
  -- Whether that was asked a second time.
  cancelled_again boolean not null default false,
  steps_total   bigint not null,
  steps_ended   bigint not null default 0,
  steps_failed  bigint not null default 0,
  steps_cached  bigint not null default 0,
  cost_microusd bigint not null default 0,
  work_ms       bigint not null default 0,
  outputs       json,
  ended_at_ms   bigint
) with (fillfactor = 70);

create index run_of_project on run (project, id desc);
create index run_of_pipeline on run (project, pipeline, id desc);
create index run_labelled on run using gin (labels jsonb_path_ops) where labels <> '{}';
create index run_unfinished on run (shard) where state in ('running', 'cancelling');
create index run_rerun on run (rerun_of) where rerun_of is not null;

-- Attempts that live, one row each: what is in flight, and the outbox.
create table dispatch (
  run           uuid not null,
  node          int not null,
  item          int not null,
  visit         int not null,
  shard         int not null,
  number        int not null,
  epoch         bigint not null,
  lapses        int not null,
  pool          text not null,
  project       text not null,
  priority      smallint not null,
  decided_at_ms bigint not null,
  primary key (run, node, item, visit)
) with (fillfactor = 70, vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
        -- Full and empty within seconds: what was counted once misleads the planner ever after.
        autovacuum_analyze_threshold = 2000000000);

-- Attempts that ended: the history of a run. Rows never change.
create table attempt (
  run           uuid not null,
  node          int not null,
  item          int not null,
  visit         int not null,
  number        int not null,
  shard         int not null,
  epoch         bigint not null,
  batch         bigint not null,
  state         text not null check (state in
                  ('waiting', 'succeeded', 'cached', 'failed', 'skipped', 'cancelled')),
  outcome       text not null check (outcome in ('succeeded', 'failed', 'cancelled')),
  decided_at_ms bigint not null,
  ended_at_ms   bigint not null,
  execution     uuid,
  worker        text,
  wall_ms       bigint not null,
  cpu_ms        bigint not null,
  cost_microusd bigint not null,
  failure       json,
  outputs       json,
  artifacts     json,
  primary key (run, node, item, visit, number)
) with (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_vacuum_insert_threshold = 100000,
        autovacuum_analyze_scale_factor = 0.5, autovacuum_analyze_threshold = 10000);

-- Steps that ended without an attempt. Rows never change.
create table step (
  run         uuid not null,
  node        int not null,
  item        int not null,
  visit       int not null,
  batch       bigint not null,
  state       text not null check (state in
                ('succeeded', 'cached', 'failed', 'skipped', 'cancelled')),
  reason      text not null,
  blocks      boolean not null,
  ended_at_ms bigint not null,
  outputs     json,
  artifacts   json,
  primary key (run, node, item, visit)
);

-- One row however many items.
create table fanout (
  run    uuid not null,
  node   int not null,
  batch  bigint not null,
  count  int not null,
  cursor int not null,
  items  json,
  closed boolean not null,
  reused bytea,
  primary key (run, node)
) with (fillfactor = 50);

create table timer (
  run       uuid not null,
  node      int not null,
  item      int not null,
  visit     int not null,
  attempt   int not null,
  lapses    int not null,
  due_at_ms bigint not null,
  primary key (run, node, item, visit)
) with (fillfactor = 70, vacuum_truncate = off, autovacuum_vacuum_scale_factor = 0,
        autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
        autovacuum_analyze_threshold = 2000000000);

-- What happened to a run that is no attempt. Rows never change.
create table run_event (
  run     uuid not null,
  batch   bigint not null,
  ordinal int not null,
  at_ms   bigint not null,
  event   json not null,
  primary key (run, batch, ordinal)
);

-- Every command that was folded. Rows never change.
create table audit (
  command     uuid primary key,
  run         uuid not null,
  project     text not null,
  actor       text not null,
  action      text not null,
  answer      json not null,
  at_ms       bigint not null,
  recorded_at timestamptz not null default now()
);

create index audit_of_run on audit (run);

-- What others act on; deleted once its message is confirmed.
create table notice (
  id         bigint generated always as identity primary key,
  run        uuid not null,
  project    text not null,
  kind       text not null,
  body       json not null,
  noticed_at timestamptz not null default now()
);

-- Results of `pure` steps by key. The first one stays.
create table result (
  project   text not null,
  key       bytea not null check (length(key) = 32),
  pipeline  text not null,
  step      text not null,
  parts     json not null,
  run       uuid not null,
  outputs   json not null,
  artifacts json not null,
  made_at   timestamptz not null default now(),
  primary key (project, key)
);

create index result_of_step on result (project, pipeline, step, made_at desc);
