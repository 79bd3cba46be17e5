-- The types behind an index, read from the catalog: the key's, as it is declared, and the element type of
-- the array column (vector or halfvec). Refuses an index whose source lost a column or changed its type.
CREATE OR REPLACE FUNCTION colbert._source_types(
  index colbert._index, OUT key_type text, OUT element regtype)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_types$
BEGIN
  SELECT format_type(a.atttypid, a.atttypmod)
    INTO key_type
    FROM pg_attribute AS a
   WHERE a.attrelid = index.source AND a.attname = index.key AND NOT a.attisdropped;
  element := colbert._element_type(index.source, index.embeddings);

  IF key_type IS NULL OR element IS NULL THEN
    RAISE EXCEPTION 'column "%" of the index on "%" is not there any more',
                    CASE WHEN key_type IS NULL THEN index.key ELSE index.embeddings END,
                    index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Was it renamed, or did its type change? Name it as it was, or drop the index with '
                   'colbert.drop_index and create it anew.';
  END IF;
END
$_source_types$;

COMMENT ON FUNCTION colbert._source_types(colbert._index) IS
  'The declared type of the key, and the element type of the array column (vector or halfvec).';
