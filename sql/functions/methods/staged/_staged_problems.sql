-- Documents that no search would find: they have nothing in the column of the first stage. How the first stage differs
-- from its column, a check of its own index tells.
CREATE OR REPLACE FUNCTION colbert._staged_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_problems$
BEGIN
  IF colbert._first_stage_problem(index, colbert._first_stage(index)) IS NULL THEN
    RETURN QUERY EXECUTE format(
      'SELECT ''missing first stage'', s.%I::text, %L FROM %s AS s WHERE %s AND NOT (%s)',
      index.key, format('nothing in column "%s"', index.options ->> 'first_stage'), index.source,
      colbert._in_sample_sql(format('s.%I', index.key), sample, seed), colbert._staged_sql(index));
  END IF;
END
$_staged_problems$;

COMMENT ON FUNCTION colbert._staged_problems(colbert._index, float8, text) IS
  'The documents that have no first stage.';
