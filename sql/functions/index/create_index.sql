-- Creates an index on a column of token vectors, and keeps it in step from then on. Like CREATE INDEX it blocks writers
-- of the table, not readers, until the transaction ends.
--
-- Errors: every document that is there is checked before anything is built, and the first bad one is named with its key
-- and token. Cost: a scan of the arrays, and the build of the method.
CREATE OR REPLACE FUNCTION colbert.create_index(
  source regclass,
  embeddings name DEFAULT 'embeddings',
  method text DEFAULT NULL,
  options jsonb DEFAULT '{}',
  key name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $create_index$
DECLARE
  _index colbert._index;
  _method text;
BEGIN
  PERFORM colbert._refuse_source(source, embeddings);
  _method := coalesce(method, colbert._default_method(source, options));
  PERFORM colbert._refuse_options(options, colbert._option_types(_method)),
          colbert._refuse_text_column(source, embeddings, options);
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  PERFORM colbert._forget_dropped_sources();
  IF EXISTS (SELECT FROM colbert._index AS i
              WHERE i.source = create_index.source AND i.embeddings = create_index.embeddings) THEN
    RAISE EXCEPTION 'column "%" of table "%" has a late-interaction index already', embeddings, source
      USING ERRCODE = 'duplicate_object',
            HINT = format('Drop it first: SELECT colbert.drop_index(%L, %L).', source, embeddings);
  END IF;

  INSERT INTO colbert._index (source, embeddings, key, method, options, dimensions)
  VALUES (source, embeddings, colbert._key_column(source, key), _method, options,
          colbert._vector_dimensions(source, embeddings, options))
  RETURNING * INTO _index;

  PERFORM colbert._refuse_documents(_index);
  _index := colbert._create_tables(_index);
  IF colbert._triggers(_index) THEN
    PERFORM colbert._create_sync(_index);
  END IF;
  PERFORM colbert._method_build(_index);
  EXECUTE format('ANALYZE %s (%I)', source, _index.key);
  IF colbert._text_column(_index) IS NOT NULL THEN
    PERFORM colbert._notify_workers(_index.id);
  END IF;
END
$create_index$;

COMMENT ON FUNCTION colbert.create_index(regclass, name, text, jsonb, name) IS
  'Creates an index (exact, hnsw, ivfflat or plaid; chosen for the table when no method is named) on a column of token-vector arrays and keeps it in step with triggers. For the owner of the table.';
