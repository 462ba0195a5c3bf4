-- A name stays with its endpoint after it was stopped, and so does its ledger.
create table endpoints (
    id text collate "C" not null constraint endpoints_id_key primary key,
    owner_id text collate "C" not null references users (id),
    name text collate "C" not null,
    model_id text collate "C" not null references models (id),
    state text collate "C" not null,
    sticky text collate "C" not null,
    workload_size text collate "C" not null,
    scale_to_zero boolean not null,
    environment text collate "C" not null,
    guardrails text collate "C" not null,
    revision bigint not null,
    deployments bigint not null,
    created_by text collate "C" not null,
    created_at bigint not null,
    updated_at bigint not null
);
create unique index endpoints_name_key on endpoints (owner_id, name);
create index endpoints_model_id on endpoints (model_id);

-- What each endpoint that answers serves now, in order.
create table endpoint_versions (
    endpoint_id text collate "C" not null references endpoints (id),
    position bigint not null,
    version_id text collate "C" not null references versions (id),
    weight bigint not null,
    role text collate "C" not null,
    constraint endpoint_versions_position_key primary key (endpoint_id, position)
);
create index endpoint_versions_version_id on endpoint_versions (version_id);

-- Append-only; each endpoint numbers its own from 1 without a gap.
create table deployments (
    id text collate "C" not null constraint deployments_id_key primary key,
    endpoint_id text collate "C" not null references endpoints (id),
    owner_id text collate "C" not null,
    number bigint not null,
    action text collate "C" not null,
    model_id text collate "C" not null,
    model_name text collate "C" not null,
    version_id text collate "C" not null,
    version_number bigint not null,
    previous_version_number bigint,
    served text collate "C" not null,
    restores bigint,
    error text collate "C",
    reason text collate "C",
    by_user_id text collate "C" not null,
    at bigint not null
);
create unique index deployments_number_key on deployments (endpoint_id, number);
create index deployments_owner_id on deployments (owner_id, at);
create index deployments_version_id on deployments (version_id);
