-- Turns the expression of option "text" into what PostgreSQL prints of it, or raises. It is checked as the expression of
-- an index is, on an empty table of the same columns that is dropped again: it must be of a string type, and made of
-- columns, constants and immutable functions. Names are looked up in pg_catalog. All others need their schema.
CREATE OR REPLACE FUNCTION colbert._parse_text(source regclass, embeddings name, expression text)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_parse_text$
DECLARE
  _schema regnamespace := (SELECT c.relnamespace FROM pg_class AS c WHERE c.oid = source);
  _table text := format('%s.%I', _schema, colbert._derived_name(source, embeddings, 'text'));
  _view text := format('%s.%I', _schema, colbert._derived_name(source, embeddings, 'text_type'));
  _index regclass;
  _type regtype;
  _computed name;
  _parsed text;
BEGIN
  EXECUTE format('CREATE TABLE %s (LIKE %s)', _table, source);
  BEGIN
    EXECUTE format(E'CREATE VIEW %s AS SELECT (%s\n) AS content FROM %s', _view, expression, _table);
    _type := (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = _view::regclass AND a.attname = 'content');
    EXECUTE format('DROP VIEW %s', _view);
    EXECUTE format(E'CREATE INDEX ON %1$s ((1)) WHERE (%2$s\n) IS NOT NULL', _table, expression);
  EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR data_exception THEN
    RAISE EXCEPTION 'option "text": %', SQLERRM
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('It is no column of table "%s", and no expression over its columns: %s', source, expression),
            HINT = 'Functions must be immutable, as in an index, and those of extensions and your own need their schema: '
                   '{"text": "title || '' '' || public.f(body)"}.';
  END;
  SELECT i.indexrelid, pg_get_expr(i.indpred, i.indrelid)
    INTO _index, _parsed
    FROM pg_index AS i
   WHERE i.indrelid = _table::regclass;
  _computed := (SELECT a.attname
                  FROM pg_depend AS d
                  JOIN pg_attribute AS t ON t.attrelid = d.refobjid AND t.attnum = d.refobjsubid
                  JOIN pg_attribute AS a ON a.attrelid = source AND a.attname = t.attname
                 WHERE d.objid = _index AND d.classid = 'pg_class'::regclass
                   AND (a.attgenerated <> '' OR a.attname = embeddings)
                 LIMIT 1);
  EXECUTE format('DROP TABLE %s', _table);
  IF (SELECT t.typcategory <> 'S' FROM pg_type AS t WHERE t.oid = _type) THEN
    RAISE EXCEPTION 'the expression of option "text" is of type %', _type
      USING ERRCODE = 'datatype_mismatch',
            DETAIL = expression,
            HINT = 'Cast it: {"text": "(…)::text"}.';
  ELSIF _computed IS NOT NULL THEN
    RAISE EXCEPTION 'the expression of option "text" needs column "%" of table "%"', _computed, source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'The array is made of the text, and a generated column has no value yet when a trigger looks.',
            HINT = 'Use ordinary columns: write the expression of a generated column in its place.';
  END IF;
  RETURN substring(_parsed FROM '^\((.*) IS NOT NULL\)$');
END
$_parse_text$;

COMMENT ON FUNCTION colbert._parse_text(regclass, name, text) IS
  'What PostgreSQL prints of the expression of option "text"; raises for what cannot be one.';
