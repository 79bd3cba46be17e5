CREATE OR REPLACE FUNCTION colbert._tokens_put(
  index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_put$
BEGIN
  EXECUTE format('INSERT INTO %s (doc_id, position, embedding) '
                 'SELECT $1::%s, u.position, %s FROM unnest($2) WITH ORDINALITY AS u (token, position)',
                 colbert._derived_table(index, 'tokens'), (colbert._source_types(index)).key_type,
                 format((colbert._tokens_layout(index)).conversion, 'u.token'))
    USING doc_id, embeddings;
END
$_tokens_put$;

COMMENT ON FUNCTION colbert._tokens_put(colbert._index, text, anyarray) IS
  'Adds the tokens of a document that is not in the token table.';

CREATE OR REPLACE FUNCTION colbert._tokens_remove(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_remove$
BEGIN
  EXECUTE format('DELETE FROM %s AS t WHERE t.doc_id = $1::%s',
                 colbert._derived_table(index, 'tokens'), (colbert._source_types(index)).key_type)
    USING doc_id;
END
$_tokens_remove$;

COMMENT ON FUNCTION colbert._tokens_remove(colbert._index, text) IS
  'Takes the tokens of a document out of the token table.';

CREATE OR REPLACE FUNCTION colbert._tokens_clear(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_clear$
BEGIN
  EXECUTE format('TRUNCATE %s', colbert._derived_table(index, 'tokens'));
END
$_tokens_clear$;

COMMENT ON FUNCTION colbert._tokens_clear(colbert._index) IS 'Empties the token table.';

-- hnsw keeps the graph's dead tokens until VACUUM, and ivfflat the centres of the data it was built on.
CREATE OR REPLACE FUNCTION colbert._tokens_rebuild(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_rebuild$
BEGIN
  PERFORM colbert._tokens_build_ann(index);
END
$_tokens_rebuild$;

COMMENT ON FUNCTION colbert._tokens_rebuild(colbert._index) IS
  'Builds pgvector''s index anew on the tokens that are there.';
