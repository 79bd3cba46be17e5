-- Fills the token table from the source and leaves out bad documents. pgvector's index is built last: that is faster,
-- and for ivfflat it is the only way that makes sense.
CREATE OR REPLACE FUNCTION colbert._tokens_build(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_build$
DECLARE
  _tokens regclass := colbert._derived_table(index, 'tokens');
BEGIN
  EXECUTE format('INSERT INTO %s (doc_id, position, embedding) '
                 'SELECT s.%I, u.position, %s '
                 '  FROM %s AS s CROSS JOIN LATERAL unnest(s.%I) WITH ORDINALITY AS u (token, position)'
                 ' WHERE (colbert._document_problem(s.%5$I, $1, $2)).problem IS NULL',
                 _tokens, index.key, format((colbert._tokens_layout(index)).conversion, 'u.token'),
                 index.source, index.embeddings)
    USING index.dimensions, colbert._normalized(index);
  PERFORM colbert._tokens_build_ann(index);
END
$_tokens_build$;

COMMENT ON FUNCTION colbert._tokens_build(colbert._index) IS
  'Fills an empty token table from the source and builds pgvector''s index on it.';
