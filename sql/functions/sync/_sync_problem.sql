-- What keeps an index from being kept in step: a trigger that is gone, disabled, or runs with the rights of a former
-- owner; or pending documents that cannot be found.
CREATE OR REPLACE FUNCTION colbert._sync_problem(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('trigger "%s" %s', expected.name,
                CASE WHEN t.tgname IS NULL THEN 'is gone'
                     WHEN t.tgenabled IN ('D', 'R') THEN 'is disabled'
                     ELSE 'belongs to a former owner of the table' END)
    FROM colbert._sync_names(index) AS names
   CROSS JOIN LATERAL (VALUES (names.row_trigger), (names.truncate_trigger),
                              (CASE WHEN colbert._is_encoded(index)
                                    THEN names.text_trigger END)) AS expected (name)
    LEFT JOIN pg_catalog.pg_trigger AS t
           ON t.tgrelid = index.source AND t.tgname = expected.name
    LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
   WHERE colbert._triggers(index)
     AND expected.name IS NOT NULL
     AND (t.tgenabled IS NULL OR t.tgenabled IN ('D', 'R')
          OR pg_catalog.pg_get_userbyid(p.proowner) <> colbert._owner(index.source))
  UNION ALL
  SELECT 'the index of pending documents is gone'
   WHERE colbert._is_encoded(index) AND colbert._pending_index(index) IS NULL
   LIMIT 1;
END;

COMMENT ON FUNCTION colbert._sync_problem(colbert._index) IS
  'What keeps an index from being kept in step; NULL when nothing does.';
