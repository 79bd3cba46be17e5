-- Each step but the last copies the tokens of a batch of documents. pgvector's index is built last: that is faster, and
-- for ivfflat it is the only way that makes sense.
CREATE OR REPLACE FUNCTION colbert._tokens_build_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_build_step$
BEGIN
  IF step = steps THEN
    PERFORM colbert._tokens_build_ann(index);
    RETURN;
  END IF;
  EXECUTE format('INSERT INTO %s (doc_id, position, embedding) '
                 'SELECT s.%I, u.position, %s '
                 '  FROM %s AS s CROSS JOIN LATERAL unnest(s.%I) WITH ORDINALITY AS u (token, position)'
                 ' WHERE %s '
                 '   AND (colbert._document_problem(s.%5$I, $4, $5)).problem IS NULL',
                 colbert._derived_table(index, 'tokens'), index.key,
                 format((colbert._tokens_layout(index)).conversion, 'u.token'),
                 index.source, index.embeddings, colbert._in_batch_sql(index))
    USING index, step, steps - 1, index.dimensions, colbert._normalized(index);
END
$_tokens_build_step$;

COMMENT ON FUNCTION colbert._tokens_build_step(colbert._index, integer, integer) IS
  'Copies the tokens of a batch of the source''s documents, or builds pgvector''s index on all.';

CREATE OR REPLACE FUNCTION colbert._tokens_build_steps(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
RETURN 1 + colbert._batches(index);

COMMENT ON FUNCTION colbert._tokens_build_steps(colbert._index) IS
  'In how many steps the token table of an index is filled.';
