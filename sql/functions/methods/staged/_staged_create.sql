-- What staged has instead of tables: a CHECK constraint on the source, so that no document is without a first stage,
-- where no search would find it. PostgreSQL holds it under every way of writing, also where triggers do not fire. Arrays
-- are told from empty ones by their size, as in _scope: to add the constraint reads no array.
CREATE OR REPLACE FUNCTION colbert._staged_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_create$
DECLARE
  _doc_id text;
  _name name := colbert._derived_name(index.source, index.embeddings, 'first_stage');
BEGIN
  PERFORM colbert._find_first_stage(index);
  IF colbert._staged_constraint(index) IS NOT NULL THEN
    RETURN;
  END IF;
  SELECT p.doc_id INTO _doc_id FROM colbert._staged_problems(index, 1, '') AS p LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'document % of table "%" has nothing in column "%", its first stage', _doc_id, index.source,
                    index.options ->> 'first_stage'
      USING ERRCODE = 'not_null_violation',
            HINT = 'Fill the column for every document that has an array, or make it a generated column.';
  END IF;
  EXECUTE format(
    'ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s)', index.source, _name,
    colbert._staged_sql(index));
  EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', _name, index.source, colbert._derived_comment(index));
END
$_staged_create$;

COMMENT ON FUNCTION colbert._staged_create(colbert._index) IS
  'Makes the constraint by which every document has a first stage.';

CREATE OR REPLACE FUNCTION colbert._staged_sql(index colbert._index)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('coalesce(pg_catalog.pg_column_size(%I) > 24, false) OR coalesce(pg_catalog.pg_column_size(%I) <= 24, true)',
              index.options ->> 'first_stage', index.embeddings);

COMMENT ON FUNCTION colbert._staged_sql(colbert._index) IS
  'SQL for whether a row has a first stage, or needs none: it has no document tokens.';

CREATE OR REPLACE FUNCTION colbert._staged_constraint(index colbert._index)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT c.conname
    FROM pg_catalog.pg_constraint AS c
   WHERE c.conrelid = index.source
     AND c.contype = 'c'
     AND obj_description(c.oid, 'pg_constraint') = colbert._derived_comment(index);
END;

COMMENT ON FUNCTION colbert._staged_constraint(colbert._index) IS
  'The constraint by which every document has a first stage; NULL when it is gone.';
