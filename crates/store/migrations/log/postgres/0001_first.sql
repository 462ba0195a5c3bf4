-- One row for each prediction request. The large columns come last, so that a
-- filter need not read past them.
create table predictions (
    id text collate "C" not null constraint predictions_id_key primary key,
    owner_id text collate "C" not null,
    model_id text collate "C" not null,
    version_id text collate "C" not null,
    version_number bigint not null,
    endpoint text collate "C",
    key_id text collate "C",
    request_id text collate "C",
    header_request_id text collate "C" not null,
    error_code text collate "C",
    error_message text collate "C",
    row_count bigint not null,
    input_bytes bigint not null,
    truncated boolean not null,
    payload text collate "C" not null,
    confidence double precision,
    latency_us bigint not null,
    created_at bigint not null,
    input text collate "C",
    output text collate "C"
);
-- Measured a row of 700 bytes of JSON: SQLite 5.7 us and 1,071 bytes with the
-- primary key alone, 1.3 us and 54 bytes more for the models, 0.5 us and 54
-- bytes more for the owners; PostgreSQL 6.4 us, then 1.3 and 1.1 us and 60 to
-- 100 bytes more. Retention needs the first, a person's history the second.
create index predictions_model_id on predictions (model_id, created_at);
create index predictions_owner_id on predictions (owner_id, created_at);

-- What the table above holds of each model, so that retention need not count.
create table stored_predictions (
    model_id text collate "C" not null constraint stored_predictions_model_id_key primary key,
    row_count bigint not null,
    bytes bigint not null
);

create table key_usage (
    key_id text collate "C" not null constraint key_usage_key_id_key primary key,
    requests bigint not null,
    last_used_at bigint not null
);

create table version_usage (
    version_id text collate "C" not null constraint version_usage_version_id_key primary key,
    model_id text collate "C" not null,
    predictions bigint not null,
    failures bigint not null
);

-- How far the journal of each start of the program has been read.
create table log_cursors (
    boot text collate "C" not null constraint log_cursors_boot_key primary key,
    segment bigint not null,
    byte_offset bigint not null,
    closed boolean not null,
    updated_at bigint not null
);
