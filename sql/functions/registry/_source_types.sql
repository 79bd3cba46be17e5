-- The types behind an index, read from the catalog. Refuses an index whose source lost a column or changed its type.
--
--   key_type     the key's, as it is declared: varchar(20)
--   key_cast     what keys are cast to when they are looked up: bigint for integers, so that none is out of range, and
--                a type without a length, so that no string is cut
--   key_base     that of a domain, or else the key's own
--   element      the element type of the array column: vector, halfvec or bit
CREATE OR REPLACE FUNCTION colbert._source_types(
  index colbert._index, OUT key_type text, OUT key_cast text, OUT key_base regtype, OUT element regtype)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_types$
BEGIN
  SELECT format_type(a.atttypid, a.atttypmod), colbert._base_type(a.atttypid)
    INTO key_type, key_base
    FROM pg_attribute AS a
   WHERE a.attrelid = index.source AND a.attname = index.key AND NOT a.attisdropped;
  key_cast := colbert._type_name(CASE WHEN key_base IN ('int2'::regtype, 'int4'::regtype) THEN 'int8'::regtype
                                      ELSE key_base END);
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
  'The type of the key (as declared, to cast to, without domains), and the element type of the array column.';
