-- When an endpoint that fails was last tried out, by whichever router: one probe per interval is for all
-- of them together.
create table probe (
  endpoint text primary key,
  taken_at timestamptz not null
);
