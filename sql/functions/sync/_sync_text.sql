-- A changed text or picture is a new one. The trigger calls this under the lock of the row.
CREATE OR REPLACE FUNCTION colbert._sync_text(index_id integer, doc_id text, tenant text DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._forget_attempts(i, doc_id, tenant) FROM colbert._index AS i WHERE i.id = index_id;
END;

COMMENT ON FUNCTION colbert._sync_text(integer, text, text) IS
  'Forgets the attempts at encoding what has changed: what the trigger on the column that workers encode calls.';
