-- Takes pending pictures for a worker: see _claim. An index of texts is refused.
CREATE OR REPLACE FUNCTION colbert.claim_pictures(
  source regclass,
  batch integer DEFAULT 8,
  lease interval DEFAULT '5 minutes',
  model jsonb DEFAULT NULL,
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, content text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000 ROWS 8
SET search_path = pg_catalog, pg_temp
AS $claim_pictures$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
BEGIN
  IF NOT _index.options ? 'pictures' THEN
    RAISE EXCEPTION 'the index on table "%" is of texts, not of pictures', _index.source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Take them with colbert.claim_pending.';
  END IF;
  RETURN QUERY SELECT c.doc_id, c.content FROM colbert._claim(_index, batch, lease, model, worker) AS c;
END
$claim_pictures$;

COMMENT ON FUNCTION colbert.claim_pictures(regclass, integer, interval, jsonb, text, name) IS
  'Takes up to batch documents that have a picture and no array, for a worker to encode and hand to store_encoded or report_failure before the lease ends. The content is the path of a picture, or the SHA-256 of its bytes, which read_picture gives.';
