-- Checks what an index is asked for, and enters it in the registry. It has no tables yet.
CREATE OR REPLACE FUNCTION colbert._register_index(
  source regclass, embeddings name, method text, options jsonb, key name)
RETURNS colbert._index
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_register_index$
DECLARE
  _index colbert._index;
  _method text := coalesce(method, colbert._default_method(source, options));
BEGIN
  PERFORM colbert._refuse_options(options, colbert._option_types(_method)),
          colbert._refuse_tenant_column(source, _method, options),
          colbert._refuse_bit_options(source, embeddings, options),
          colbert._refuse_encoded_column(source, embeddings, options);
  IF NOT colbert._names_column(source, options) THEN
    PERFORM colbert._parse_text(source, embeddings, options ->> 'text');
  END IF;
  PERFORM colbert._forget_dropped_sources(),
          colbert._refuse_second_index(source, embeddings);

  INSERT INTO colbert._index (source, embeddings, key, method, options, dimensions, table_names)
  VALUES (source, embeddings, colbert._key_column(source, key, options ->> 'tenant'), _method, options,
          colbert._vector_dimensions(source, embeddings, options), '{}')
  RETURNING * INTO _index;
  PERFORM colbert._refuse_first_stage(_index);
  IF colbert._tenant_column(_index) IS NOT NULL AND NOT colbert._leads_with_tenant(_index) THEN
    RAISE NOTICE 'no index of table "%" begins with "%": every search would read all rows to find its tenants',
                 source, options ->> 'tenant'
      USING HINT = format('CREATE INDEX ON %s (%I)', source, options ->> 'tenant');
  END IF;
  RETURN _index;
END
$_register_index$;

COMMENT ON FUNCTION colbert._register_index(regclass, name, text, jsonb, name) IS
  'Enters an index in the registry, after checking what is asked for.';

CREATE OR REPLACE FUNCTION colbert._refuse_first_stage(index colbert._index)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_first_stage$
BEGIN
  IF index.method <> 'staged' THEN
    RETURN;
  ELSIF NOT index.options ? 'first_stage' THEN
    RAISE EXCEPTION 'an index of method staged needs a first stage'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name a column that has an index of its own: options => ''{"first_stage": "pooled"}''.';
  END IF;
  PERFORM colbert._find_first_stage(index);
  IF colbert._is_encoded(index)
     AND (SELECT a.attnotnull FROM pg_attribute AS a
           WHERE a.attrelid = index.source AND a.attname = colbert._stage_column(index)) THEN
    RAISE EXCEPTION 'column "%" of table "%" is NOT NULL, so that nothing could be pending', colbert._stage_column(index),
                    index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'A document has no first stage until a worker has encoded it.',
            HINT = format('ALTER TABLE %s ALTER %I DROP NOT NULL', index.source, colbert._stage_column(index));
  END IF;
END
$_refuse_first_stage$;

COMMENT ON FUNCTION colbert._refuse_first_stage(colbert._index) IS
  'Raises for an index of method staged that has no first stage; does nothing for other methods.';

CREATE OR REPLACE FUNCTION colbert._refuse_second_index(source regclass, embeddings name)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_second_index$
BEGIN
  IF EXISTS (SELECT FROM colbert._index AS i
              WHERE i.source = _refuse_second_index.source AND i.embeddings = _refuse_second_index.embeddings) THEN
    RAISE EXCEPTION 'column "%" of table "%" has a late-interaction index already', embeddings, source
      USING ERRCODE = 'duplicate_object',
            HINT = format('Drop it first: SELECT colbert.drop_index(%L, %L).', source, embeddings);
  END IF;
END
$_refuse_second_index$;

COMMENT ON FUNCTION colbert._refuse_second_index(regclass, name) IS 'Raises for a column that has an index.';
