-- Drops an index: its triggers, its tables and its place in the registry. The source stays as it is. Parts
-- that somebody else dropped already are passed over.
CREATE OR REPLACE FUNCTION colbert.drop_index(source regclass, embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $drop_index$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _names record := colbert._sync_names(_index);
BEGIN
  IF drop_index.source IS NULL THEN
    RAISE EXCEPTION 'source must name a table'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'For example SELECT colbert.drop_index(''documents'').';
  END IF;
  PERFORM colbert._refuse_stranger(_index.source);
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', _index.source);
  EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', _names.row_trigger, _index.source);
  EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', _names.truncate_trigger, _index.source);
  EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', _names.text_trigger, _index.source);
  PERFORM colbert._drop_derived(_index);
END
$drop_index$;

COMMENT ON FUNCTION colbert.drop_index(regclass, name) IS
  'Drops a late-interaction index with everything that was derived; the table itself stays as it is. For the owner of the table.';

-- What an index has beside its source and its triggers: the trigger function, the tables, and the index of pending
-- documents.
CREATE OR REPLACE FUNCTION colbert._derived_objects(index colbert._index)
RETURNS TABLE (kind text, name text, owner oid)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_objects$
BEGIN
  RETURN QUERY
    SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner
      FROM pg_proc AS p
     WHERE p.proname = format('colbert_sync_%s', index.id)
       AND p.pronargs = 0
       AND obj_description(p.oid, 'pg_proc') = colbert._derived_comment(index)
    UNION ALL
    SELECT 'TABLE', t::text, c.relowner
      FROM colbert._derived_tables(index) AS t
      JOIN pg_class AS c ON c.oid = t
    UNION ALL
    SELECT 'INDEX', p::text, c.relowner
      FROM colbert._pending_index(index) AS p
      JOIN pg_class AS c ON c.oid = p;
END
$_derived_objects$;

COMMENT ON FUNCTION colbert._derived_objects(colbert._index) IS
  'The trigger function, the tables and the index of pending documents, as far as they are there, and their owners.';

-- Drops what an index has beside its source, and forgets it.
CREATE OR REPLACE FUNCTION colbert._drop_derived(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_derived$
DECLARE
  _object text;
BEGIN
  FOR _object IN
    SELECT format('DROP %s %s', o.kind, o.name) FROM colbert._derived_objects(index) AS o
  LOOP
    EXECUTE _object;
  END LOOP;
  DELETE FROM colbert._index AS i WHERE i.id = index.id;
END
$_drop_derived$;

COMMENT ON FUNCTION colbert._drop_derived(colbert._index) IS
  'Drops the tables and the trigger function of an index, and its place in the registry.';

-- DROP TABLE … CASCADE takes a source away and leaves what was derived from it. The next create_index
-- clears that away, as far as it is the caller's own and nothing else depends on it.
CREATE OR REPLACE FUNCTION colbert._forget_dropped_sources()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_forget_dropped_sources$
DECLARE
  _index colbert._index;
BEGIN
  FOR _index IN
    SELECT i.*
      FROM colbert._index AS i
     WHERE NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = i.source)
       AND NOT EXISTS (SELECT FROM colbert._derived_objects(i) AS o
                        WHERE pg_get_userbyid(o.owner) <> current_user)
       FOR UPDATE SKIP LOCKED
  LOOP
    BEGIN
      PERFORM colbert._drop_derived(_index);
    EXCEPTION WHEN dependent_objects_still_exist THEN
      CONTINUE;
    END;
  END LOOP;
END
$_forget_dropped_sources$;

COMMENT ON FUNCTION colbert._forget_dropped_sources() IS
  'Clears away what was derived from tables that have since been dropped, where it belongs to the caller.';
