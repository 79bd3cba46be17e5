-- Refuses a column that workers cannot encode, or whose changes could not be seen. A generated column has no value yet
-- where a BEFORE trigger looks at it. A changed text or picture loses its array, which a column that is NOT NULL would not
-- allow. An expression is checked by _parse_text.
CREATE OR REPLACE FUNCTION colbert._refuse_encoded_column(source regclass, embeddings name, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_encoded_column$
DECLARE
  _option text := CASE WHEN options ? 'pictures' THEN 'pictures' ELSE 'text' END;
  _what text := CASE WHEN options ? 'pictures' THEN 'picture' ELSE 'text' END;
  _name text := options ->> _option;
  _column pg_attribute;
BEGIN
  IF _name IS NULL THEN
    RETURN;
  ELSIF options ?& ARRAY['text', 'pictures'] THEN
    RAISE EXCEPTION 'options "text" and "pictures" exclude each other'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Workers encode one column of an index: name it in one of them.';
  END IF;
  SELECT a.* INTO _column
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = _name AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND AND colbert._names_column(source, options) THEN
    RAISE EXCEPTION '% column "%" of table "%" does not exist', _what, _name, source
      USING ERRCODE = 'undefined_column',
            HINT = format('Name the column that is to be encoded: options => ''{"%s": "column"}''.', _option);
  ELSIF (SELECT t.typcategory <> 'S' FROM pg_type AS t WHERE t.oid = _column.atttypid)
        AND NOT (_option = 'pictures' AND colbert._base_type(_column.atttypid) = 'bytea'::regtype) THEN
    RAISE EXCEPTION '% column "%" of table "%" is of type %', _what, _name, source,
                    format_type(_column.atttypid, _column.atttypmod)
      USING ERRCODE = 'datatype_mismatch',
            HINT = CASE _option WHEN 'text' THEN 'It must be text, varchar, char or the like.'
                                ELSE 'It must be bytea, for the bytes of picture files, or text, for their paths.' END;
  ELSIF _column.attgenerated <> '' THEN
    RAISE EXCEPTION '% column "%" of table "%" is a generated column', _what, _name, source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Its value is computed after the triggers that see whether it has changed.',
            HINT = 'Write its expression in its place, options => ''{"text": "title || body"}'', or let a trigger of your own, '
                   'BEFORE INSERT OR UPDATE, put the value together in an ordinary column.';
  ELSIF options -> 'triggers' = 'false'::jsonb THEN
    RAISE EXCEPTION 'option "%" needs triggers', _option
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Leave out the option "triggers", or write vectors with colbert.upsert and no option "%s".',
                          _option);
  ELSIF (SELECT a.attnotnull FROM pg_attribute AS a WHERE a.attrelid = source AND a.attname = embeddings) THEN
    RAISE EXCEPTION 'column "%" of table "%" is NOT NULL, so that no % could change', embeddings, source, _what
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('A document whose %s has changed has no array until it is encoded again.', _what),
            HINT = format('ALTER TABLE %s ALTER %I DROP NOT NULL', source, embeddings);
  END IF;
END
$_refuse_encoded_column$;

COMMENT ON FUNCTION colbert._refuse_encoded_column(regclass, name, jsonb) IS
  'Raises unless the column that option "text" or "pictures" names can be encoded; does nothing without them.';
