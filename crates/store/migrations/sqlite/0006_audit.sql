-- Append-only; each hash seals its row and, through the hash before it, all earlier ones.
create table audit (
    seq bigint not null constraint audit_seq_key primary key,
    at bigint not null,
    via text not null,
    user_id text,
    key_id text,
    address text,
    action text not null,
    object_kind text not null,
    object_id text not null,
    details text not null,
    request_id text,
    hash blob not null
);
create index audit_at on audit (at);
create index audit_user_id on audit (user_id, seq);
create index audit_object_id on audit (object_id, seq);

-- One row: the end of the chain. Whoever appends holds it until the commit.
create table audit_head (
    id bigint not null constraint audit_head_id_key primary key check (id = 1),
    seq bigint not null,
    hash blob not null
);
insert into audit_head (id, seq, hash) values (1, 0, zeroblob(32));

-- Append-only; the newest row is the mode the platform is in.
create table mode_changes (
    seq bigint not null constraint mode_changes_seq_key primary key,
    mode text not null,
    serve boolean not null,
    reason text,
    by_user_id text,
    at bigint not null
);

-- What became of requests that may be sent twice. The id is a digest of who
-- asked for what under which Idempotency-Key.
create table idempotent_requests (
    id text not null constraint idempotent_requests_id_key primary key,
    claim text not null,
    claimed_at bigint not null,
    expires_at bigint not null,
    effect text,
    request_sha256 text,
    status bigint,
    headers text,
    body text
);
create index idempotent_requests_expires_at on idempotent_requests (expires_at);
