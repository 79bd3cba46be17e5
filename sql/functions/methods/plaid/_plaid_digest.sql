-- A digest of the bytes of the array, in which any change shows. The first twelve bytes are left out: they hold the OID
-- of the element type, which differs in a restored database.
CREATE OR REPLACE FUNCTION colbert._plaid_digest(embeddings anyarray)
RETURNS bytea
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
AS $_plaid_digest$ SELECT pg_catalog.sha256(pg_catalog.substr(pg_catalog.array_send(embeddings), 13)) $_plaid_digest$;

COMMENT ON FUNCTION colbert._plaid_digest(anyarray) IS 'The SHA-256 of an array of token vectors.';
