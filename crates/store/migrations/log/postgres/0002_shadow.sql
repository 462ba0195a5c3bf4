-- Whether a shadow of an endpoint was asked: nobody got this answer.
alter table predictions add column shadow boolean not null default false;
