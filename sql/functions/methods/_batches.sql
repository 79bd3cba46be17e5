-- An index is built in batches of documents, so that others see how far it is, and so that it may commit after each. A
-- batch reads the keys of all documents, and the arrays of its own.
CREATE OR REPLACE FUNCTION colbert._batches(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_batches$
DECLARE
  _batches integer;
BEGIN
  EXECUTE format('SELECT least(100, 1 + count(*) / 250) FROM %s', index.source) INTO _batches;
  RETURN _batches;
END
$_batches$;

COMMENT ON FUNCTION colbert._batches(colbert._index) IS
  'The number of batches in which the documents of a source are read.';

-- By a hash of the key, so that a document is in the same batch whenever it is read.
CREATE OR REPLACE FUNCTION colbert._in_batch_sql(index colbert._index)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('(hashtext(s.%I::text) & 2147483647) %% $3 = $2 - 1', index.key);

COMMENT ON FUNCTION colbert._in_batch_sql(colbert._index) IS
  'SQL for whether the row s of the source is in batch $2 of $3, counted from 1.';
