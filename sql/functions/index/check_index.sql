-- Compares an index with the arrays, document by document, and returns every difference. There are no rows for an index
-- that is right. Reads only. It is for the owner of the table, who sees all of it.
--
--   trigger            the index is not kept in step
--   missing table, missing index    a part of the index was dropped
--   bad document       an array that may not be indexed, written while the triggers were off
--   missing, orphaned, stale document    the index knows less, more, or other than the array
--   missing first stage    the document has an array, and nothing in the column that names the candidates
--
-- Over shards, each checks its own, and keys that several hold are found, too (_check_shards).
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
  _index colbert._index := colbert._find_any_index(source, embeddings);
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
  IF _index.method = 'shards' THEN
    RETURN QUERY SELECT s.problem, s.doc_id, s.detail FROM colbert._check_shards(_index, sample) AS s;
    RETURN;
  END IF;

  detail := colbert._sync_problem(_index);
  IF detail IS NOT NULL THEN
    problem := 'trigger';
    RETURN NEXT;
  END IF;

  IF colbert._lacks_tables(_index) THEN
    RETURN QUERY SELECT d.problem, d.doc_id, d.detail FROM colbert._bad_documents(_index, sample, _seed) AS d;
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
      SELECT p.problem, p.doc_id, p.detail
        FROM colbert._parts(_index) AS i
       CROSS JOIN LATERAL colbert._part_problems(i, sample, _seed) AS p
       ORDER BY p.problem <> 'bad document', p.problem, p.doc_id;
  END IF;
END
$check_index$;

COMMENT ON FUNCTION colbert.check_index(regclass, name, float8) IS
  'Every way in which an index differs from the arrays: no rows when there is none. Over shards, those of all shards, and the keys that several hold. For the owner of the table.';

-- The problems of the documents of an index, or of a part of it.
CREATE OR REPLACE FUNCTION colbert._part_problems(part colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT b.problem, b.doc_id, b.detail FROM colbert._bad_documents(part, sample, seed) AS b
  UNION ALL
  SELECT p.problem, p.doc_id, p.detail FROM colbert._method_problems(part, sample, seed) AS p;
END;

COMMENT ON FUNCTION colbert._part_problems(colbert._index, float8, text) IS
  'What is the matter with the documents of an index, or of a part of it.';
