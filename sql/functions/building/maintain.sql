-- Does what is due for the indexes on the caller's own tables, one after the other: what the state of an index in
-- colbert.indexes asks for. A stale index is built anew beside its writers, as reindex_concurrently does. A build that was
-- interrupted goes on. A broken index is mended. For pg_cron, cron, the worker, or by hand.
--
-- It commits as it goes, so that no lock outlives the work that needs it. So it cannot run inside a transaction block. An
-- index that cannot be maintained is named in a warning, and the others go on. Those of other owners are skipped with a
-- notice.
--
-- A procedure that commits may have no SET clause. All that needs one is in the functions that it calls.
CREATE OR REPLACE PROCEDURE colbert.maintain()
LANGUAGE plpgsql SECURITY INVOKER
AS $maintain$
DECLARE
  _id pg_catalog.int4;
  _pause pg_catalog.float8;
BEGIN
  COMMIT;
  FOREACH _id IN ARRAY colbert._due_indexes() LOOP
    PERFORM colbert._maintain(_id);
    LOOP
      COMMIT;
      _pause := colbert._maintain_step(_id);
      EXIT WHEN _pause IS NULL;
      COMMIT;
      PERFORM pg_catalog.pg_sleep(_pause);
    END LOOP;
    COMMIT;
  END LOOP;
END
$maintain$;

COMMENT ON PROCEDURE colbert.maintain() IS
  'Builds stale indexes anew and mends broken ones, on the caller''s own tables, beside their writers, with a commit after each step.';

-- The ids of the indexes for which something is due, the caller's own.
CREATE OR REPLACE FUNCTION colbert._due_indexes()
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_due_indexes$
DECLARE
  _index colbert._index;
  _due integer[] := ARRAY[]::integer[];
BEGIN
  FOR _index IN
    SELECT i.*
      FROM colbert._index AS i
     WHERE NOT EXISTS (SELECT FROM colbert._build AS b WHERE b.index_id = i.id AND colbert._at_work(b))
     ORDER BY i.id
  LOOP
    IF NOT colbert._is_own(_index.source) THEN
      RAISE NOTICE 'skipping the index on "%": only the owner of the table can maintain it', _index.source;
    ELSIF (colbert._index_state(_index)).state <> 'ready' THEN
      _due := _due || _index.id;
    END IF;
  END LOOP;
  RETURN _due;
END
$_due_indexes$;

COMMENT ON FUNCTION colbert._due_indexes() IS
  'The ids of the indexes on the caller''s own tables for which something is due.';

-- Mends a broken index, and enters a build of a stale one. It may have been done or dropped by somebody else meanwhile.
CREATE OR REPLACE FUNCTION colbert._maintain(id integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_maintain$
DECLARE
  _index colbert._index := (SELECT i FROM colbert._index AS i WHERE i.id = _maintain.id);
BEGIN
  CASE (colbert._index_state(_index)).state
    WHEN 'stale' THEN PERFORM colbert._begin_rebuild(_index.source, _index.embeddings, colbert._method_keeps(_index));
    WHEN 'broken' THEN PERFORM colbert.repair_index(_index.source, _index.embeddings);
    ELSE NULL;
  END CASE;
EXCEPTION WHEN others THEN
  RAISE WARNING 'the index on "%" is not maintained: %', _index.source, SQLERRM
    USING ERRCODE = SQLSTATE;
END
$_maintain$;

COMMENT ON FUNCTION colbert._maintain(integer) IS
  'Does what is due for one index, or begins with it; an error becomes a warning.';

-- The next step of a build. NULL when there is none, and after an error.
CREATE OR REPLACE FUNCTION colbert._maintain_step(id integer)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_maintain_step$
BEGIN
  RETURN colbert._build_step(id);
EXCEPTION WHEN others THEN
  RAISE WARNING 'the index on "%" is not maintained: %',
                (SELECT i.source FROM colbert._index AS i WHERE i.id = _maintain_step.id), SQLERRM
    USING ERRCODE = SQLSTATE;
  RETURN NULL;
END
$_maintain_step$;

COMMENT ON FUNCTION colbert._maintain_step(integer) IS
  'Does the next step of a build, as _build_step does; an error becomes a warning.';
