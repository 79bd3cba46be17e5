-- What keeps an index from being kept in step, if anything does: a trigger that is gone or disabled.
CREATE OR REPLACE FUNCTION colbert._sync_problem(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('trigger "%s" is %s', expected.name,
                CASE WHEN t.tgname IS NULL THEN 'gone' ELSE 'disabled' END)
    FROM unnest(ARRAY[index.sync, format('colbert_truncate_%s', index.id)]) AS expected (name)
    LEFT JOIN pg_catalog.pg_trigger AS t
           ON t.tgrelid = index.source AND t.tgname = expected.name
   WHERE colbert._triggers(index)
     AND (t.tgenabled IS NULL OR t.tgenabled IN ('D', 'R'))
   LIMIT 1;
END;

COMMENT ON FUNCTION colbert._sync_problem(colbert._index) IS
  'The trigger that does not keep the index in step; NULL when all do.';
