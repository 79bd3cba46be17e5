-- 'ready', or what is the matter with an index, as far as the catalogs tell; check_index looks at the data.
CREATE OR REPLACE FUNCTION colbert._index_state(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_index_state$
DECLARE
  _state text := colbert._operation(index.method, 'state');
  _declared integer := (SELECT a.atttypmod FROM pg_attribute AS a
                         WHERE a.attrelid = index.source AND a.attname = index.embeddings);
BEGIN
  IF NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = index.source) THEN
    RETURN 'broken: the table was dropped, the next create_index clears this away';
  ELSIF colbert._element_type(index.source, index.embeddings) IS NULL THEN
    RETURN format('broken: column "%s" is gone or of another type', index.embeddings);
  ELSIF _declared NOT IN (-1, index.dimensions) THEN
    RETURN format('broken: column "%s" has vectors of %s dimensions now, drop the index and create it anew',
                  index.embeddings, _declared);
  ELSIF NOT EXISTS (SELECT FROM pg_attribute AS a
                     WHERE a.attrelid = index.source AND a.attname = index.key) THEN
    RETURN format('broken: column "%s" is gone or of another type', index.key);
  ELSIF colbert._text_column(index) IS NOT NULL
        AND NOT EXISTS (SELECT FROM pg_attribute AS a
                         WHERE a.attrelid = index.source AND a.attname = colbert._text_column(index)) THEN
    RETURN format('broken: column "%s" is gone or of another type', colbert._text_column(index));
  ELSIF (SELECT count(*) FROM colbert._derived_tables(index)) < cardinality(index.tables) THEN
    RETURN 'broken: a table of the index was dropped, run repair_index';
  ELSIF EXISTS (SELECT FROM colbert._derived_tables(index) AS t
                 WHERE colbert._owner(t) <> colbert._owner(index.source)) THEN
    RETURN 'broken: the table has a new owner, run repair_index as a superuser';
  ELSIF colbert._sync_problem(index) IS NOT NULL THEN
    RETURN format('broken: %s, run repair_index', colbert._sync_problem(index));
  ELSIF _state IS NOT NULL THEN
    EXECUTE format('SELECT %s($1)', _state) INTO _state USING index;
  END IF;
  RETURN coalesce(_state, 'ready');
END
$_index_state$;

COMMENT ON FUNCTION colbert._index_state(colbert._index) IS
  'ready, or what the catalogs tell to be the matter with an index and what to do about it.';
