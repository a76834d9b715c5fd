-- Calls of models, as executions reported them: what was spent, by whom and on what. One row for each
-- call, of executions whose report did not count too: they were paid for. Rows never change.
create table model_call (
  execution     uuid not null,
  ordinal       int not null,
  run           uuid not null,
  project       text not null,
  pipeline      text not null,
  stage         text not null,
  step          text not null,
  node          int not null,
  item          int not null,
  visit         int not null,
  attempt       int not null,
  batch         bigint not null,
  at_ms         bigint not null,
  model         text not null,
  served_by     text,
  deployment    text,
  prompt        bytea check (length(prompt) = 32),
  request       bytea not null check (length(request) = 32),
  input_tokens  bigint not null,
  output_tokens bigint not null,
  cost_microusd bigint not null,
  settled       boolean not null,
  remembered    boolean not null,
  offline       boolean not null,
  wall_ms       bigint not null,
  decision      uuid,
  primary key (execution, ordinal)
);

create index model_call_of_project on model_call (project, at_ms);
create index model_call_of_run on model_call (run);

-- Part of a commit's statement. A report that comes again brings rows that are there.
create function record_calls(calls json) returns void language sql as $$
  insert into model_call (execution, ordinal, run, project, pipeline, stage, step, node, item, visit,
                          attempt, batch, at_ms, model, served_by, deployment, prompt, request,
                          input_tokens, output_tokens, cost_microusd, settled, remembered, offline,
                          wall_ms, decision)
    select execution, ordinal, run, project, pipeline, stage, step, node, item, visit, attempt, batch,
           at_ms, model, served_by, deployment, decode(prompt, 'hex'), decode(request, 'hex'),
           input_tokens, output_tokens, cost_microusd, settled, remembered, offline, wall_ms,
           decision
      from json_to_recordset(calls)
        as x (execution uuid, ordinal int, run uuid, project text, pipeline text, stage text, step text,
              node int, item int, visit int, attempt int, batch bigint, at_ms bigint, model text,
              served_by text, deployment text, prompt text, request text, input_tokens bigint,
              output_tokens bigint, cost_microusd bigint, settled boolean, remembered boolean,
              offline boolean, wall_ms bigint, decision uuid)
  on conflict (execution, ordinal) do nothing
$$;
