-- Brings an index in step with one row of its source. The triggers call it after the row has changed, while the lock of
-- the row orders the writers of the document.
--
-- What goes in is what the source holds at this moment. The row of the event may be older: the events of a statement's
-- rows wait for its end, and a trigger on the first of them may have changed the others again.
--
-- Where the index is kept apart by tenant, the old row is of the old tenant's part, and the new one of the new tenant's.
CREATE OR REPLACE FUNCTION colbert._sync(
  index_id integer, old_key text, old_embeddings anyarray, new_key text, new_embeddings anyarray,
  old_tenant text DEFAULT NULL, new_tenant text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_sync$
DECLARE
  _index colbert._index;
  _old colbert._index;
  _new colbert._index;
  _moved boolean := old_key <> new_key OR old_tenant <> new_tenant;
BEGIN
  -- pgvector takes 0 and -0 for equal: array_send tells them apart.
  IF old_key = new_key AND _moved IS NOT TRUE AND old_embeddings IS NOT DISTINCT FROM new_embeddings
     AND array_send(old_embeddings) IS NOT DISTINCT FROM array_send(new_embeddings) THEN
    RETURN;
  END IF;

  _index := colbert._index_of_trigger(index_id);
  IF old_key IS NOT NULL THEN
    PERFORM colbert._forget_attempts(_index, old_key, old_tenant);
  END IF;
  IF _moved OR new_key IS NULL THEN
    _old := colbert._part_of(_index, old_tenant);
    IF row_security_active(_index.source) THEN  -- FORCE: even the owner may not see the row
      PERFORM colbert._method_remove(_old, old_key);
    ELSE
      PERFORM colbert._put_current(_old, old_key);
    END IF;
  END IF;
  IF new_key IS NOT NULL THEN
    _new := colbert._part_of(_index, new_tenant);
    IF row_security_active(_index.source) THEN
      PERFORM colbert._put(_new, new_key, new_embeddings);
    ELSE
      PERFORM colbert._put_current(_new, new_key);
    END IF;
  END IF;
END
$_sync$;

COMMENT ON FUNCTION colbert._sync(integer, text, anyarray, text, anyarray, text, text) IS
  'Takes the old row out of an index and puts the new one in: what the row triggers call.';
