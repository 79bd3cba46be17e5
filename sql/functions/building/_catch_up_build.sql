-- Brings the new tables in step, for a second, and then, while writers wait, for half a second at most. When nothing is
-- left by then, the new tables are put in place. Writers who stay faster than this for a minute are held back: they get
-- a tenth of a second in between.
CREATE OR REPLACE FUNCTION colbert._catch_up_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_catch_up_build$
DECLARE
  _built colbert._index := colbert._built_index(index, build);
  _changes regclass := colbert._derived_table(index, 'changes');
  _step integer := least(build.step, 0) - 1;  -- the steps of catching up are counted below 0
BEGIN
  UPDATE colbert._build AS b SET step = _step WHERE b.index_id = index.id;
  IF _step % 2 <> 0 THEN
    PERFORM colbert._apply_changes(_built, _changes, CASE WHEN _step > -80 THEN 1.0 ELSE 0.1 END);
  ELSIF NOT colbert._lock_briefly(index.source) THEN
    RETURN 0.5;
  ELSIF colbert._apply_changes(_built, _changes, 0.5) THEN
    PERFORM colbert._swap_build(index, build);
  END IF;
  RETURN 0;
END
$_catch_up_build$;

COMMENT ON FUNCTION colbert._catch_up_build(colbert._index, colbert._build) IS
  'The step of a build that puts in the documents that have changed meanwhile, and ends when none is left.';

-- Brings the new tables in step with what the source holds now of the documents in the table of changes. Whether all of
-- those were taken before the time was up.
--
-- The changes are listed before a change of all documents (TRUNCATE) is looked for, which goes first. So no document is
-- taken out that was put in after it: its change is in the list, and is made after that, or it is not, and stays.
CREATE OR REPLACE FUNCTION colbert._apply_changes(built colbert._index, changes regclass, seconds float8)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_apply_changes$
DECLARE
  _until timestamptz := clock_timestamp() + make_interval(secs => seconds);
  _listed refcursor;
  _truncated bigint;
  _doc_id text;
  _tenant text;
  _rows tid[];
BEGIN
  OPEN _listed FOR EXECUTE format(
    'SELECT c.doc_id::text, c.tenant, array_agg(c.ctid) FROM %s AS c WHERE c.doc_id IS NOT NULL GROUP BY c.doc_id, c.tenant', changes);
  EXECUTE format('DELETE FROM %s AS c WHERE c.doc_id IS NULL', changes);
  GET DIAGNOSTICS _truncated = ROW_COUNT;
  IF _truncated > 0 THEN
    PERFORM colbert._method_clear(built);
  END IF;
  LOOP
    FETCH _listed INTO _doc_id, _tenant, _rows;
    EXIT WHEN NOT FOUND OR clock_timestamp() > _until;
    EXECUTE format('DELETE FROM %s AS c WHERE c.ctid = ANY ($1)', changes) USING _rows;
    PERFORM colbert._put_current(colbert._part_of(built, _tenant), _doc_id);
  END LOOP;
  CLOSE _listed;
  RETURN _doc_id IS NULL;
END
$_apply_changes$;

COMMENT ON FUNCTION colbert._apply_changes(colbert._index, regclass, float8) IS
  'Brings the tables of a build in step with the documents in the table of changes, for some seconds; true when all were done.';
