-- Who owns which part of the runs.
--
-- `*_at` is Postgres' clock; `*_ms` is a shard's clock in milliseconds since 1970.

create table shard (
  id         int primary key check (id between 0 and 65535),
  -- The coordinator's name, by which it takes its own row back at once after a restart.
  owner      text,
  -- The start of that coordinator that took it.
  incarnation uuid,
  -- Raised whenever somebody takes the row: what fences commits.
  epoch      bigint not null default 0 check (epoch >= 0),
  -- The last batch that was committed.
  batch      bigint not null default 0 check (batch >= 0),
  clock_ms   bigint not null default 0 check (clock_ms >= 0),
  expires_at timestamptz not null default '-infinity',
  -- The newest form of rows that the shard may hold; who does not know it does not take the shard.
  version    int not null default 1 check (version > 0)
) with (fillfactor = 20, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

create table coordinator (
  name        text primary key check (length(name) between 1 and 200),
  incarnation uuid not null,
  version     int not null check (version > 0),
  seen_at     timestamptz not null default clock_timestamp()
) with (fillfactor = 50);

-- How many shards there are is decided once, by whoever comes first; everybody gets that number.
create function ensure_shards(wanted int) returns int language plpgsql as $$
begin
  lock table shard in share row exclusive mode;
  insert into shard (id)
    select generate_series(0, wanted - 1) where not exists (select from shard);
  return (select count(*) from shard);
end
$$;
