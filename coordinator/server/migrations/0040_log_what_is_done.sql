-- The audit log: every action that changes something, gathered into a Merkle tree off its path.
--
-- `leaf` is an entry's place in the tree, which the auditor gives once and nobody changes; it is null
-- while the entry waits. Nothing else of such a row ever changes.

alter table audit add column leaf bigint check (leaf >= 0);
create index audit_waiting on audit (recorded_at, command) where leaf is null;
create unique index audit_at_leaf on audit (leaf) where leaf is not null;
create index audit_of_project on audit (project, at_ms desc, command desc);

-- What was done that no shard owns; written in the transaction of the action itself.
create table audit_act (
  id          uuid primary key,
  project     text,
  actor       text not null check (length(actor) between 1 and 200),
  action      text not null check (length(action) between 1 and 64),
  about       text check (length(about) <= 1000),
  request     bytea check (length(request) = 32),
  answer      json not null,
  at_ms       bigint not null default (extract(epoch from clock_timestamp()) * 1000)::bigint,
  recorded_at timestamptz not null default now(),
  leaf        bigint check (leaf >= 0)
);

create index audit_act_waiting on audit_act (recorded_at, id) where leaf is null;
create unique index audit_act_at_leaf on audit_act (leaf) where leaf is not null;
create index audit_act_of_project on audit_act (project, at_ms desc, id desc);

-- Both as entries. What was asked by a submission stands in its own row.
create view audit_entry as
  select true as is_command, a.command as id, a.leaf, a.project, a.run, a.actor, a.action,
         null::text as about,
         (select s.request_digest from submission s where s.run = a.run and s.command = a.command)
           as request,
         a.answer::text as answer, a.at_ms, a.recorded_at
    from audit a
  union all
  select false, id, leaf, project, null, actor, action, about, request, answer::text, at_ms,
         recorded_at
    from audit_act;

-- Entries that have their place and are not in a full bundle of a signed tree yet, as they go into it.
create table audit_staged (
  leaf  bigint primary key,
  entry text not null
);

-- One row: the tree. Entries below `assigned` have their place; those below `size` are signed.
create table audit_log (
  is_one      boolean primary key default true check (is_one),
  -- What its checkpoints and its objects are named by.
  origin      text not null,
  assigned    bigint not null default 0,
  size        bigint not null default 0 check (size <= assigned),
  root        bytea not null check (length(root) = 32),
  checkpoint  text,
  public_key  text,
  -- When a checkpoint was last kept beside the newest.
  anchored_at timestamptz
);

insert into audit_log (origin, root)
  values ('maestro-audit/' || replace(gen_random_uuid()::text, '-', ''), sha256(''));
