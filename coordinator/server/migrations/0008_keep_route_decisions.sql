-- What the router decided, with all that it decided from, so that a decision can be repeated byte for
-- byte. No prompt is in here: of the messages only their length and tags are kept. Rows never change.
create table route_config (
  digest bytea primary key check (length(digest) = 32),
  body   text not null
);

create table route_decision (
  id         uuid primary key,
  project    text not null,
  at_ms      bigint not null,
  mode       text not null check (mode in ('shadow', 'advise', 'act')),
  deployment text not null,
  config     bytea not null references route_config (digest),
  facts      json not null,
  request    json not null,
  objectives json not null,
  choice     json not null
);

create index route_decision_of_project on route_decision (project, at_ms desc);
