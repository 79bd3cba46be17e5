-- Training is due anew when as many centroids have come in since the last one as it made, which is when there are four
-- times as many tokens, or twice as many where a centroid stands for 150 (_plaid_wanted_centroids). It is never due for fewer than a few
-- thousand centroids. Without it, an index is due to be built anew when three quarters of the ordinals have been given out.
CREATE OR REPLACE FUNCTION colbert._plaid_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_state$
DECLARE
  _count record;
  _ordinal bigint;
BEGIN
  IF NOT colbert._plaid_readable(index) THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT max(d.ordinal) FROM %s AS d', colbert._derived_table(index, 'documents')) INTO _ordinal;
  IF _ordinal > 0.75 * colbert._plaid_last_ordinal() THEN
    state := 'stale';
    advice := format('%s of %s ordinals have been given out, run reindex with retrain => false',
                     _ordinal, colbert._plaid_last_ordinal());
    RETURN;
  ELSIF colbert._tenant_column(index) IS NOT NULL THEN
    SELECT s.state, s.advice INTO state, advice FROM colbert._plaid_state_of_parts(index) AS s;
    RETURN;
  END IF;
  _count := colbert._plaid_centroid_count(index);
  IF _count.trained >= colbert._plaid_few_centroids() AND colbert._pgvector_indexes(index, 'centroids', '{hnsw, ivfflat}') IS NULL THEN
    state := 'broken';
    advice := format('%s has no index of pgvector''s, run repair_index', colbert._registered_table(index, 'centroids'));
  ELSIF colbert._plaid_outgrown(_count.trained, _count.grown) THEN
    state := 'stale';
    advice := format('%s of %s centroids have come in since the training, run reindex',
                     _count.grown, _count.grown + _count.trained);
  END IF;
END
$_plaid_state$;

COMMENT ON FUNCTION colbert._plaid_state(colbert._index) IS
  'Whether pgvector''s index on the centroids is there, and whether retraining is due; NULL when all is well.';

CREATE OR REPLACE FUNCTION colbert._plaid_outgrown(trained integer, grown integer)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN grown > greatest(trained, 4 * colbert._plaid_few_centroids());

COMMENT ON FUNCTION colbert._plaid_outgrown(integer, integer) IS
  'Whether so many centroids have come in since the training that it is due anew.';

-- The parts of tenants judge for themselves.
CREATE OR REPLACE FUNCTION colbert._plaid_keeps(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN colbert._tenant_column(index) IS NOT NULL
       OR (SELECT NOT colbert._plaid_outgrown(c.trained, c.grown) FROM colbert._plaid_centroid_count(index) AS c);

COMMENT ON FUNCTION colbert._plaid_keeps(colbert._index) IS
  'Whether a stale index is built anew from the centroids that are there.';

-- Parts are due anew when they have twice as many documents as they were built from, and when tenants without a part have
-- enough for one: together a twentieth of all of these.
CREATE OR REPLACE FUNCTION colbert._plaid_state_of_parts(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_state_of_parts$
DECLARE
  _outgrown bigint;
  _documents bigint;
  _all bigint;
BEGIN
  EXECUTE format(
    'SELECT count(*) FILTER (WHERE t.part IS NULL), sum(t.documents) FILTER (WHERE t.part IS NULL), sum(t.documents) '
    '  FROM (%s) AS t', colbert._plaid_tenants_sql(index, index))
     INTO _outgrown, _documents, _all;
  IF _documents > _all / 20 THEN
    state := 'stale';
    advice := format('%s of %s documents are of %s tenants that have outgrown the index, run reindex',
                     _documents, _all, _outgrown);
  END IF;
END
$_plaid_state_of_parts$;

COMMENT ON FUNCTION colbert._plaid_state_of_parts(colbert._index) IS
  'Whether parts of an index are due to be built anew; NULL when all is well.';
