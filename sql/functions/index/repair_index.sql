-- Mends what check_index finds. Bad documents can be mended by their writer alone: they are taken out of the index.
-- Documents are mended one by one under their row locks, beside other writers. Only a missing table or trigger takes a
-- lock on the whole table. Returns how many documents were mended. Over shards, each mends its own. Of a table that Citus
-- has distributed, a shard that was moved or split gets its index first.
CREATE OR REPLACE FUNCTION colbert.repair_index(source regclass, embeddings name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $repair_index$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _part colbert._index;
  _mended bigint := 0;
  _doc_id text;
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot();
  IF _index.method = 'shards' THEN
    PERFORM colbert._give_shards_their_index(_index);
    RETURN (SELECT coalesce(sum(s.answer::bigint), 0)
              FROM colbert._call_shards(
                     _index, ARRAY(SELECT o FROM colbert._shards_of(_index.source) AS o), 'repair_index') AS s);
  END IF;

  IF colbert._sync_problem(_index) IS NOT NULL THEN
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', _index.source);
    _index := colbert._find_index(_index.source, _index.embeddings);
    PERFORM colbert._create_sync(_index);
  END IF;
  IF colbert._lacks_tables(_index) THEN
    RETURN colbert._recreate_derived(_index);
  END IF;

  PERFORM colbert._give_to_owner(_index, 'TABLE ' || t)
     FROM colbert._derived_tables(_index) AS t
    WHERE colbert._owner(t) <> colbert._owner(_index.source);

  FOR _part IN SELECT p.* FROM colbert._parts(_index) AS p WHERE colbert._method_table_names(p.method) <> '{}' LOOP
    FOR _doc_id IN
      SELECT DISTINCT p.doc_id FROM colbert._part_problems(_part, 1, '') AS p WHERE p.doc_id IS NOT NULL
    LOOP
      _mended := _mended + colbert._mend_document(_part, _doc_id);
    END LOOP;
  END LOOP;
  PERFORM colbert._method_mend(_index);
  RETURN _mended;
END
$repair_index$;

COMMENT ON FUNCTION colbert.repair_index(regclass, name) IS
  'Mends every difference between an index and the arrays; returns the number of documents mended. For the owner of the table.';

-- Puts one document into an index as its array is now. Returns 1 when it is in step after that, and 0 for a bad
-- document, which is taken out. The row is locked first, as a writer does, so that the two never wait for each other. A
-- document that is gone has no row to lock: it is looked for once more after it was taken out, and put in should it
-- have come back.
CREATE OR REPLACE FUNCTION colbert._mend_document(index colbert._index, doc_id text)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_mend_document$
DECLARE
  _bad boolean;
  _gone boolean := false;
BEGIN
  LOOP
    EXECUTE format(
      'WITH document AS MATERIALIZED (SELECT s.%1$I AS embeddings FROM %2$s AS s WHERE s.%3$I = $1::%4$s FOR UPDATE) '
      'SELECT p.problem IS NOT NULL '
      '  FROM document AS d CROSS JOIN LATERAL colbert._document_problem(d.embeddings, $2, $3) AS p',
      index.embeddings, colbert._source_sql(index), index.key, (colbert._source_types(index)).key_type)
       INTO _bad
      USING doc_id, index.dimensions, colbert._normalized(index);
    EXIT WHEN _gone AND _bad IS NULL;
    IF _bad IS FALSE THEN
      PERFORM colbert._put_current(index, doc_id);
    ELSE
      PERFORM colbert._method_remove(index, doc_id);
    END IF;
    EXIT WHEN _bad IS NOT NULL;
    _gone := true;
  END LOOP;
  RETURN CASE WHEN _bad THEN 0 ELSE 1 END;
END
$_mend_document$;

COMMENT ON FUNCTION colbert._mend_document(colbert._index, text) IS
  'Brings one document of an index in step with its array; 1 when it is, 0 for a bad document.';

-- Makes the tables of an index anew, from nothing, when some of them are gone. A build that was begun is given up.
CREATE OR REPLACE FUNCTION colbert._recreate_derived(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_recreate_derived$
DECLARE
  _table regclass;
  _mended bigint;
BEGIN
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', index.source);
  index := colbert._find_index(index.source, index.embeddings);
  IF NOT colbert._lacks_tables(index) THEN
    RETURN 0;  -- another session has mended it meanwhile
  END IF;
  PERFORM colbert._drop_build(index);
  FOR _table IN SELECT t FROM colbert._derived_tables(index) AS t LOOP
    EXECUTE format('DROP TABLE %s', _table);
  END LOOP;
  index := colbert._create_tables(index);
  PERFORM colbert._method_build(index);
  EXECUTE format('SELECT count(*) FROM %s AS s WHERE cardinality(s.%I) > 0 '
                 '   AND (colbert._document_problem(s.%2$I, $1, $2)).problem IS NULL',
                 index.source, index.embeddings)
     INTO _mended
    USING index.dimensions, colbert._normalized(index);
  RETURN _mended;
END
$_recreate_derived$;

COMMENT ON FUNCTION colbert._recreate_derived(colbert._index) IS
  'Makes the tables of an index anew and fills them; returns the number of documents in them.';
