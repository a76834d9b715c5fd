-- Of a report that is lost a row says so, and no more: it stands in no other's way.

alter table test_report add column lost boolean not null default false;

update test_report set lost = true where warnings::text like '%MAE-7123%';
