-- What gateways tell of calls whose worker could not say what they cost: it died, or its stream broke.
-- A row goes once its call is settled, and after three days where there is no such call.
create table settlement (
  execution     uuid not null,
  ordinal       int not null,
  project       text not null,
  input_tokens  bigint not null check (input_tokens >= 0),
  output_tokens bigint not null check (output_tokens >= 0),
  cost_microusd bigint not null check (cost_microusd >= 0),
  told_at       timestamptz not null default now(),
  primary key (execution, ordinal)
);

-- A call is entered when it begins, at the most that it may cost; what is known of it later takes that
-- place, until its price is known. Several words about one call may stand in one commit.
create or replace function record_calls(calls json) returns void language sql as $$
  insert into model_call as known (execution, ordinal, run, project, pipeline, stage, step, node, item,
                          visit, attempt, batch, at_ms, model, served_by, deployment, prompt, request,
                          input_tokens, output_tokens, cost_microusd, settled, remembered, offline,
                          wall_ms, decision)
    select distinct on (execution, ordinal)
           execution, ordinal, run, project, pipeline, stage, step, node, item, visit, attempt, batch,
           at_ms, model, served_by, deployment, decode(prompt, 'hex'), decode(request, 'hex'),
           input_tokens, output_tokens, cost_microusd, settled, remembered, offline, wall_ms,
           decision
      from json_to_recordset(calls)
        as x (execution uuid, ordinal int, run uuid, project text, pipeline text, stage text, step text,
              node int, item int, visit int, attempt int, batch bigint, at_ms bigint, model text,
              served_by text, deployment text, prompt text, request text, input_tokens bigint,
              output_tokens bigint, cost_microusd bigint, settled boolean, remembered boolean,
              offline boolean, wall_ms bigint, decision uuid)
     order by execution, ordinal, settled desc, wall_ms desc
  on conflict (execution, ordinal) do update set
    model = excluded.model, served_by = excluded.served_by, deployment = excluded.deployment,
    input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens,
    cost_microusd = excluded.cost_microusd, settled = excluded.settled,
    remembered = excluded.remembered, wall_ms = excluded.wall_ms
  where not known.settled and (excluded.settled or excluded.wall_ms > known.wall_ms)
$$;
