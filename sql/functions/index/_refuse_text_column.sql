-- Refuses a column whose text cannot be encoded, or whose changes could not be seen. A generated column has no value
-- yet where a BEFORE trigger looks at it. A changed text loses its array, which a column that is NOT NULL would not
-- allow.
CREATE OR REPLACE FUNCTION colbert._refuse_text_column(source regclass, embeddings name, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_text_column$
DECLARE
  _name name := options ->> 'text';
  _column pg_attribute;
BEGIN
  IF _name IS NULL THEN
    RETURN;
  END IF;
  SELECT a.* INTO _column
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = _name AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'text column "%" of table "%" does not exist', _name, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column that is to be encoded: options => ''{"text": "content"}''.';
  ELSIF (SELECT t.typcategory <> 'S' FROM pg_type AS t WHERE t.oid = _column.atttypid) THEN
    RAISE EXCEPTION 'text column "%" of table "%" is of type %', _name, source,
                    format_type(_column.atttypid, _column.atttypmod)
      USING ERRCODE = 'datatype_mismatch',
            HINT = 'It must be text, varchar, char or the like.';
  ELSIF _column.attgenerated <> '' THEN
    RAISE EXCEPTION 'text column "%" of table "%" is a generated column', _name, source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Its value is computed after the triggers that see whether the text has changed.',
            HINT = 'Use an ordinary column, and let a trigger of your own, BEFORE INSERT OR UPDATE, put the text together.';
  ELSIF options -> 'triggers' = 'false'::jsonb THEN
    RAISE EXCEPTION 'option "text" needs triggers'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave out the option "triggers", or write vectors with colbert.upsert and no option "text".';
  ELSIF (SELECT a.attnotnull FROM pg_attribute AS a WHERE a.attrelid = source AND a.attname = embeddings) THEN
    RAISE EXCEPTION 'column "%" of table "%" is NOT NULL, so that no text could change', embeddings, source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'A document whose text has changed has no array until it is encoded again.',
            HINT = format('ALTER TABLE %s ALTER %I DROP NOT NULL', source, embeddings);
  END IF;
END
$_refuse_text_column$;

COMMENT ON FUNCTION colbert._refuse_text_column(regclass, name, jsonb) IS
  'Raises unless the column that option "text" names can be encoded; does nothing without the option.';
