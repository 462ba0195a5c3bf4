-- The flat form of a content, made by a program of this version; any of them can be made again.
create table flat_forms (
    sha256 text collate "C" not null constraint flat_forms_sha256_key primary key,
    version text collate "C" not null,
    flat_sha256 text collate "C" not null
);
create index flat_forms_flat_sha256 on flat_forms (flat_sha256);
