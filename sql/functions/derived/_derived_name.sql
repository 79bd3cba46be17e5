-- <source>_<column>_<suffix>, the name of a table or an index that belongs to an index. A name of more than 63 bytes is
-- cut and keeps a hash of the whole, so that two long names stay two. So does a name that is taken, which happens when
-- an older table had the source's name.
CREATE OR REPLACE FUNCTION colbert._derived_name(source regclass, embeddings name, suffix text)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_name$
DECLARE
  _stem text := (SELECT c.relname FROM pg_class AS c WHERE c.oid = source) || '_' || embeddings;
  _hash text := left(md5(_stem || source::oid), 8);
BEGIN
  IF octet_length(_stem || '_' || suffix) <= 63
     AND NOT EXISTS (SELECT FROM pg_class AS s, pg_class AS c
                      WHERE s.oid = source AND c.relnamespace = s.relnamespace
                        AND c.relname = _stem || '_' || suffix) THEN
    RETURN _stem || '_' || suffix;
  END IF;
  WHILE octet_length(_stem || '_' || _hash || '_' || suffix) > 63 LOOP
    _stem := left(_stem, -1);
  END LOOP;
  RETURN _stem || '_' || _hash || '_' || suffix;
END
$_derived_name$;

COMMENT ON FUNCTION colbert._derived_name(regclass, name, text) IS
  'The name of a table, function or trigger that belongs to an index; cut, with a hash, when it would be too long.';
