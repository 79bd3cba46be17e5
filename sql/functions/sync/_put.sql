-- What the index already has under the key goes first: the array before this one, or what a write left behind that the
-- triggers did not see.
CREATE OR REPLACE FUNCTION colbert._put(index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_put$
BEGIN
  PERFORM colbert._refuse_document(index, doc_id, embeddings),
          colbert._method_remove(index, doc_id);
  IF cardinality(embeddings) > 0 THEN
    PERFORM colbert._method_put(index, doc_id, embeddings);
  END IF;
END
$_put$;

COMMENT ON FUNCTION colbert._put(colbert._index, text, anyarray) IS
  'Replaces a document in an index by an array; refuses a bad one. NULL and empty arrays leave nothing.';
