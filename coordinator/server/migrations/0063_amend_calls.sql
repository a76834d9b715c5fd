-- Whether all that is known is what was announced before it was known what the call would be; and whether
-- it was not made then: such a row is no call, and stays so that an announcement that is read again does
-- not bring it back.
alter table model_call add column announced boolean not null default false,
                       add column unmade boolean not null default false;

-- A call is entered when it begins, at the most that it may cost, or before that, when it is announced and
-- not known what it will be. What is known of it later takes that place, until its price is known; an
-- announcement takes the place of nothing. A price that a gateway told first stays, and the rest of what
-- the worker tells is filled in. Several words about one call may stand in one commit.
create or replace function record_calls(calls json) returns void language sql as $$
  insert into model_call as known (execution, ordinal, run, project, pipeline, stage, step, node, item,
                          visit, attempt, batch, at_ms, model, served_by, deployment, prompt, request,
                          input_tokens, output_tokens, cost_microusd, settled, remembered, offline,
                          announced, unmade, wall_ms, overhead_us, decision)
    select distinct on (execution, ordinal)
           execution, ordinal, run, project, pipeline, stage, step, node, item, visit, attempt, batch,
           at_ms, model, served_by, deployment, decode(prompt, 'hex'), decode(request, 'hex'),
           input_tokens, output_tokens, cost_microusd, settled, remembered, offline,
           coalesce(announced, false), coalesce(unmade, false), wall_ms, overhead_us, decision
      from json_to_recordset(calls)
        as x (execution uuid, ordinal int, run uuid, project text, pipeline text, stage text, step text,
              node int, item int, visit int, attempt int, batch bigint, at_ms bigint, model text,
              served_by text, deployment text, prompt text, request text, input_tokens bigint,
              output_tokens bigint, cost_microusd bigint, settled boolean, remembered boolean,
              offline boolean, announced boolean, unmade boolean, wall_ms bigint, overhead_us bigint,
              decision uuid)
     order by execution, ordinal, settled desc, coalesce(announced, false), wall_ms desc
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
    announced = excluded.announced,
    unmade = excluded.unmade,
    remembered = excluded.remembered,
    wall_ms = greatest(excluded.wall_ms, known.wall_ms),
    overhead_us = coalesce(excluded.overhead_us, known.overhead_us)
  where (not known.settled and (excluded.settled or excluded.wall_ms > known.wall_ms
                                or (known.announced and not excluded.announced)))
     or (known.wall_ms = 0 and excluded.wall_ms > 0)
$$;
