-- Removes what install.sql installed. Nothing of yours goes with it: an error while an index is left
-- (drop it with colbert.drop_index) or while a view, a function, a trigger or the like needs it.
--
--   psql -1 -v ON_ERROR_STOP=1 -f uninstall.sql
--
-- Installed as an extension? DROP EXTENSION colbert_pg; DROP SCHEMA colbert;
DO $uninstall$
DECLARE
  _messages text := pg_catalog.current_setting('client_min_messages');
  _index record;
  _outsider text;
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'colbert_pg') THEN
    RAISE EXCEPTION 'colbert_pg is installed as an extension in database "%"',
                    pg_catalog.current_database()
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run DROP EXTENSION colbert_pg, then DROP SCHEMA colbert.';
  END IF;
  IF pg_catalog.to_regclass('colbert._migration') IS NULL THEN
    RETURN;
  END IF;

  IF pg_catalog.to_regclass('colbert.indexes') IS NOT NULL THEN
    SELECT i.* INTO _index FROM colbert.indexes i LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'colbert_pg still has indexes'
        USING ERRCODE = 'dependent_objects_still_exist',
              DETAIL = pg_catalog.format('One of them: %s.', pg_catalog.row_to_json(_index)),
              HINT = 'Drop each index that colbert.indexes lists with colbert.drop_index first.';
    END IF;
  END IF;

  WITH RECURSIVE inside AS (
    SELECT d.classid, d.objid
      FROM pg_catalog.pg_depend d
     WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
       AND d.refobjid = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'colbert')
    UNION
    -- what belongs to those: a table's columns, constraints, indexes, row type, a view's rule
    SELECT d.classid, d.objid
      FROM inside i
      JOIN pg_catalog.pg_depend d ON (d.refclassid, d.refobjid) = (i.classid, i.objid)
     WHERE d.deptype IN ('i', 'a')
  )
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    INTO _outsider
    FROM inside i
    JOIN pg_catalog.pg_depend d ON (d.refclassid, d.refobjid) = (i.classid, i.objid)
   WHERE d.deptype = 'n'
     AND NOT EXISTS (SELECT FROM inside o WHERE (o.classid, o.objid) = (d.classid, d.objid))
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION '% needs colbert_pg', _outsider
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = 'Drop it first.';
  END IF;

  PERFORM pg_catalog.set_config('client_min_messages', 'warning', true);
  DROP SCHEMA colbert CASCADE;
  PERFORM pg_catalog.set_config('client_min_messages', _messages, true);
END
$uninstall$;
