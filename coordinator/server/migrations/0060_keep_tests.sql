-- What tests said, read from the reports that attempts keep in object storage. Everything here can be
-- read from them again: rows are made when somebody looks, and the oldest of a step's are let go.

create table test_report (
  run         uuid not null,
  node        int not null,
  item        int not null,
  visit       int not null,
  -- 0 where the step took over a known result.
  number      int not null,
  project     text not null,
  pipeline    text not null,
  -- The step's id in the plan, without the item.
  step        text not null,
  digest      bytea not null check (length(digest) = 32),
  passed      int not null check (passed >= 0),
  failed      int not null check (failed >= 0),
  errors      int not null check (errors >= 0),
  skipped     int not null check (skipped >= 0),
  left_out    int not null check (left_out >= 0),
  duration_ms bigint not null check (duration_ms >= 0),
  warnings    json not null,
  ended_at_ms bigint not null,
  primary key (run, node, item, visit, number)
);

create index test_report_of_step on test_report (project, pipeline, step, ended_at_ms desc);

create table test_case (
  run         uuid not null,
  node        int not null,
  item        int not null,
  visit       int not null,
  number      int not null,
  -- Its place in the report.
  ordinal     int not null,
  suite       text not null,
  class       text not null,
  name        text not null,
  file        text,
  outcome     text not null check (outcome in ('passed', 'failed', 'error', 'skipped')),
  duration_us bigint check (duration_us >= 0),
  message     text,
  primary key (run, node, item, visit, number, ordinal),
  foreign key (run, node, item, visit, number) references test_report on delete cascade
);
