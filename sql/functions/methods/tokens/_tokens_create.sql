CREATE OR REPLACE FUNCTION colbert._tokens_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_create$
DECLARE
  _key_type text := (colbert._source_types(index)).key_type;
  _type text := (colbert._tokens_layout(index)).type;
BEGIN
  PERFORM colbert._create_derived(
    index, 'tokens',
    format('doc_id %s NOT NULL, position integer NOT NULL, embedding %s NOT NULL, '
           'PRIMARY KEY (doc_id, position)', _key_type, _type),
    'documents');
END
$_tokens_create$;

COMMENT ON FUNCTION colbert._tokens_create(colbert._index) IS
  'Makes the token table of an index, empty and without pgvector''s index.';
