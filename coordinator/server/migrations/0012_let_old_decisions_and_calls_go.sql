-- Decisions of the router and calls of models go once they are old, whatever project they are of: a page
-- of the oldest at a time.
create index route_decision_by_age on route_decision (at_ms);
create index model_call_by_age on model_call (at_ms);
