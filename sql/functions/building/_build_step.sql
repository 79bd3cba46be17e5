-- Building beside writers, in steps. Each is one transaction, which reads how far the build is from its row in
-- colbert._build, does what is next, and says so in the row. A step that is not committed has not happened: whoever is
-- interrupted, or killed, is followed by whoever calls the next step. Two callers take turns.
--
--   starting       a moment in which no writer is at work: the triggers, and a table of changes, which all writers fill
--                  from then on; the new tables, empty; the first step of all
--   checking       the documents of a new index: a bad one is an error
--   filling        the new tables, from the source, in batches
--   catching up    the documents in the table of changes are put in anew, until none is left in another moment without
--                  writers, in which the new tables take the place of the old ones
--   retiring       the old tables go when no transaction is left that may read them
--
-- Until the new tables are in place, searches use the old ones, and writers keep them in step. An index that is new has
-- the method exact until then: searches score all documents.
--
-- Returns for how many seconds to wait before the next step; NULL when there is none.
CREATE OR REPLACE FUNCTION colbert._build_step(index_id integer)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET application_name = 'colbert_pg'
AS $_build_step$
DECLARE
  _index colbert._index;
  _build colbert._build;
BEGIN
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = _build_step.index_id;
  PERFORM colbert._refuse_stranger(_index.source);
  -- drop_index locks the source first, too. In another order they could wait for each other.
  IF EXISTS (SELECT FROM pg_class AS c WHERE c.oid = _index.source) THEN
    EXECUTE format('SELECT FROM %s LIMIT 0', _index.source);
  END IF;
  UPDATE colbert._build AS b SET pid = pg_backend_pid() WHERE b.index_id = _build_step.index_id RETURNING b.* INTO _build;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = _build_step.index_id;
  PERFORM colbert._source_types(_index),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot(),
          colbert._report_progress(_index, _build.phase);
  RETURN CASE _build.phase
    WHEN 'starting' THEN colbert._start_build(_index, _build)
    WHEN 'checking' THEN colbert._check_build(_index)
    WHEN 'filling' THEN colbert._fill_build(_index, _build)
    WHEN 'catching up' THEN colbert._catch_up_build(_index, _build)
    WHEN 'retiring' THEN colbert._retire_build(_index, _build)
  END;
END
$_build_step$;

COMMENT ON FUNCTION colbert._build_step(integer) IS
  'Does the next step of a build; returns for how many seconds to wait before the one after it, NULL when it is done.';

-- The triggers are there: a bad document that this does not see is refused by them.
CREATE OR REPLACE FUNCTION colbert._check_build(index colbert._index)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_check_build$
BEGIN
  PERFORM colbert._refuse_documents(index);
  UPDATE colbert._build AS b SET phase = 'filling' WHERE b.index_id = index.id;
  RETURN 0;
END
$_check_build$;

COMMENT ON FUNCTION colbert._check_build(colbert._index) IS
  'The step of a build that refuses bad documents.';
