-- Whether a column names a document: it is NOT NULL, no array, and has a unique index, by itself or with the tenant.
CREATE OR REPLACE FUNCTION colbert._names_documents(source regclass, key name, tenant name)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT
                   FROM pg_catalog.pg_index AS i
                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = key
                   JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
                   LEFT JOIN pg_catalog.pg_attribute AS b ON b.attrelid = i.indrelid AND b.attname = tenant
                  WHERE i.indrelid = source
                    AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
                    AND a.attnotnull
                    AND t.typcategory <> 'A'
                    AND (i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                         OR i.indnkeyatts = 2 AND b.attnotnull
                            AND (i.indkey[0], i.indkey[1]) IN ((a.attnum, b.attnum), (b.attnum, a.attnum))));
END;

COMMENT ON FUNCTION colbert._names_documents(regclass, name, name) IS
  'Whether a column names a document, by itself or together with the tenant.';

-- The column that names a document: the one that is asked for, or else the primary key, of which the tenant may be a part.
-- It has to be NOT NULL, and unique by itself or within a tenant.
CREATE OR REPLACE FUNCTION colbert._key_column(source regclass, key name, tenant name)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_key_column$
DECLARE
  _found name;
BEGIN
  SELECT a.attname
    INTO _found
    FROM pg_attribute AS a
   WHERE a.attrelid = source
     AND a.attnum > 0
     AND colbert._names_documents(source, a.attname, tenant)
     AND CASE WHEN key IS NOT NULL THEN a.attname = key
              ELSE EXISTS (SELECT FROM pg_index AS i
                            WHERE i.indrelid = source AND i.indisprimary AND a.attnum = ANY (i.indkey)
                              AND (i.indnkeyatts = 1 OR a.attname <> tenant)) END
   ORDER BY a.attnum
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

COMMENT ON FUNCTION colbert._key_column(regclass, name, name) IS
  'The column that names a document: NOT NULL, and unique by itself or within a tenant; the primary key when none is asked for.';
