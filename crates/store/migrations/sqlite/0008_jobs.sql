-- Long work: what is to be done, how far it is, what came of it.
create table jobs (
    id text not null constraint jobs_id_key primary key,
    kind text not null,
    owner_id text not null references users (id),
    key_id text,
    model_id text,
    input text not null,
    state text not null,
    cancel_requested boolean not null,
    done bigint not null,
    total bigint,
    phase text not null,
    message text not null,
    attempt bigint not null,
    max_attempts bigint not null,
    retries bigint not null,
    run_at bigint not null,
    locked_until bigint,
    locked_by text,
    unique_key text,
    result text,
    error text,
    created_at bigint not null,
    started_at bigint,
    finished_at bigint
);
-- At most one unfinished job of a key; a finished one gives its key up.
create unique index jobs_unique_key_key on jobs (unique_key);
create index jobs_state on jobs (state, run_at);
create index jobs_owner_id on jobs (owner_id, id);

create table job_events (
    job_id text not null references jobs (id) on delete cascade,
    number bigint not null,
    at bigint not null,
    event text not null,
    detail text not null,
    constraint job_events_number_key primary key (job_id, number)
);

-- Contents that belong to a job: what it reads (`input`) and what it wrote (`result`).
create table job_files (
    job_id text not null references jobs (id) on delete cascade,
    role text not null,
    sha256 text not null,
    size_bytes bigint not null,
    constraint job_files_role_key primary key (job_id, role)
);
create index job_files_sha256 on job_files (sha256);
