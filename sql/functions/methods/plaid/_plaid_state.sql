-- What colbert.indexes says of a plaid index. Retraining is due when as many centroids have come in since the training
-- as came out of it, which is when there are four times as many tokens; and never for fewer than a few thousand, which
-- are compared one by one fast enough.
CREATE OR REPLACE FUNCTION colbert._plaid_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_state$
DECLARE
  _count record;
BEGIN
  IF NOT colbert._plaid_readable(index) THEN
    RETURN;
  END IF;
  _count := colbert._plaid_centroid_count(index);
  IF _count.trained >= colbert._plaid_few() AND colbert._plaid_ann(index) IS NULL THEN
    state := 'broken';
    advice := format('%s has no ivfflat index, run repair_index', colbert._registered_table(index, 'centroids'));
  ELSIF _count.grown > greatest(_count.trained, 4 * colbert._plaid_few()) THEN
    state := 'stale';
    advice := format('%s of %s centroids have come in since the training, run reindex',
                     _count.grown, _count.grown + _count.trained);
  END IF;
END
$_plaid_state$;

COMMENT ON FUNCTION colbert._plaid_state(colbert._index) IS
  'Whether pgvector''s index on the centroids is there, and whether retraining is due; NULL when all is well.';

CREATE OR REPLACE FUNCTION colbert._plaid_centroid_count(
  index colbert._index, OUT trained integer, OUT grown integer)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_centroid_count$
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE c.trained), count(*) FILTER (WHERE NOT c.trained) FROM %s AS c',
                 colbert._derived_table(index, 'centroids'))
     INTO trained, grown;
END
$_plaid_centroid_count$;

COMMENT ON FUNCTION colbert._plaid_centroid_count(colbert._index) IS
  'How many centroids were trained, and how many have come in since.';

-- Whether the tables are there and the caller's own, without a policy that would have to be asked: colbert.indexes is
-- for everybody, and for every state that an index may be in.
CREATE OR REPLACE FUNCTION colbert._plaid_readable(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT count(*) = 3 AND bool_and(colbert._is_own(t))
         AND colbert._is_own(index.source) AND NOT pg_catalog.row_security_active(index.source)
    FROM colbert._derived_tables(index) AS t
   WHERE t IN (colbert._registered_table(index, 'centroids'), colbert._registered_table(index, 'postings'),
               colbert._registered_table(index, 'documents'));
END;

COMMENT ON FUNCTION colbert._plaid_readable(colbert._index) IS
  'Whether the tables of a plaid index are there and the caller''s own.';

-- The planner's number of documents, times the mean of a hundred pages of them.
CREATE OR REPLACE FUNCTION colbert._plaid_count(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_count$
DECLARE
  _documents pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = colbert._registered_table(index, 'documents'));
  _tokens float8;
BEGIN
  IF NOT colbert._plaid_readable(index) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('SELECT avg(d.tokens) FROM %s AS d TABLESAMPLE SYSTEM (least(100, 10000.0 / $1))',
                 colbert._derived_table(index, 'documents'))
     INTO _tokens
    USING greatest(1, _documents.relpages);
  RETURN nullif(_documents.reltuples, -1) * coalesce(_tokens, 0);
END
$_plaid_count$;

COMMENT ON FUNCTION colbert._plaid_count(colbert._index) IS
  'About how many document tokens are filed, as of the last ANALYZE.';
