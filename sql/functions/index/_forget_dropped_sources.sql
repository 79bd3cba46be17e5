-- DROP TABLE … CASCADE takes a source away and leaves what was derived from it. The next create_index clears that away,
-- where it belongs to the caller and nothing else depends on it.
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
     WHERE NOT colbert._is_there(i.source)
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

-- To look into pg_class would not do: Citus hides the shards on a node from it.
CREATE OR REPLACE FUNCTION colbert._is_there(relation regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN pg_catalog.pg_table_is_visible(relation) IS NOT NULL;

COMMENT ON FUNCTION colbert._is_there(regclass) IS 'Whether a table has not been dropped.';
