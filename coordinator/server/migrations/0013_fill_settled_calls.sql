-- A gateway's word on a call is of one project: another one's takes no place of it.
alter table settlement drop constraint settlement_pkey;
alter table settlement add primary key (project, execution, ordinal);

-- What the worker took beyond the gateway's time, in microseconds, where it was told.
alter table model_call add column overhead_us bigint;

-- A call is entered when it begins, at the most that it may cost; what is known of it later takes that
-- place, until its price is known. A price that a gateway told first stays, and the rest of what the
-- worker tells is filled in. Several words about one call may stand in one commit.
create or replace function record_calls(calls json) returns void language sql as $$
  insert into model_call as known (execution, ordinal, run, project, pipeline, stage, step, node, item,
                          visit, attempt, batch, at_ms, model, served_by, deployment, prompt, request,
                          input_tokens, output_tokens, cost_microusd, settled, remembered, offline,
                          wall_ms, overhead_us, decision)
    select distinct on (execution, ordinal)
           execution, ordinal, run, project, pipeline, stage, step, node, item, visit, attempt, batch,
           at_ms, model, served_by, deployment, decode(prompt, 'hex'), decode(request, 'hex'),
           input_tokens, output_tokens, cost_microusd, settled, remembered, offline, wall_ms,
           overhead_us, decision
      from json_to_recordset(calls)
        as x (execution uuid, ordinal int, run uuid, project text, pipeline text, stage text, step text,
              node int, item int, visit int, attempt int, batch bigint, at_ms bigint, model text,
              served_by text, deployment text, prompt text, request text, input_tokens bigint,
              output_tokens bigint, cost_microusd bigint, settled boolean, remembered boolean,
              offline boolean, wall_ms bigint, overhead_us bigint, decision uuid)
     order by execution, ordinal, settled desc, wall_ms desc
  on conflict (execution, ordinal) do update set
    model = excluded.model,
    served_by = coalesce(excluded.served_by, known.served_by),
    deployment = coalesce(excluded.deployment, known.deployment),
    input_tokens = case when known.settled then known.input_tokens else excluded.input_tokens end,
    output_tokens = case when known.settled then known.output_tokens else excluded.output_tokens end,
    cost_microusd = case when known.settled then known.cost_microusd else excluded.cost_microusd end,
    settled = known.settled or excluded.settled,
    remembered = excluded.remembered,
    wall_ms = greatest(excluded.wall_ms, known.wall_ms),
    overhead_us = coalesce(excluded.overhead_us, known.overhead_us)
  where (not known.settled and (excluded.settled or excluded.wall_ms > known.wall_ms))
     or (known.wall_ms = 0 and excluded.wall_ms > 0)
$$;
