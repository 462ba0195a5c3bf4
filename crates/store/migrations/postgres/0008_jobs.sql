-- Long work: what is to be done, how far it is, what came of it.
create table jobs (
    id text collate "C" not null constraint jobs_id_key primary key,
    kind text collate "C" not null,
    owner_id text collate "C" not null references users (id),
    key_id text collate "C",
    model_id text collate "C",
    input text collate "C" not null,
    state text collate "C" not null,
    cancel_requested boolean not null,
    done bigint not null,
    total bigint,
    phase text collate "C" not null,
    message text collate "C" not null,
    attempt bigint not null,
    max_attempts bigint not null,
    retries bigint not null,
    run_at bigint not null,
    locked_until bigint,
    locked_by text collate "C",
    unique_key text collate "C",
    result text collate "C",
    error text collate "C",
    created_at bigint not null,
    started_at bigint,
    finished_at bigint
);
-- At most one unfinished job of a key; a finished one gives its key up.
create unique index jobs_unique_key_key on jobs (unique_key);
create index jobs_state on jobs (state, run_at);
create index jobs_owner_id on jobs (owner_id, id);

create table job_events (
    job_id text collate "C" not null references jobs (id) on delete cascade,
    number bigint not null,
    at bigint not null,
    event text collate "C" not null,
    detail text collate "C" not null,
    constraint job_events_number_key primary key (job_id, number)
);

-- Contents that belong to a job: what it reads (`input`) and what it wrote (`result`).
create table job_files (
    job_id text collate "C" not null references jobs (id) on delete cascade,
    role text collate "C" not null,
    sha256 text collate "C" not null,
    size_bytes bigint not null,
    constraint job_files_role_key primary key (job_id, role)
);
create index job_files_sha256 on job_files (sha256);
