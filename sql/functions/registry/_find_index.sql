-- The registry row of an index. The source may be left out (NULL) while exactly one table is indexed, and the column
-- while the source has exactly one indexed column, or exactly one that is not the first stage of another.
CREATE OR REPLACE FUNCTION colbert._registered_index(source regclass, embeddings name DEFAULT NULL)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_registered_index$
DECLARE
  _found colbert._index[];
BEGIN
  SELECT array_agg(i ORDER BY i.id)
    INTO _found
    FROM colbert._index AS i
   WHERE (_registered_index.source IS NULL OR i.source = _registered_index.source)
     AND CASE WHEN _registered_index.embeddings IS NOT NULL THEN i.embeddings = _registered_index.embeddings
              ELSE NOT colbert._is_first_stage(i) END;

  CASE coalesce(cardinality(_found), 0)
    WHEN 1 THEN
      RETURN _found[1];
    WHEN 0 THEN
      IF source IS NULL THEN
        RAISE EXCEPTION 'no table has a late-interaction index'
          USING ERRCODE = 'undefined_object',
                HINT = 'Create one with SELECT colbert.create_index(''table'').';
      END IF;
      RAISE EXCEPTION 'table "%" has no late-interaction index%', source,
                      CASE WHEN embeddings IS NOT NULL
                           THEN format(' on column "%s"', embeddings) ELSE '' END
        USING ERRCODE = 'undefined_object',
              HINT = format('Create one with SELECT colbert.create_index(%L%s).', source,
                            CASE WHEN embeddings IS NOT NULL THEN format(', %L', embeddings) ELSE '' END);
    ELSE
      RAISE EXCEPTION '% late-interaction indexes could be meant', cardinality(_found)
        USING ERRCODE = 'ambiguous_parameter',
              DETAIL = (SELECT string_agg(format('%s.%I', f.source, f.embeddings), ', ')
                          FROM unnest(_found) AS f),
              HINT = CASE WHEN source IS NULL
                          THEN 'Name the table: source => ''table''.'
                          ELSE 'Name the column: embeddings => ''column''.' END;
  END CASE;
END
$_registered_index$;

COMMENT ON FUNCTION colbert._registered_index(regclass, name) IS
  'The registry row of an index, or an error that says which there are.';

-- The same for what uses the index. One that was made before Citus distributed its table knows none of the rows that are
-- written since.
CREATE OR REPLACE FUNCTION colbert._find_any_index(source regclass, embeddings name DEFAULT NULL)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_any_index$
DECLARE
  _index colbert._index := colbert._registered_index(source, embeddings);
BEGIN
  IF _index.method <> 'shards' AND colbert._is_distributed(_index.source) THEN
    RAISE EXCEPTION 'table "%" was distributed after it was indexed', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'The index here knows none of the rows that were written since.',
            HINT = format('Drop it here alone: SET citus.enable_ddl_propagation = off; SELECT colbert.drop_index(%L, %L); '
                          'RESET citus.enable_ddl_propagation; and create the index anew.',
                          _index.source, _index.embeddings);
  END IF;
  RETURN _index;
END
$_find_any_index$;

COMMENT ON FUNCTION colbert._find_any_index(regclass, name) IS
  'The registry row of an index that can be used, or an error.';

CREATE OR REPLACE FUNCTION colbert._is_first_stage(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM colbert._index AS i
                  WHERE i.source = index.source AND i.options ->> 'first_stage' = index.embeddings);
END;

COMMENT ON FUNCTION colbert._is_first_stage(colbert._index) IS
  'Whether another index of the table has this one as its first stage.';

-- The same for what works on one table: an index over shards is refused. So whatever was not made for shards says so,
-- instead of leaving out the documents that are elsewhere.
CREATE OR REPLACE FUNCTION colbert._find_index(source regclass, embeddings name DEFAULT NULL)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_index$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
BEGIN
  IF _index.method = 'shards' THEN
    RAISE EXCEPTION 'the shards of table "%" are not reached by this', _index.source
      USING ERRCODE = 'feature_not_supported',
            DETAIL = 'Rows of it are on other servers.',
            HINT = 'Call it for each partition that is here, and on each shard. colbert.shards lists them.';
  END IF;
  RETURN _index;
END
$_find_index$;

COMMENT ON FUNCTION colbert._find_index(regclass, name) IS
  'The registry row of an index of one table, or an error.';
