-- How a worker is known that does not say its name: by its session.
CREATE OR REPLACE FUNCTION colbert._worker_name(worker text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(worker, 'session ' || pg_backend_pid());

COMMENT ON FUNCTION colbert._worker_name(text) IS 'The name of a worker: its session, where it gives none.';

-- A worker is there, and has encoded so many documents and tokens, or failed with so many, since it was last
-- seen: a claim has none of them, and the time before it was not spent on work. Who has not been seen for a day is
-- forgotten.
CREATE OR REPLACE FUNCTION colbert._saw_worker(
  index colbert._index, worker text, documents bigint, tokens bigint, failures bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_saw_worker$
DECLARE
  _name text := colbert._worker_name(worker);
BEGIN
  UPDATE colbert._worker AS w
     SET seen_at = statement_timestamp(),
         busy = w.busy + CASE WHEN _saw_worker.documents + _saw_worker.failures > 0 THEN statement_timestamp() - w.seen_at
                              ELSE interval '0' END,
         documents = w.documents + _saw_worker.documents,
         tokens = w.tokens + _saw_worker.tokens,
         failures = w.failures + _saw_worker.failures
   WHERE w.index_id = index.id AND w.role = current_user AND w.worker = _name;
  IF NOT FOUND THEN
    DELETE FROM colbert._worker AS w
     WHERE w.index_id = index.id AND w.role = current_user
       AND w.seen_at < statement_timestamp() - interval '1 day';
    INSERT INTO colbert._worker (index_id, worker, documents, tokens, failures)
    VALUES (index.id, _name, documents, tokens, failures)
    ON CONFLICT DO NOTHING;
  END IF;
END
$_saw_worker$;

COMMENT ON FUNCTION colbert._saw_worker(colbert._index, text, bigint, bigint, bigint) IS
  'Keeps account of what a worker has done.';

-- The model whose vectors an index holds is in its option "model": an object, the fingerprint of an encoder, or
-- nothing or a mere name until the first worker comes. The owner's worker then leaves its fingerprint there.
CREATE OR REPLACE FUNCTION colbert._agree_on_model(index colbert._index, model jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_agree_on_model$
DECLARE
  _known jsonb := index.options -> 'model';
BEGIN
  IF _known IS NULL OR (jsonb_typeof(_known) = 'string' AND _known = model -> 'name') THEN
    IF model ->> 'dimensions' <> index.dimensions::text THEN
      RAISE EXCEPTION 'the index on table "%" has vectors of % dimensions, the model of %',
                      index.source, index.dimensions, model ->> 'dimensions'
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Use another model, or a column and an index of other dimensions.';
    END IF;
    UPDATE colbert._index AS i
       SET options = i.options || jsonb_build_object('model', model)
     WHERE i.id = index.id AND i.options -> 'model' IS NOT DISTINCT FROM _known;
    IF FOUND THEN
      RETURN;
    ELSIF (SELECT i.options -> 'model' IS NOT DISTINCT FROM _known
             FROM colbert._index AS i WHERE i.id = index.id) THEN
      RAISE EXCEPTION 'the index on table "%" does not know its model yet', index.source
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Run the first worker as the owner of the table, or name the model''s fingerprint in the '
                     'option "model".';
    END IF;
    _known := (SELECT i.options -> 'model' FROM colbert._index AS i WHERE i.id = index.id);
  END IF;
  IF _known IS DISTINCT FROM model THEN
    RAISE EXCEPTION 'the vectors of table "%" come from another model', index.source
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The index says %s, the worker says %s.', _known, model),
            HINT = 'Use the model of the index, or drop the index and create it anew for the other one.';
  END IF;
END
$_agree_on_model$;

COMMENT ON FUNCTION colbert._agree_on_model(colbert._index, jsonb) IS
  'Raises unless the index holds vectors of this model; the first one becomes the index''s.';
