-- One commit of a fold: one call, a fixed number of set-based statements whatever the batch's size,
-- all or nothing.
--
-- Answers `done`, or `repeated` where the very same commit had landed before. Raises MA001 where a
-- shard has another epoch or batch, MA002 where a statement changed another number of rows than it
-- was given; either way nothing stands.
--
-- Rows are found by key, one by one, whatever the tables' statistics say: tables that are empty at
-- one moment and full at the next would else be read whole for each row that is looked for. Hence
-- the laterals with a limit, which fix the order; the fold's connection has the settings that fix
-- the method.
--
-- Lists of a plain step are arrays; the others are rare, are null where empty, and hold their
-- free-form values as texts of JSON, so that they are kept letter by letter.

create function must_change(what text, given bigint, changed bigint) returns void
  language plpgsql as $$
begin
  if given is distinct from changed then
    raise exception '%: % of % rows were changed', what, changed, given using errcode = 'MA002';
  end if;
end
$$;

-- Locks and advances the shards; false where the same commit had landed before.
create function advance_shards(
  ids int[], epochs bigint[], batches bigint[], clocks bigint[], lease interval
) returns boolean language plpgsql as $$
declare
  changed bigint;
begin
  if cardinality(ids) > 1 then
    perform from shard where id = any (ids) order by id for update;
  end if;
  update shard s
     set batch = x.batch, clock_ms = greatest(s.clock_ms, x.clock_ms),
         expires_at = clock_timestamp() + lease
    from unnest(ids, epochs, batches, clocks) as x (id, epoch, batch, clock_ms)
   where s.id = x.id and s.epoch = x.epoch and s.batch = x.batch - 1;
  get diagnostics changed = row_count;
  if changed = cardinality(ids) then
    return true;
  end if;
  if changed = 0 then
    update shard s set expires_at = clock_timestamp() + lease
      from unnest(ids, epochs, batches) as x (id, epoch, batch)
     where s.id = x.id and s.epoch = x.epoch and s.batch = x.batch;
    get diagnostics changed = row_count;
    if changed = cardinality(ids) then
      return false;
    end if;
  end if;
  raise exception 'a shard has another epoch or batch' using errcode = 'MA001';
end
$$;

create function commit_batch(
  lease interval,
  shard_ids int[], shard_epochs bigint[], shard_batches bigint[], shard_clocks bigint[],
  d_run uuid[], d_node int[], d_item int[], d_visit int[], d_shard int[], d_number int[],
  d_epoch bigint[], d_lapses int[], d_pool text[], d_project text[], d_priority smallint[],
  d_decided bigint[],
  u_run uuid[], u_node int[], u_item int[], u_visit int[],
  a_run uuid[], a_node int[], a_item int[], a_visit int[], a_number int[], a_shard int[],
  a_epoch bigint[], a_batch bigint[], a_state text[], a_outcome text[], a_decided bigint[],
  a_ended bigint[], a_execution uuid[], a_worker text[], a_wall bigint[], a_cpu bigint[],
  a_cost bigint[], a_failure text[], a_outputs text[], a_artifacts text[],
  steps json, runs_begun json, runs_changed json, fanouts json, timers_set json,
  timers_cleared json, run_events json, audits json, notices json, results json
) returns text language plpgsql as $$
declare
  changed bigint;
begin
  if not advance_shards(shard_ids, shard_epochs, shard_batches, shard_clocks, lease) then
    return 'repeated';
  end if;

  -- Before the inserts: a step's next attempt may be decided by the commit that ends the former.
  if cardinality(u_run) > 0 then
    delete from dispatch
      using unnest(u_run, u_node, u_item, u_visit) as x (run, node, item, visit)
        cross join lateral (
          select d.ctid as place from dispatch d
           where d.run = x.run and d.node = x.node and d.item = x.item and d.visit = x.visit
           limit 1) as found
      where dispatch.ctid = found.place;
    get diagnostics changed = row_count;
    if changed <> cardinality(u_run) then
      perform must_change('dispatch, deleted', cardinality(u_run), changed);
    end if;
  end if;
  if cardinality(d_run) > 0 then
    insert into dispatch (run, node, item, visit, shard, number, epoch, lapses, pool, project,
                          priority, decided_at_ms)
      select * from unnest(d_run, d_node, d_item, d_visit, d_shard, d_number, d_epoch, d_lapses,
                           d_pool, d_project, d_priority, d_decided);
  end if;
  if cardinality(a_run) > 0 then
    insert into attempt (run, node, item, visit, number, shard, epoch, batch, state, outcome,
                         decided_at_ms, ended_at_ms, execution, worker, wall_ms, cpu_ms,
                         cost_microusd, failure, outputs, artifacts)
      select run, node, item, visit, number, shard, epoch, batch, state, outcome, decided, ended,
             execution, worker, wall, cpu, cost, failure::json, outputs::json, artifacts::json
        from unnest(a_run, a_node, a_item, a_visit, a_number, a_shard, a_epoch, a_batch, a_state,
                    a_outcome, a_decided, a_ended, a_execution, a_worker, a_wall, a_cpu, a_cost,
                    a_failure, a_outputs, a_artifacts)
          as x (run, node, item, visit, number, shard, epoch, batch, state, outcome, decided,
                ended, execution, worker, wall, cpu, cost, failure, outputs, artifacts);
  end if;

  if runs_begun is not null then
    insert into run (id, project, shard, pipeline, state, plan, labels, rerun, rerun_of,
                     created_at_ms, begun_batch, begun_steps, steps_total)
      select id, project, shard, pipeline, state, decode(plan, 'hex'), labels, rerun::json,
             rerun_of, created_at_ms, batch, steps_total, steps_total
        from json_to_recordset(runs_begun)
          as x (id uuid, project text, shard int, pipeline text, state text, plan text,
                labels jsonb, rerun text, rerun_of uuid, created_at_ms bigint, batch bigint,
                steps_total bigint);
  end if;
  if runs_changed is not null then
    update run r
       set changed_batch = x.batch, state = x.state, cause = x.cause,
           cancel_reason = x.cancel_reason, cancelled_again = x.cancelled_again,
           steps_total = x.steps_total,
           steps_ended = x.steps_ended, steps_failed = x.steps_failed,
           steps_cached = x.steps_cached, cost_microusd = x.cost_microusd, work_ms = x.work_ms,
           outputs = x.outputs::json, ended_at_ms = x.ended_at_ms
      from json_to_recordset(runs_changed)
        as x (id uuid, batch bigint, state text, cause text, cancel_reason text,
              cancelled_again boolean, steps_total bigint, steps_ended bigint, steps_failed bigint, steps_cached bigint,
              cost_microusd bigint, work_ms bigint, outputs text, ended_at_ms bigint)
        cross join lateral (select o.ctid as place from run o where o.id = x.id limit 1) as found
     where r.ctid = found.place and r.shard = any (shard_ids);
    get diagnostics changed = row_count;
    perform must_change('run', json_array_length(runs_changed), changed);
  end if;
  if steps is not null then
    insert into step (run, node, item, visit, batch, state, reason, blocks, ended_at_ms, outputs,
                      artifacts)
      select run, node, item, visit, batch, state, reason, blocks, ended_at_ms, outputs::json,
             artifacts::json
        from json_to_recordset(steps)
          as x (run uuid, node int, item int, visit int, batch bigint, state text, reason text,
                blocks boolean, ended_at_ms bigint, outputs text, artifacts text);
  end if;
  if fanouts is not null then
    insert into fanout (run, node, batch, count, cursor, items, closed, reused)
      select run, node, batch, count, cursor, items::json, closed, decode(reused, 'hex')
        from json_to_recordset(fanouts)
          as x (run uuid, node int, batch bigint, count int, cursor int, items text,
                closed boolean, reused text)
      on conflict (run, node) do update
        set batch = excluded.batch, cursor = excluded.cursor, closed = excluded.closed;
    get diagnostics changed = row_count;
    perform must_change('fanout', json_array_length(fanouts), changed);
  end if;
  if timers_cleared is not null then
    delete from timer
      using json_to_recordset(timers_cleared) as x (run uuid, node int, item int, visit int)
        cross join lateral (
          select t.ctid as place from timer t
           where t.run = x.run and t.node = x.node and t.item = x.item and t.visit = x.visit
           limit 1) as found
      where timer.ctid = found.place;
    get diagnostics changed = row_count;
    perform must_change('timer, deleted', json_array_length(timers_cleared), changed);
  end if;
  if timers_set is not null then
    insert into timer (run, node, item, visit, attempt, lapses, due_at_ms)
      select run, node, item, visit, attempt, lapses, due_at_ms
        from json_to_recordset(timers_set)
          as x (run uuid, node int, item int, visit int, attempt int, lapses int,
                due_at_ms bigint);
  end if;
  if run_events is not null then
    insert into run_event (run, batch, ordinal, at_ms, event)
      select run, batch, ordinal, at_ms, event::json
        from json_to_recordset(run_events)
          as x (run uuid, batch bigint, ordinal int, at_ms bigint, event text);
  end if;
  if audits is not null then
    insert into audit (command, run, project, actor, action, answer, at_ms)
      select command, run, project, actor, action, answer::json, at_ms
        from json_to_recordset(audits)
          as x (command uuid, run uuid, project text, actor text, action text, answer text,
                at_ms bigint);
  end if;
  if notices is not null then
    insert into notice (run, project, kind, body)
      select run, project, kind, body::json
        from json_to_recordset(notices)
          as x (run uuid, project text, kind text, body text);
  end if;
  if results is not null then
    insert into result (project, key, pipeline, step, parts, run, outputs, artifacts)
      select project, decode(key, 'hex'), pipeline, step, parts::json, run, outputs::json,
             artifacts::json
        from json_to_recordset(results)
          as x (project text, key text, pipeline text, step text, parts text, run uuid,
                outputs text, artifacts text)
      on conflict do nothing;
  end if;
  return 'done';
end
$$;
