-- Takes pending texts for a worker: see _claim. An index of pictures is refused, since a worker that does not know of them
-- would encode a path as if it were a text.
CREATE OR REPLACE FUNCTION colbert.claim_pending(
  source regclass,
  batch integer DEFAULT 32,
  lease interval DEFAULT '5 minutes',
  model jsonb DEFAULT NULL,
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, content text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $claim_pending$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_pictures(_index);
  RETURN QUERY SELECT c.doc_id, c.content FROM colbert._claim(_index, batch, lease, model, worker) AS c;
END
$claim_pending$;

COMMENT ON FUNCTION colbert.claim_pending(regclass, integer, interval, jsonb, text, name) IS
  'Takes up to batch documents that have a text and no array, for a worker to encode and hand to store_encoded or report_failure before the lease ends. model is the fingerprint of the worker''s encoder: an error when the index has another one.';

CREATE OR REPLACE FUNCTION colbert._refuse_pictures(index colbert._index)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_pictures$
BEGIN
  IF index.options ? 'pictures' THEN
    RAISE EXCEPTION 'the index on table "%" is of pictures, not of texts', index.source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Take them with colbert.claim_pictures, as a worker whose model encodes pictures.';
  END IF;
END
$_refuse_pictures$;

COMMENT ON FUNCTION colbert._refuse_pictures(colbert._index) IS
  'Raises for an index of pictures.';
