-- What is kept of a model's requests, as JSON; without members, everything.
alter table models add column capture text not null default '{}';
