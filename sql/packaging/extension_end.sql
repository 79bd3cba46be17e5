-- Rows that pg_dump saves, beyond CREATE EXTENSION itself: the registry and its sequences.
-- Not the ledger: CREATE EXTENSION fills it.
SELECT pg_catalog.pg_extension_config_dump('colbert._index', '');
SELECT pg_catalog.pg_extension_config_dump('colbert._index_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('colbert._worker', '');
SELECT pg_catalog.pg_extension_config_dump('colbert._build', '');
SELECT pg_catalog.pg_extension_config_dump('colbert._query', '');
SELECT pg_catalog.pg_extension_config_dump('colbert._query_worker', '');
