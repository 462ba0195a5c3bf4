-- Append-only; each hash seals its row and, through the hash before it, all earlier ones.
create table audit (
    seq bigint not null constraint audit_seq_key primary key,
    at bigint not null,
    via text collate "C" not null,
    user_id text collate "C",
    key_id text collate "C",
    address text collate "C",
    action text collate "C" not null,
    object_kind text collate "C" not null,
    object_id text collate "C" not null,
    details text collate "C" not null,
    request_id text collate "C",
    hash bytea not null
);
create index audit_at on audit (at);
create index audit_user_id on audit (user_id, seq);
create index audit_object_id on audit (object_id, seq);

-- One row: the end of the chain. Whoever appends holds it until the commit.
create table audit_head (
    id bigint not null constraint audit_head_id_key primary key check (id = 1),
    seq bigint not null,
    hash bytea not null
);
insert into audit_head (id, seq, hash) values (1, 0, decode(repeat('00', 32), 'hex'));

-- Append-only; the newest row is the mode the platform is in.
create table mode_changes (
    seq bigint not null constraint mode_changes_seq_key primary key,
    mode text collate "C" not null,
    serve boolean not null,
    reason text collate "C",
    by_user_id text collate "C",
    at bigint not null
);

-- What became of requests that may be sent twice. The id is a digest of who
-- asked for what under which Idempotency-Key.
create table idempotent_requests (
    id text collate "C" not null constraint idempotent_requests_id_key primary key,
    claim text collate "C" not null,
    claimed_at bigint not null,
    expires_at bigint not null,
    effect text collate "C",
    request_sha256 text collate "C",
    status bigint,
    headers text collate "C",
    body text collate "C"
);
create index idempotent_requests_expires_at on idempotent_requests (expires_at);
