-- Where artifacts may go: each promotion that policies permitted, with what they were told and the summary
-- that was signed.

create table promotion (
  id          uuid primary key,
  project     text not null,
  artifact    bytea not null check (length(artifact) = 32),
  environment text not null check (length(environment) between 1 and 64),
  -- Whose evidence was verified.
  run         uuid not null,
  actor       text not null check (length(actor) between 1 and 200),
  -- The digests of the policies that permitted it, and of what they were asked.
  policy      bytea not null check (length(policy) = 32),
  input       bytea not null check (length(input) = 32),
  asked       json not null,
  -- The signed summary, and its digest.
  statement   bytea not null check (length(statement) = 32),
  body        bytea not null,
  at_ms       bigint not null check (at_ms >= 0)
);

create index promotion_of_project on promotion (project, id desc);
create index promotion_of_run on promotion (run, id);
create index evidence_subject_of_project on evidence_subject (project, digest, run desc);
