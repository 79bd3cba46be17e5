-- Compares an index with the arrays, document by document, and returns every difference: no rows for an index
-- that is right. Reads only; for the owner of the table, who sees all of it.
--
--   trigger            the index is not kept in step
--   missing table, missing index    a part of the index was dropped
--   bad document       an array that may not be indexed, written while the triggers were off
--   missing, orphaned, stale document    the index knows less, more, or other than the array
CREATE OR REPLACE FUNCTION colbert.check_index(source regclass, embeddings name DEFAULT NULL)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $check_index$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _problems text := colbert._operation(_index.method, 'problems');
BEGIN
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
    ' WHERE p.problem IS NOT NULL ORDER BY s.%2$I',
    'bad document', _index.key, _index.source, _index.embeddings)
    USING _index.dimensions, colbert._normalized(_index);

  IF (SELECT count(*) FROM colbert._derived_tables(_index)) < cardinality(_index.tables) THEN
    problem := 'missing table';
    detail := 'a table of the index was dropped';
    RETURN NEXT;
  ELSIF _problems IS NOT NULL THEN
    EXECUTE format('SELECT %s($1)', colbert._operation(_index.method, 'state')) INTO detail USING _index;
    IF detail LIKE 'broken: %' THEN
      problem := 'missing index';
      RETURN NEXT;
    END IF;
    RETURN QUERY EXECUTE format('SELECT * FROM %s($1) ORDER BY problem, doc_id', _problems) USING _index;
  END IF;
END
$check_index$;

COMMENT ON FUNCTION colbert.check_index(regclass, name) IS
  'Every way in which an index differs from the arrays: no rows when there is none. For the owner of the table.';
