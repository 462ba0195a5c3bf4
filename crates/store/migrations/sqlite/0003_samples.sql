-- The content with a version's sample rows, if it came with some.
alter table versions add column samples_sha256 text;
