-- Makes, or makes anew, the trigger function and the triggers that keep an index in step.
--
-- The function lives beside the source and belongs to the source's owner. It is SECURITY DEFINER for the
-- reason that foreign keys are: who may write the source keeps the derived tables in step without any right
-- to write those. It can only be called as a trigger, and all it does is in colbert._sync.
--
-- The row trigger names no columns: an array that a BEFORE trigger sets is a change, too.
CREATE OR REPLACE FUNCTION colbert._create_sync(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_sync$
DECLARE
  _schema text := (SELECT c.relnamespace::regnamespace FROM pg_class AS c WHERE c.oid = index.source);
BEGIN
  EXECUTE format(
    $create_function$
    CREATE OR REPLACE FUNCTION %1$s.%2$I()
    RETURNS trigger
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    AS $sync$
    BEGIN
      IF TG_OP = 'TRUNCATE' THEN
        PERFORM colbert._sync_truncate(%3$s);
      ELSE
        PERFORM colbert._sync(%3$s, OLD.%4$I::text, OLD.%5$I, NEW.%4$I::text, NEW.%5$I);
      END IF;
      RETURN NULL;
    END
    $sync$
    $create_function$,
    _schema, index.sync, index.id, index.key, index.embeddings);
  EXECUTE format('COMMENT ON FUNCTION %s.%I() IS %L', _schema, index.sync,
                 format('colbert_pg: keeps the index on %s.%I in step.', index.source, index.embeddings));
  EXECUTE format('REVOKE ALL ON FUNCTION %s.%I() FROM PUBLIC', _schema, index.sync);
  IF EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'colbert_pg') THEN
    -- DROP EXTENSION is refused while there are triggers that call it.
    EXECUTE format('ALTER FUNCTION %s.%I() DEPENDS ON EXTENSION colbert_pg', _schema, index.sync);
  END IF;
  PERFORM colbert._give_to_owner(index, format('FUNCTION %s.%I()', _schema, index.sync));

  EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER TRUNCATE ON %s '
                 'FOR EACH STATEMENT EXECUTE FUNCTION %s.%I()',
                 format('colbert_truncate_%s', index.id), index.source, _schema, index.sync);
  EXECUTE format('CREATE OR REPLACE TRIGGER %1$I AFTER INSERT OR UPDATE OR DELETE ON %2$s '
                 'FOR EACH ROW EXECUTE FUNCTION %3$s.%1$I()',
                 index.sync, index.source, _schema);
END
$_create_sync$;

COMMENT ON FUNCTION colbert._create_sync(colbert._index) IS
  'Makes the trigger function and the triggers of an index; those that are there are made anew.';
