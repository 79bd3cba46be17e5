-- Settings for tune to try.
CREATE OR REPLACE FUNCTION colbert._plaid_settings(index colbert._index)
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
ROWS 16
BEGIN ATOMIC
  SELECT jsonb_build_object('nprobe', n.nprobe, 'patience', p.patience, 'candidates', 5 * p.patience)
    FROM unnest(ARRAY[8, 16, 32, 64]) AS n (nprobe)
   CROSS JOIN unnest(ARRAY[20, 40, 80, 160]) AS p (patience);
END;

COMMENT ON FUNCTION colbert._plaid_settings(colbert._index) IS 'Settings of a plaid index that tune tries.';

-- What the candidate stage reads for a query.
CREATE OR REPLACE FUNCTION colbert._plaid_insight(index colbert._index, query vector[])
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET ivfflat.probes = 4
AS $_plaid_insight$
DECLARE
  _nprobe integer := colbert._plaid_nprobe(index);
  _probes bigint;
  _postings bigint;
BEGIN
  EXECUTE format(
    'SELECT count(*), sum((SELECT count(*) FROM %1$s AS p WHERE p.centroid_id = c.id)) '
    '  FROM unnest($1) AS q (token) '
    ' CROSS JOIN LATERAL (SELECT c.id FROM %2$s AS c '
    '                      ORDER BY c.centroid OPERATOR(%3$I.<#>) q.token::%4$s LIMIT $2) AS c',
    colbert._derived_table(index, 2), colbert._derived_table(index, 1), colbert._vector_schema(),
    colbert._plaid_type(index))
     INTO _probes, _postings
    USING query, _nprobe;
  RETURN format('%s query tokens, nprobe %s: %s of %s centroids probed, %s postings read',
                cardinality(query), _nprobe, _probes,
                (SELECT n.trained + n.grown FROM colbert._plaid_centroid_count(index) AS n), _postings);
END
$_plaid_insight$;

COMMENT ON FUNCTION colbert._plaid_insight(colbert._index, vector[]) IS
  'What the candidate stage of a plaid index reads for a query.';

-- How many centroids each query token probes: 16, but more where postings are so few for a centroid, in a small
-- collection, that those would not reach 400 documents. As many lists of pgvector's index are read as hold them.
CREATE OR REPLACE FUNCTION colbert._plaid_nprobe(index colbert._index)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_nprobe$
DECLARE
  _postings float8 := (SELECT p.reltuples / greatest(1, c.reltuples)
                         FROM pg_class AS c, pg_class AS p
                        WHERE c.oid = index.tables[1] AND p.oid = index.tables[2]);
  _nprobe integer := colbert._knob('nprobe', NULL, index.options, greatest(16, 400 / greatest(1, _postings))::integer);
BEGIN
  PERFORM set_config('ivfflat.probes', least(32768, greatest(4, _nprobe / 4))::text, true);
  RETURN _nprobe;
END
$_plaid_nprobe$;

COMMENT ON FUNCTION colbert._plaid_nprobe(colbert._index) IS
  'How many centroids each query token probes; sets the lists that pgvector''s index reads accordingly.';
