create table users (
    id text not null constraint users_id_key primary key,
    email text not null,
    password_hash text,
    full_name text,
    role text not null,
    is_active boolean not null,
    token_epoch bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    last_login_at bigint
);
create unique index users_email_key on users (email);
create index users_created_at on users (created_at);

create table refresh_tokens (
    hash blob not null constraint refresh_tokens_hash_key primary key,
    family_id text not null,
    user_id text not null references users (id) on delete cascade,
    created_at bigint not null,
    expires_at bigint not null,
    family_expires_at bigint not null,
    used_at bigint,
    revoked_at bigint
);
create index refresh_tokens_family_id on refresh_tokens (family_id);
create index refresh_tokens_user_id on refresh_tokens (user_id);
create index refresh_tokens_family_expires_at on refresh_tokens (family_expires_at);

create table api_keys (
    id text not null constraint api_keys_id_key primary key,
    handle text not null,
    hash blob not null,
    user_id text not null references users (id),
    name text not null,
    description text not null,
    scopes text not null,
    model_ids text not null,
    rate_limit bigint,
    burst_requests bigint,
    burst_window_s bigint,
    is_active boolean not null,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint,
    rotated_from text,
    last_used_at bigint,
    total_requests bigint not null
);
create unique index api_keys_handle_key on api_keys (handle);
create index api_keys_user_id on api_keys (user_id, created_at);

create table models (
    id text not null constraint models_id_key primary key,
    owner_id text not null references users (id),
    name text not null,
    description text not null,
    tags text not null,
    task text not null,
    status text not null,
    search_text text not null,
    last_version bigint not null,
    prediction_count bigint not null,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index models_name_key on models (owner_id, name);
create index models_created_at on models (created_at);

create table versions (
    id text not null constraint versions_id_key primary key,
    model_id text not null references models (id),
    number bigint not null,
    label text not null,
    description text not null,
    status text not null,
    stage text not null,
    format text not null,
    algorithm text not null,
    library text not null,
    task text not null,
    sha256 text not null,
    size_bytes bigint not null,
    file_name text not null,
    input_schema text not null,
    output_schema text not null,
    classes text not null,
    metrics text not null,
    config text not null,
    training_info text not null,
    tags text not null,
    verification text,
    created_by text not null,
    created_at bigint not null,
    prediction_count bigint not null,
    failure_count bigint not null
);
create unique index versions_number_key on versions (model_id, number);
create unique index versions_label_key on versions (model_id, label);
-- At most one version of a model is in production.
create unique index versions_model_id_key on versions (model_id) where stage = 'production';
create index versions_sha256 on versions (sha256);

-- Append-only; it outlives the models and users it names.
create table promotions (
    id text not null constraint promotions_id_key primary key,
    model_id text not null,
    version_id text not null,
    previous_version_id text,
    action text not null,
    by_user_id text not null,
    at bigint not null
);
create index promotions_model_id on promotions (model_id, id);

create table settings (
    name text not null constraint settings_name_key primary key,
    value text not null,
    updated_at bigint not null
);

-- One row; the counter tells a running server that another process wrote.
create table changes (
    id bigint not null constraint changes_id_key primary key check (id = 1),
    counter bigint not null
);
insert into changes (id, counter) values (1, 0);
