-- Number of the newest active version that is not a candidate, 0 if there is none: kept
-- beside the versions so that a list can be sorted by it without looking at all of them.
alter table models add column latest_version bigint not null default 0;
update models set latest_version = coalesce((select max(v.number) from versions v
    where v.model_id = models.id and v.status = 'active' and v.stage <> 'candidate'), 0);
-- Since when the status holds.
alter table models add column status_at bigint not null default 0;
update models set status_at = updated_at;
alter table versions add column status_at bigint not null default 0;
update versions set status_at = created_at;
-- Where a version comes from, as far as whatever made it knows.
alter table versions add column parent_version bigint;
alter table versions add column job_id text;
alter table versions add column dataset_id text;

drop index models_created_at;
create index models_created_at on models (owner_id, created_at);
create index models_updated_at on models (owner_id, updated_at);
create index models_latest_version on models (owner_id, latest_version);

-- What the last changes were about, by the counter of `changes`: the id of a model, or
-- `accounts`. A number that is missing here was about anything.
create table change_subjects (
    counter bigint not null constraint change_subjects_counter_key primary key,
    subject text not null
);
