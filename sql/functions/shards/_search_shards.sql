-- A search over shards: the k best of each, merged by score and key. Filter, values and knobs go along. The documents
-- that a shard holds are searched as of when its turn comes: there is one snapshot for each shard.
--
-- Where documents are spread by chance, a shard is told its share and does less (_effort). It may then stop with fewer than k
-- documents. Should all together have fewer than k, and one have stopped so, all are asked again without.
CREATE OR REPLACE FUNCTION colbert._search_shards(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, min_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_shards$
DECLARE
  _share float8 := CASE WHEN exact THEN 1
                        ELSE least(1, colbert._factor('share', '{}', colbert._share_of_shards(index))) END;
  _knobs jsonb := (SELECT coalesce(jsonb_object_agg(n.name, n.value), '{}')
                     FROM (SELECT u.name, nullif(current_setting('colbert.' || u.name, true), '') AS value
                             FROM unnest(colbert._known_knobs()) AS u (name)) AS n
                    WHERE n.value IS NOT NULL AND n.name <> 'share');
  _request jsonb;
  _shards integer[];
  _keys text[];
  _scores float8[];
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params);
  LOOP
    _request := jsonb_build_object(
      'version', colbert._request_version(), 'k', k, 'filter', filter, 'params', params, 'candidates', candidates,
      'exact', exact, 'embeddings', index.embeddings, 'min_score', min_score, 'search_path', search_path,
      'time_zone', current_setting('TimeZone'),
      'knobs', _knobs || CASE WHEN _share < 1 THEN jsonb_build_object('share', round(_share::numeric, 6)) ELSE '{}' END);
    SELECT array_agg(a.shard), array_agg(a.doc_id), array_agg(a.score)
      INTO _shards, _keys, _scores
      FROM colbert._answers_of_shards(
             index, format('colbert.search_shard(%%L, %s, %s)', replace(quote_literal(query), '%', '%%'),
                           replace(quote_literal(_request), '%', '%%'))) AS a;
    EXIT WHEN _share = 1 OR cardinality(_keys) IS NULL OR cardinality(_keys) >= k
           OR NOT EXISTS (SELECT FROM unnest(_shards) AS s (shard)
                           GROUP BY s.shard HAVING count(*) >= colbert._k_of_share(k, _share));
    _share := 1;
  END LOOP;
  RETURN QUERY EXECUTE format(
    'SELECT a.doc_id::%s, a.score FROM unnest($1::text[], $2::float8[]) AS a (doc_id, score) '
    ' ORDER BY a.score DESC, a.doc_id::%s LIMIT $3',
    colbert._type_name(pg_typeof(key)), (colbert._source_types(index)).key_cast)
    USING _keys, _scores, k;
END
$_search_shards$;

COMMENT ON FUNCTION colbert._search_shards(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The best documents of all shards; search_path is the caller''s.';

-- The caller needs SELECT on the source, as for any search. Its row-level security says nothing about rows of foreign
-- partitions. Citus gives its shards the same policies, and they hold there for the same role. What else a policy reads,
-- settings or what a function finds, the shards do not know.
CREATE OR REPLACE FUNCTION colbert._refuse_reader_of_shards(index colbert._index)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_reader_of_shards$
BEGIN
  EXECUTE format('SELECT s.%I, s.%I FROM %s AS s WHERE false', index.key, index.embeddings, index.source);
  IF row_security_active(index.source) AND NOT (colbert._is_distributed(index.source) AND colbert._policies_travel(index.source))
  THEN
    RAISE EXCEPTION 'row-level security of table "%" does not reach its shards', index.source
      USING ERRCODE = 'feature_not_supported',
            HINT = CASE WHEN colbert._is_distributed(index.source)
                        THEN 'Write the policies without settings and functions: with current_user, and columns of the table.'
                        ELSE 'Put the policies on the tables of the shards, and map each role to one of its own there.' END;
  END IF;
END
$_refuse_reader_of_shards$;

COMMENT ON FUNCTION colbert._refuse_reader_of_shards(colbert._index) IS
  'Raises for a caller who may not read the table, or whom row-level security limits.';

CREATE OR REPLACE FUNCTION colbert._policies_travel(source regclass)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_policies_travel$
BEGIN
  RETURN NOT EXISTS (
    SELECT
      FROM pg_policy AS p
     WHERE p.polrelid = source
       AND (pg_get_expr(p.polqual, p.polrelid) ~* '\m(current_setting|session_user|system_user)\M'
            OR EXISTS (SELECT FROM pg_depend AS d
                        WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass)));
END
$_policies_travel$;

COMMENT ON FUNCTION colbert._policies_travel(regclass) IS
  'Whether the policies of a table read nothing but its rows and the role.';

-- What a function that returns (doc_id, score) finds on each shard. call is SQL with %L for the table.
CREATE OR REPLACE FUNCTION colbert._answers_of_shards(index colbert._index, call text)
RETURNS TABLE (shard integer, doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_answers_of_shards$
DECLARE
  _on_failure text := colbert._on_failure();
  _shards colbert._shard[];
  _answers jsonb[];
BEGIN
  PERFORM colbert._refuse_reader_of_shards(index);
  _shards := colbert._one_of_each(ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s));
  _answers := colbert._ask_shards(
    _shards,
    ARRAY(SELECT 'SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(r.doc_id, r.score)), ''[]'') FROM '
                 || format(call, s.remote) || ' AS r'
            FROM unnest(_shards) WITH ORDINALITY AS s (partition, server, remote, connection, position)
           ORDER BY s.position),
    _on_failure);
  RETURN QUERY
    SELECT a.shard::integer, f.found ->> 0, (f.found ->> 1)::float8
      FROM unnest(_answers) WITH ORDINALITY AS a (answer, shard)
     CROSS JOIN LATERAL jsonb_array_elements(a.answer) AS f (found);
END
$_answers_of_shards$;

COMMENT ON FUNCTION colbert._answers_of_shards(colbert._index, text) IS
  'The rows of a function that returns (doc_id, score) from all shards, with the number of the shard, in no order.';

-- The share of the documents that each shard has, where they are spread by chance: by the hash of the key, over shards of
-- one modulus. Else 1: of a list or a range, all that a query looks for may be on one shard.
CREATE OR REPLACE FUNCTION colbert._share_of_shards(index colbert._index)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_share_of_shards$
DECLARE
  _share float8;
BEGIN
  IF colbert._is_distributed(index.source) THEN
    EXECUTE
      'SELECT CASE WHEN max(s.size) - min(s.size) <= count(*) THEN 1.0 / count(*) ELSE 1 END'
      '  FROM (SELECT d.shardmaxvalue::bigint - d.shardminvalue::bigint AS size'
      '          FROM pg_dist_partition AS p'
      '          JOIN pg_dist_shard AS d ON d.logicalrelid = p.logicalrelid'
      '         WHERE p.logicalrelid = $1 AND p.partmethod = ''h'''
      '           AND column_to_column_name(p.logicalrelid, p.partkey) = $2) AS s'
       INTO _share USING index.source, index.key;
    RETURN coalesce(_share, 1);
  END IF;
  RETURN (
    SELECT CASE WHEN count(DISTINCT s.modulus) = 1 AND bool_and(s.modulus IS NOT NULL AND s.whole) THEN 1.0 / count(*) ELSE 1 END
      FROM (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'modulus ([0-9]+)') AS modulus,
                   NOT (c.relkind = 'p' AND colbert._has_foreign_partitions(c.oid)) AS whole
              FROM pg_partitioned_table AS p
              JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attname = index.key
              JOIN pg_inherits AS i ON i.inhparent = p.partrelid
              JOIN pg_class AS c ON c.oid = i.inhrelid
             WHERE p.partrelid = index.source AND p.partstrat = 'h'
               AND p.partnatts = 1 AND p.partattrs[0] = a.attnum) AS s);
END
$_share_of_shards$;

COMMENT ON FUNCTION colbert._share_of_shards(colbert._index) IS
  'The share of the documents that each shard has at random; 1 where they are not spread so.';

-- SET colbert.shards = 'reachable' leaves out, with a warning, shards that cannot be reached.
CREATE OR REPLACE FUNCTION colbert._on_failure()
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_on_failure$
DECLARE
  _shards text := coalesce(nullif(current_setting('colbert.shards', true), ''), 'all');
BEGIN
  IF _shards NOT IN ('all', 'reachable') THEN
    RAISE EXCEPTION 'colbert.shards must be all or reachable, not "%"', _shards
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'RESET colbert.shards, or set it anew.';
  END IF;
  RETURN CASE _shards WHEN 'all' THEN 'error' ELSE 'warning' END;
END
$_on_failure$;

COMMENT ON FUNCTION colbert._on_failure() IS 'What a search does about a shard that cannot be reached.';
