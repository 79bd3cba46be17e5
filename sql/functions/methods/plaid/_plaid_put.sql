-- Ordinals are integers, which end. Beyond the last one that is taken, a million are left: so many writes are told what
-- to do before the sequence says that it has none.
CREATE OR REPLACE FUNCTION colbert._plaid_put(index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_put$
DECLARE
  _ordinal integer;
BEGIN
  PERFORM colbert._plaid_grow(index, embeddings);
  EXECUTE format(
    'WITH document AS ('
    '  INSERT INTO %1$s (doc_id, tokens, centroid_ids, digest%4$s) '
    '  VALUES ($2::%2$s, cardinality($3), colbert._plaid_centroid_ids($1, $3), colbert._plaid_digest($3)%5$s) '
    '  RETURNING ordinal, centroid_ids'
    '), posting AS ('
    '  INSERT INTO %3$s (centroid_id, ordinal%4$s) SELECT unnest(d.centroid_ids), d.ordinal%5$s FROM document AS d) '
    'SELECT d.ordinal FROM document AS d',
    colbert._derived_table(index, 'documents'), (colbert._source_types(index)).key_type,
    colbert._derived_table(index, 'postings'),
    CASE WHEN index.part IS NOT NULL THEN ', part' END, ', ' || index.part)
     INTO _ordinal
    USING index, doc_id, embeddings;
  IF _ordinal > colbert._plaid_last_ordinal() THEN
    RAISE EXCEPTION 'the index on "%" has taken as many writes as it can count', index.source
      USING ERRCODE = 'program_limit_exceeded',
            HINT = format('CALL colbert.reindex_concurrently(%L, %L, retrain => false) counts from 1 again.',
                          index.source, index.embeddings);
  END IF;
END
$_plaid_put$;

COMMENT ON FUNCTION colbert._plaid_put(colbert._index, text, anyarray) IS
  'Files a new document under the centroids of its tokens.';

-- Lets the centroids grow with the tokens, from an empty table on. A token becomes a centroid with the probability that
-- keeps their number at what is wanted (_plaid_centroid_chance). The number of centroids is taken from their ids, which
-- are given out one after the other: nothing has to be counted. The part of a tenant does not grow. It is built anew when
-- it has twice as many documents.
CREATE OR REPLACE FUNCTION colbert._plaid_grow(index colbert._index, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_grow$
DECLARE
  _centroids regclass := colbert._derived_table(index, 'centroids');
  _count integer;
BEGIN
  IF index.part IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT max(c.id) - min(c.id) + 1 FROM %s AS c', _centroids) INTO _count;
  IF _count >= (index.options ->> 'centroids')::integer THEN
    RETURN;
  END IF;
  EXECUTE format(
    'INSERT INTO %1$s (centroid, trained) '
    'SELECT DISTINCT d.token, false '
    '  FROM unnest($1) AS u (token) CROSS JOIN LATERAL (SELECT colbert._direction(u.token)::%2$s AS token) AS d '
    ' WHERE random() < colbert._plaid_centroid_chance($2) '
    '   AND (SELECT c.centroid OPERATOR(%3$I.=) d.token FROM %1$s AS c '
    '         ORDER BY c.centroid OPERATOR(%3$I.<#>) d.token LIMIT 1) IS NOT TRUE',
    _centroids, colbert._plaid_type(index), colbert._vector_schema())
    USING embeddings, coalesce(_count, 0);
END
$_plaid_grow$;

COMMENT ON FUNCTION colbert._plaid_grow(colbert._index, anyarray) IS
  'Makes centroids of some tokens of a new document: the more centroids there are, the fewer.';
