-- Takes pending documents for a worker: those with a text or a picture and no array that nobody else is at. They are the
-- worker's for the time of the lease, which is longer at every further attempt. A worker that dies loses nothing: what it
-- does not store in that time is due again.
--
-- A document whose worker was lost comes alone, ahead of all others. Should it be what kills workers, then it takes no
-- others with it.
--
-- It is one statement, and no lock is held after it: encode outside of any transaction. Cost: a partial index holds the
-- keys of pending documents, so that neither the size of the table nor the length of the backlog matters.
CREATE OR REPLACE FUNCTION colbert._claim(
  index colbert._index, batch integer, lease interval, model jsonb, worker text)
RETURNS TABLE (doc_id text, content text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $_claim$
DECLARE
  _lost text[];
  _claim text;
  _claimed text[] := ARRAY[]::text[];
BEGIN
  PERFORM colbert._refuse_count('batch', batch);
  IF lease IS NULL OR lease <= interval '0' THEN
    RAISE EXCEPTION 'lease must be longer than nothing, not %', coalesce(lease::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give the worker time for a batch: lease => ''5 minutes''.';
  END IF;
  IF model IS NOT NULL THEN
    PERFORM colbert._agree_on_model(index, model);
  END IF;

  EXECUTE format(
    'SELECT array_agg(l.doc_id::text) FROM ('
    'SELECT a.doc_id FROM %s AS a JOIN %s AS s ON %s '
    ' WHERE s.%I IS NULL'
    '   AND a.due_at <= statement_timestamp()'
    '   AND colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) = ''lost'' '
    ' ORDER BY a.due_at LIMIT 16) AS l',
    colbert._derived_table(index, 'attempts'), index.source, colbert._is_document_sql(index, 'a'),
    index.embeddings)
     INTO _lost;
  IF _lost IS NOT NULL THEN
    _claim := colbert._claim_sql(index, format(
      's.%I = ANY ($4::%s[])', index.key, (colbert._source_types(index)).key_cast));
    FOR doc_id, content IN EXECUTE _claim USING 1, lease, colbert._worker_name(worker), _lost LOOP
      RETURN NEXT;
      _claimed := _claimed || doc_id;
    END LOOP;
  END IF;
  IF _lost IS NULL OR NOT FOUND THEN
    -- Another worker may have claimed all documents that this statement saw as it began. The next one sees others.
    _claim := colbert._claim_sql(index, format(
      'NOT EXISTS (SELECT FROM %s AS a WHERE %s'
      ' AND (a.due_at > statement_timestamp()'
      '   OR colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) <> ''failed''))',
      colbert._derived_table(index, 'attempts'), colbert._is_document_sql(index, 'a')));
    FOR _attempt IN 1 .. 5 LOOP
      FOR doc_id, content IN EXECUTE _claim USING batch, lease, colbert._worker_name(worker) LOOP
        RETURN NEXT;
        _claimed := _claimed || doc_id;
      END LOOP;
      EXIT WHEN FOUND;
    END LOOP;
  END IF;
  PERFORM colbert._refuse_ambiguous(index, _claimed);
  PERFORM colbert._saw_worker(index, worker, 0, 0, 0);
END
$_claim$;

COMMENT ON FUNCTION colbert._claim(colbert._index, integer, interval, jsonb, text) IS
  'Takes pending documents for a worker: what claim_pending and claim_pictures do.';

-- SQL that claims documents which meet a condition: at most $1 of them, leased for $2 to worker $3. Digests are made of
-- those alone.
--
-- The lock of the source row orders this with writers of the row, and SKIP LOCKED leaves alone what others are at. The
-- lock ends with the transaction, and a worker whose snapshot is older than another's claim can still get it. The
-- attempt itself, which is read as it is now, then says that the document is not due.
CREATE OR REPLACE FUNCTION colbert._claim_sql(index colbert._index, condition text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_claim_sql$
DECLARE
  _key record := colbert._attempt_key(index);
BEGIN
  RETURN format(
    'WITH due AS ('
    '  SELECT %1$s, %2$s AS content'
    '    FROM %3$s AS s'
    '   WHERE s.%4$I IS NULL AND %2$s IS NOT NULL AND %5$s'
    '   ORDER BY %6$s'
    '   LIMIT $1'
    '     FOR NO KEY UPDATE OF s SKIP LOCKED), '
    'claimed AS ('
    '  INSERT INTO %7$s AS a (%8$s, attempts, worker, claimed_at, due_at)'
    '  SELECT %8$s, 1, $3, statement_timestamp(), statement_timestamp() + $2 FROM due'
    '      ON CONFLICT (%8$s) DO UPDATE'
    '     SET attempts = a.attempts + 1,'
    '         worker = $3,'
    '         claimed_at = statement_timestamp(),'
    '         due_at = statement_timestamp() + colbert._retry_after($2, a.attempts + 1)'
    '   WHERE a.due_at <= statement_timestamp()'
    '  RETURNING %8$s) '
    'SELECT doc_id::text, %9$s FROM due JOIN claimed USING (%8$s) ORDER BY due.doc_id',
    _key.taken, colbert._encoded_sql(index), index.source, index.embeddings, condition,
    colbert._pending_order_sql(index, 's.'), colbert._derived_table(index, 'attempts'), _key.columns,
    colbert._content_sql(index, 'due.content'));
END
$_claim_sql$;

COMMENT ON FUNCTION colbert._claim_sql(colbert._index, text) IS
  'SQL that claims pending documents which meet a condition.';

-- The model whose vectors an index holds is in its option "model". It is an object, the fingerprint of an encoder.
-- Until the first worker comes it may be missing, or a mere name. The owner's worker then leaves its fingerprint there.
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
