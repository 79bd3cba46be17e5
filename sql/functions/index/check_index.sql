-- Compares an index with the arrays, document by document, and returns every difference. There are no rows for an index
-- that is right. Reads only. It is for the owner of the table, who sees all of it.
--
--   trigger            the index is not kept in step
--   missing table, missing index    a part of the index was dropped
--   bad document       an array that may not be indexed, written while the triggers were off
--   missing, orphaned, stale document    the index knows less, more, or other than the array
--
-- With a sample, a share of the documents is compared, others each time. Then only that of each document is found: not
-- what belongs to none.
CREATE OR REPLACE FUNCTION colbert.check_index(
  source regclass, embeddings name DEFAULT NULL, sample float8 DEFAULT 1)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $check_index$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _state record;
  _seed text := random()::text;
BEGIN
  IF (sample > 0 AND sample <= 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'sample must be a share from 0 to 1, not %', coalesce(sample::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example sample => 0.01 for one document in a hundred.';
  END IF;
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._source_types(_index);

  detail := colbert._sync_problem(_index);
  IF detail IS NOT NULL THEN
    problem := 'trigger';
    RETURN NEXT;
  END IF;

  RETURN QUERY EXECUTE format(
    'SELECT %L, s.%2$I::text, p.problem FROM %3$s AS s '
    ' CROSS JOIN LATERAL colbert._document_problem(s.%4$I, $1, $2) AS p '
    ' WHERE %5$s AND p.problem IS NOT NULL ORDER BY s.%2$I',
    'bad document', _index.key, _index.source, _index.embeddings,
    colbert._in_sample_sql(format('s.%I', _index.key), sample, _seed))
    USING _index.dimensions, colbert._normalized(_index);

  IF colbert._lacks_tables(_index) THEN
    problem := 'missing table';
    detail := 'a table of the index was dropped';
    RETURN NEXT;
  ELSE
    _state := colbert._method_state(_index);
    IF _state.state = 'broken' THEN
      problem := 'missing index';
      detail := _state.advice;
      RETURN NEXT;
    END IF;
    RETURN QUERY
      SELECT p.problem, p.doc_id, p.detail FROM colbert._method_problems(_index, sample, _seed) AS p ORDER BY 1, 2;
  END IF;
END
$check_index$;

COMMENT ON FUNCTION colbert.check_index(regclass, name, float8) IS
  'Every way in which an index differs from the arrays: no rows when there is none. For the owner of the table.';
