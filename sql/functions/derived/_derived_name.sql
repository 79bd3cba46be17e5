-- <source>_<column>_<suffix>, the name of a table or an index that belongs to an index. A name of more than 63 bytes is
-- cut and keeps a hash of the whole, so that two long names stay two. So does a name that is taken, which happens when
-- an older table had the source's name, or while an index is built beside its old tables.
CREATE OR REPLACE FUNCTION colbert._derived_name(source regclass, embeddings name, suffix text)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_name$
DECLARE
  _source pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = source);
  _whole text := concat_ws('_', _source.relname, embeddings);
  _name text := _whole || '_' || suffix;
  _stem text := _whole;
  _ending text := source::oid::text;
BEGIN
  WHILE octet_length(_name) > 63
        OR EXISTS (SELECT FROM pg_class AS c
                    WHERE c.relnamespace = _source.relnamespace AND c.relname = _name)
  LOOP
    _ending := left(md5(_whole || _ending), 8);
    WHILE octet_length(concat_ws('_', _stem, _ending, suffix)) > 63 LOOP
      _stem := left(_stem, -1);
    END LOOP;
    _name := concat_ws('_', _stem, _ending, suffix);
  END LOOP;
  RETURN _name;
END
$_derived_name$;

COMMENT ON FUNCTION colbert._derived_name(regclass, name, text) IS
  'The name of a table, function or trigger that belongs to an index; cut, with a hash, when it would be too long.';
