-- A call may be announced before it is known of which model, so that what is told of it later takes the
-- place of what it was announced as, in the order in which it is told. One that was not made after all
-- leaves the books. A price that a gateway told first stays, and the rest of what the worker tells is
-- filled in. Several words about one call may stand in one commit.
create or replace function record_calls(calls json) returns void language sql as $$
  with told as (
    select distinct on (execution, ordinal) *
      from rows from (json_to_recordset(calls)
        as (execution uuid, ordinal int, run uuid, project text, pipeline text, stage text, step text,
            node int, item int, visit int, attempt int, batch bigint, at_ms bigint, model text,
            served_by text, deployment text, prompt text, request text, input_tokens bigint,
            output_tokens bigint, cost_microusd bigint, settled boolean, remembered boolean,
            offline boolean, unmade boolean, wall_ms bigint, overhead_us bigint, decision uuid))
        with ordinality as x (execution, ordinal, run, project, pipeline, stage, step, node, item, visit,
            attempt, batch, at_ms, model, served_by, deployment, prompt, request, input_tokens,
            output_tokens, cost_microusd, settled, remembered, offline, unmade, wall_ms, overhead_us,
            decision, place)
     order by execution, ordinal, settled desc, wall_ms desc, place desc),
  gone as (
    delete from model_call known using told
     where told.unmade and not known.settled
       and known.execution = told.execution and known.ordinal = told.ordinal)
  insert into model_call as known (execution, ordinal, run, project, pipeline, stage, step, node, item,
                          visit, attempt, batch, at_ms, model, served_by, deployment, prompt, request,
                          input_tokens, output_tokens, cost_microusd, settled, remembered, offline,
                          wall_ms, overhead_us, decision)
    select execution, ordinal, run, project, pipeline, stage, step, node, item, visit, attempt, batch,
           at_ms, model, served_by, deployment, decode(prompt, 'hex'), decode(request, 'hex'),
           input_tokens, output_tokens, cost_microusd, settled, remembered, offline, wall_ms,
           overhead_us, decision
      from told where unmade is not true
     order by execution, ordinal
  on conflict (execution, ordinal) do update set
    model = excluded.model,
    request = excluded.request,
    decision = coalesce(excluded.decision, known.decision),
    served_by = coalesce(excluded.served_by, known.served_by),
    deployment = coalesce(excluded.deployment, known.deployment),
    input_tokens = case when known.settled then known.input_tokens else excluded.input_tokens end,
    output_tokens = case when known.settled then known.output_tokens else excluded.output_tokens end,
    cost_microusd = case when known.settled then known.cost_microusd else excluded.cost_microusd end,
    settled = known.settled or excluded.settled,
    offline = excluded.offline,
    remembered = excluded.remembered,
    wall_ms = greatest(excluded.wall_ms, known.wall_ms),
    overhead_us = coalesce(excluded.overhead_us, known.overhead_us)
  where (not known.settled and (excluded.settled or excluded.wall_ms >= known.wall_ms))
     or (known.wall_ms = 0 and excluded.wall_ms > 0)
$$;
