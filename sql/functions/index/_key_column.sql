-- The column that names a document: the one that is asked for, or else the single-column primary key. It has to be
-- unique by itself and NOT NULL.
CREATE OR REPLACE FUNCTION colbert._key_column(source regclass, key name)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_key_column$
DECLARE
  _found name;
BEGIN
  SELECT a.attname
    INTO _found
    FROM pg_index AS i
    JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
   WHERE i.indrelid = source
     AND i.indnkeyatts = 1
     AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
     AND a.attnotnull
     AND (SELECT t.typcategory FROM pg_type AS t WHERE t.oid = a.atttypid) <> 'A'
     AND CASE WHEN key IS NULL THEN i.indisprimary ELSE a.attname = key END
   LIMIT 1;

  IF FOUND THEN
    RETURN _found;
  ELSIF key IS NULL THEN
    RAISE EXCEPTION 'table "%" has no single-column primary key', source
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name a column that is unique and NOT NULL: key => ''column''.';
  ELSIF NOT EXISTS (SELECT FROM pg_attribute AS a
                     WHERE a.attrelid = source AND a.attname = key AND a.attnum > 0) THEN
    RAISE EXCEPTION 'column "%" of table "%" does not exist', key, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name a column that is unique and NOT NULL: key => ''column''.';
  ELSE
    RAISE EXCEPTION 'column "%" of table "%" does not name a document', key, source
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It needs NOT NULL and a unique index of its own, not partial and not deferrable, and must not be an array.',
            HINT = format('ALTER TABLE %s ALTER %I SET NOT NULL, ADD UNIQUE (%2$I)', source, key);
  END IF;
END
$_key_column$;

COMMENT ON FUNCTION colbert._key_column(regclass, name) IS
  'The column that names a document: unique by itself and NOT NULL; the primary key when none is asked for.';
