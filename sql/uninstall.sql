-- Removes what install.sql installed. Nothing of yours goes with it: an error while an index is left
-- (drop it with colbert.drop_index) or while a view, a function, a trigger or the like needs it.
--
--   psql -v ON_ERROR_STOP=1 -f uninstall.sql
--
-- Installed as an extension? DROP EXTENSION colbert_pg; DROP SCHEMA colbert;
--
-- It also clears away what DROP SCHEMA colbert CASCADE and DROP EXTENSION colbert_pg CASCADE leave of indexes: triggers,
-- which make every write fail, their functions, derived tables, indexes of pending documents, and constraints of first
-- stages. They are known by their names and by the comments that their owners alone can write. What belongs to other
-- roles is left, with a warning.
DO $uninstall$
DECLARE
  _messages text := pg_catalog.current_setting('client_min_messages');
  _index record;
  _outsider text;
  _left record;
  _others text[] := '{}';
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'colbert_pg') THEN
    RAISE EXCEPTION 'colbert_pg is installed as an extension in database "%"',
                    pg_catalog.current_database()
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run DROP EXTENSION colbert_pg, then DROP SCHEMA colbert.';
  END IF;
  IF pg_catalog.to_regclass('colbert._migration') IS NOT NULL THEN
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
  END IF;

  FOR _left IN
    WITH marked AS (
      SELECT d.classoid, d.objoid,
             pg_catalog.substring(
               d.description, '^colbert_pg: part of late-interaction index (\d+)\. Derived data: do not edit\.$') AS id
        FROM pg_catalog.pg_description d
       WHERE d.objsubid = 0
    ), sync AS (
      SELECT p.oid, p.proname, p.pronamespace, p.proowner, m.id
        FROM marked m
        JOIN pg_catalog.pg_proc p ON p.oid = m.objoid
       WHERE m.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass
         AND p.proname = 'colbert_sync_' || m.id
         AND p.pronargs = 0
         AND p.prorettype = 'pg_catalog.trigger'::pg_catalog.regtype
    ), derived AS (
      SELECT c.*
        FROM marked m
        JOIN pg_catalog.pg_class c ON c.oid = m.objoid
       WHERE m.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass
         AND m.id IS NOT NULL
    )
    SELECT o.object, o.of_table, o.owner, pg_catalog.pg_has_role(o.owner, 'USAGE') AS may_drop
      FROM (SELECT 1, pg_catalog.format('TRIGGER %I ON %I.%I', t.tgname, n.nspname, c.relname), NULL, c.relowner
              FROM sync s
              JOIN pg_catalog.pg_trigger t ON t.tgfoid = s.oid AND t.tgparentid = 0
              JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE t.tgname IN ('!colbert_sync_' || s.id, '!colbert_truncate_' || s.id, '~colbert_text_' || s.id)
            UNION ALL
            SELECT 2, pg_catalog.format('FUNCTION %I.%I()', n.nspname, s.proname), NULL, s.proowner
              FROM sync s
              JOIN pg_catalog.pg_namespace n ON n.oid = s.pronamespace
            UNION ALL
            SELECT 3, pg_catalog.format('TABLE %I.%I', n.nspname, c.relname), NULL, c.relowner
              FROM derived c
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind = 'r'
            UNION ALL
            SELECT 4, pg_catalog.format('INDEX %I.%I', n.nspname, c.relname), NULL, c.relowner
              FROM derived c
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE c.relkind IN ('i', 'I') AND c.relname ~ '_pending$'
            UNION ALL
            SELECT 5, pg_catalog.format('CONSTRAINT %I', k.conname),
                   pg_catalog.format('%I.%I', n.nspname, c.relname), c.relowner
              FROM marked m
              JOIN pg_catalog.pg_constraint k ON k.oid = m.objoid
              JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE m.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass
               AND m.id IS NOT NULL
               AND k.contype = 'c'
               AND k.conname ~ '_first_stage$') AS o (place, object, of_table, owner)
     ORDER BY o.place, o.object
  LOOP
    IF _left.may_drop THEN
      EXECUTE pg_catalog.concat('ALTER TABLE ' || _left.of_table, ' DROP ', _left.object);
    ELSE
      _others := _others || pg_catalog.format('%s of role %I', pg_catalog.concat(_left.object, ' of ' || _left.of_table), pg_catalog.pg_get_userbyid(_left.owner));
    END IF;
  END LOOP;
  IF _others <> '{}' THEN
    RAISE WARNING 'left behind: %', pg_catalog.array_to_string(_others, ', ')
      USING HINT = 'Run uninstall.sql again as those roles, or as a superuser.';
  END IF;
END
$uninstall$;
