-- A table of an index, by its name.
CREATE OR REPLACE FUNCTION colbert._derived_table(index colbert._index, name text)
RETURNS regclass
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_table$
DECLARE
  _table regclass := colbert._registered_table(index, name);
BEGIN
  IF NOT EXISTS (SELECT FROM colbert._derived_tables(index) AS t WHERE t = _table) THEN
    RAISE EXCEPTION 'a table of the index on "%" is not there any more', index.source
      USING ERRCODE = 'undefined_table',
            HINT = format('Run SELECT colbert.repair_index(%L, %L).',
                          index.source, index.embeddings);
  END IF;
  RETURN _table;
END
$_derived_table$;

COMMENT ON FUNCTION colbert._derived_table(colbert._index, text) IS
  'A table of an index, by its name; an error when it was dropped behind the index''s back.';
