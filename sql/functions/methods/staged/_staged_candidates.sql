-- The candidates of the first stage. Where its index can name none to this caller (method exact; plaid under row-level
-- security), all of the scope is scored by the first stage's column: still less work than by the column of the index.
--
-- Its query has the first stage's dimensions: of a query token the first ones, at the same weight, as models that are
-- trained for fewer dimensions have it (Matryoshka). Where the first stage has bits, their signs are compared.
CREATE OR REPLACE FUNCTION colbert._staged_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_staged_candidates$
DECLARE
  _first colbert._index := colbert._find_first_stage(index);
BEGIN
  query := colbert._first_stage_query(query, _first.dimensions);
  IF colbert._method_finds(_first) THEN
    RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._method_candidates(_first, query, scope, effort) AS c;
  ELSE
    RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._scored_candidates(_first, query, scope, effort) AS c;
  END IF;
END
$_staged_candidates$;

COMMENT ON FUNCTION colbert._staged_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents that the first stage ranks first, as text, best first, with their gains.';

CREATE OR REPLACE FUNCTION colbert._first_stage_query(query vector[], dimensions integer)
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_first_stage_query$
BEGIN
  RETURN CASE
           WHEN colbert._dimensions((query[:])[1]) = dimensions THEN query
           ELSE ARRAY(SELECT colbert._scaled(colbert._unit(colbert._first_dimensions(u.token, dimensions)),
                                             colbert._weight(u.token))
                        FROM unnest(query) WITH ORDINALITY AS u (token, position)
                       ORDER BY u.position)
         END;
END
$_first_stage_query$;

COMMENT ON FUNCTION colbert._first_stage_query(vector[], integer) IS
  'A query in fewer dimensions: the first ones of each token, with its weight.';

-- The documents of a scope that score best by the array of an index, all of them scored.
CREATE OR REPLACE FUNCTION colbert._scored_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
SET min_parallel_table_scan_size = '8MB'
SET parallel_setup_cost = 1000
SET parallel_tuple_cost = 0.1
SET work_mem = '32MB'
AS $_scored_candidates$
DECLARE
  _documents text := format(
    '(SELECT d.doc_id, d.embeddings'
    '   FROM (SELECT d.doc_id, d.embeddings FROM %s AS d WHERE pg_catalog.pg_column_size(d.embeddings) > 24) AS d %s)',
    colbert._documents_sql(index), colbert._in_scope_sql(scope, 'd.doc_id'));
  _statement text := format(
    'SELECT r.doc_id::pg_catalog.text, r.score FROM (%s) AS r ORDER BY r.score DESC, r.doc_id LIMIT $3',
    colbert._scoring_sql(query, (colbert._source_types(index)).element, _documents,
                         colbert._begin_pass(index, query, scope)));
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query[:], scope.params, effort.candidates;
END
$_scored_candidates$;

COMMENT ON FUNCTION colbert._scored_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents of a scope that score best by the array of an index, with their scores.';
