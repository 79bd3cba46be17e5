-- Refuses what cannot be indexed: a view, a table of another owner, a table that the caller does not see whole, and a
-- column that is no array of vectors.
CREATE OR REPLACE FUNCTION colbert._refuse_source(source regclass, embeddings name)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_source$
DECLARE
  _table pg_class;
  _type text;
BEGIN
  IF source IS NULL OR embeddings IS NULL THEN
    RAISE EXCEPTION '% must not be NULL', CASE WHEN source IS NULL THEN 'source' ELSE 'embeddings' END
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name the table and its column of token vectors.';
  END IF;
  SELECT c.* INTO _table FROM pg_class AS c WHERE c.oid = source;
  IF _table.relkind NOT IN ('r', 'p') OR _table.relpersistence = 't' THEN
    RAISE EXCEPTION '"%" is not a table that can be indexed', source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Index a table or a partitioned table, not a temporary one.';
  END IF;
  IF _table.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = source) THEN
    RAISE EXCEPTION 'table "%" has child tables', source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Neither a key nor a trigger holds for the rows of tables that inherit from it.',
            HINT = 'Index each of them, or make it a partitioned table.';
  END IF;
  PERFORM colbert._refuse_stranger(source),
          colbert._refuse_partial_view(source),
          colbert._refuse_old_snapshot();

  SELECT format_type(a.atttypid, a.atttypmod)
    INTO _type
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = embeddings AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'column "%" of table "%" does not exist', embeddings, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column of token vectors: embeddings => ''column''.';
  ELSIF colbert._element_type(source, embeddings) IS NULL THEN
    RAISE EXCEPTION 'column "%" of table "%" is of type %', embeddings, source, _type
      USING ERRCODE = 'datatype_mismatch',
            HINT = 'It must be an array of vectors: vector(128)[], halfvec(128)[] or bit(128)[].';
  END IF;
END
$_refuse_source$;

COMMENT ON FUNCTION colbert._refuse_source(regclass, name) IS
  'Raises unless the table and its column can be indexed by the caller.';
