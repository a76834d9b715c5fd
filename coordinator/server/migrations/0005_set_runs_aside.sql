-- Sets runs of a shard aside whose rows its new owner cannot read: a batch of its own, before the
-- owner's first. What of them is live or due is over; the answer names the pools that may still
-- have tasks of them. Counts are taken from the rows, for no memory has them.
--
-- Raises MA001 where the shard has another epoch or batch; then nothing stands.
create function set_runs_aside(
  owned int, owned_epoch bigint, next_batch bigint, now_ms bigint,
  ids uuid[], causes text[], events text[]
) returns table (set_aside uuid, in_pool text) language plpgsql as $$
declare
  changed bigint;
begin
  update shard set batch = next_batch, clock_ms = greatest(clock_ms, now_ms)
   where id = owned and epoch = owned_epoch and batch = next_batch - 1;
  if not found then
    raise exception 'a shard has another epoch or batch' using errcode = 'MA001';
  end if;
  update run r
     set state = 'quarantined', cause = coalesce(r.cause, x.cause), changed_batch = next_batch,
         ended_at_ms = now_ms,
         steps_ended = a.ended + s.ended + f.reused, steps_failed = a.failed + s.failed,
         steps_cached = s.cached, cost_microusd = a.cost_microusd, work_ms = a.work_ms
    from unnest(ids, causes) as x (id, cause)
      cross join lateral (
        select count(*) filter (where state <> 'waiting') as ended,
               count(*) filter (where state = 'failed') as failed,
               coalesce(sum(t.cost_microusd), 0)::bigint as cost_microusd,
               coalesce(sum(t.wall_ms), 0)::bigint as work_ms
          from attempt t where t.run = x.id) a
      cross join lateral (
        select count(*) as ended, count(*) filter (where state = 'failed') as failed,
               count(*) filter (where state = 'cached') as cached
          from step t where t.run = x.id) s
      cross join lateral (
        select coalesce(sum(bit_count(reused)), 0)::bigint as reused
          from fanout t where t.run = x.id) f
   where r.id = x.id and r.shard = owned;
  get diagnostics changed = row_count;
  perform must_change('run', cardinality(ids), changed);
  insert into run_event (run, batch, ordinal, at_ms, event)
    select id, next_batch, 1, now_ms, event::json from unnest(ids, events) as x (id, event);
  delete from timer t where t.run = any (ids);
  return query
    with gone as (delete from dispatch d where d.run = any (ids) returning d.run, d.pool)
    select distinct gone.run, gone.pool from gone;
end
$$;
