-- Brings an index in step with one row of its source. The triggers call it after the row has changed, while the lock of
-- the row orders the writers of the document.
--
-- What goes in is what the source holds at this moment. The row of the event may be older: the events of a statement's
-- rows wait for its end, and a trigger on the first of them may have changed the others again.
CREATE OR REPLACE FUNCTION colbert._sync(
  index_id integer, old_key text, old_embeddings anyarray, new_key text, new_embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_sync$
DECLARE
  _index colbert._index;
BEGIN
  -- pgvector takes 0 and -0 for equal: array_send tells them apart.
  IF old_key = new_key AND old_embeddings IS NOT DISTINCT FROM new_embeddings
     AND array_send(old_embeddings) IS NOT DISTINCT FROM array_send(new_embeddings) THEN
    RETURN;
  END IF;

  _index := colbert._index_of_trigger(index_id);
  IF old_key IS NOT NULL THEN
    PERFORM colbert._forget_attempts(_index, old_key);
  END IF;
  IF row_security_active(_index.source) THEN  -- FORCE: even the owner may not see the row
    IF old_key <> new_key OR new_key IS NULL THEN
      PERFORM colbert._method_remove(_index, old_key);
    END IF;
    IF new_key IS NOT NULL THEN
      PERFORM colbert._put(_index, new_key, new_embeddings);
    END IF;
  ELSE
    IF old_key <> new_key OR new_key IS NULL THEN
      PERFORM colbert._put_current(_index, old_key);
    END IF;
    IF new_key IS NOT NULL THEN
      PERFORM colbert._put_current(_index, new_key);
    END IF;
  END IF;
END
$_sync$;

COMMENT ON FUNCTION colbert._sync(integer, text, anyarray, text, anyarray) IS
  'Takes the old row out of an index and puts the new one in: what the row triggers call.';
