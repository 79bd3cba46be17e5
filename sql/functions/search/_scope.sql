-- What a search is limited to: the documents that meet the filter and have tokens. It is run with the caller's rights,
-- and with a filter under the caller's search_path.
--
-- NULL and empty arrays are left out by their size. An empty array takes 16 bytes, and one of a single one-dimensional
-- vector more than 24. To ask for the size does not fetch the array.
CREATE OR REPLACE FUNCTION colbert._scope(
  index colbert._index, filter text, params jsonb, search_path text)
RETURNS colbert._scope
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_scope$
DECLARE
  _scope colbert._scope;
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params);
  _scope.documents := format(
    '(SELECT d.doc_id, d.embeddings FROM %s AS d WHERE pg_catalog.pg_column_size(d.embeddings) > 24)',
    colbert._documents_sql(index, filter));
  _scope.params := params;
  _scope.search_path := CASE WHEN filter IS NULL THEN current_setting('search_path') ELSE search_path END;
  _scope.filtered := filter IS NOT NULL;
  _scope.restricted := filter IS NOT NULL OR row_security_active(index.source);
  RETURN _scope;
END
$_scope$;

COMMENT ON FUNCTION colbert._scope(colbert._index, text, jsonb, text) IS
  'The documents that a search may see: those of the source that meet the filter and have tokens.';

-- What is wrong with a filter before it is run.
CREATE OR REPLACE FUNCTION colbert._refuse_filter(source regclass, filter text, params jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
AS $_refuse_filter$
BEGIN
  IF filter !~ '\S' THEN
    RAISE EXCEPTION 'filter is empty'
      USING ERRCODE = 'syntax_error',
            HINT = 'Leave it out, or pass a condition over the columns of the table.';
  END IF;
  IF filter ~ '\mparams\M' AND filter !~ '\margs\.params\M' AND params IS NOT NULL
     AND EXISTS (SELECT FROM pg_attribute AS a
                  WHERE a.attrelid = source AND a.attname = 'params' AND NOT a.attisdropped) THEN
    RAISE EXCEPTION 'params could be the argument or the column of table "%"', source
      USING ERRCODE = 'ambiguous_column',
            HINT = 'Write args.params in the filter for the argument.';
  END IF;
  PERFORM colbert._refuse_missing_params(source, filter, params);
END
$_refuse_filter$;

COMMENT ON FUNCTION colbert._refuse_filter(regclass, text, jsonb) IS
  'Raises for a filter that is empty, or whose params are not clear or not there.';

-- A filter that spells params->'name' or params->>'name' compares with NULL where params has no such member, and would
-- find nothing without a word. Other spellings are not seen. Where the source has a column params, the filter's params
-- is that column, and args.params the argument. What stands in strings, quoted names and comments is passed over.
CREATE OR REPLACE FUNCTION colbert._refuse_missing_params(source regclass, filter text, params jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_missing_params$
DECLARE
  _passed_over constant text :=
    $re$(?<![\w$])e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/$re$;
  _spelled constant text := $re$(?<![\w$.])(args\s*\.\s*)?params\s*->>?\s*'((?:[^']|'')*)'$re$;
  _is_column boolean;
  _missing text;
BEGIN
  IF filter IS NULL OR filter !~* 'params' THEN
    RETURN;
  END IF;
  _is_column := EXISTS (SELECT FROM pg_attribute AS a
                         WHERE a.attrelid = source AND a.attname = 'params' AND NOT a.attisdropped);
  SELECT n.name
    INTO _missing
    FROM regexp_matches(filter, _passed_over || '|' || _spelled, 'gi') AS m (parts)
   CROSS JOIN LATERAL (SELECT replace(m.parts[2], '''''', '''') AS name) AS n
   WHERE n.name IS NOT NULL
     AND (m.parts[1] IS NOT NULL OR NOT _is_column)
     AND (jsonb_typeof(params) = 'object' AND params ? n.name) IS NOT TRUE
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'params lacks "%", which the filter names', _missing
      USING ERRCODE = 'undefined_parameter',
            DETAIL = 'A comparison with what is not there is never true.',
            HINT = format('Pass it: params => ''{%s: …}''; null is a value, too. Write the params of another table '
                          'with the name of that table.', to_jsonb(_missing));
  END IF;
END
$_refuse_missing_params$;

COMMENT ON FUNCTION colbert._refuse_missing_params(regclass, text, jsonb) IS
  'Raises for a value that a filter names and params lacks.';
