-- A trigger names its index by number. The row may be gone, or newer than the snapshot of the transaction.
CREATE OR REPLACE FUNCTION colbert._index_of_trigger(index_id integer)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_index_of_trigger$
DECLARE
  _index colbert._index;
BEGIN
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = index_id;
  IF FOUND THEN
    RETURN _index;
  ELSIF colbert._keeps_snapshot() THEN
    RAISE EXCEPTION 'late-interaction index % is not in the registry', index_id
      USING ERRCODE = 'serialization_failure',
            HINT = 'It was created after this transaction began: run the transaction again.';
  ELSE
    RAISE EXCEPTION 'late-interaction index % is not in the registry', index_id
      USING ERRCODE = 'undefined_object',
            HINT = 'Drop the triggers that colbert_pg left on the table, and create the index anew.';
  END IF;
END
$_index_of_trigger$;

COMMENT ON FUNCTION colbert._index_of_trigger(integer) IS
  'The registry row of the index whose trigger calls, or an error.';
