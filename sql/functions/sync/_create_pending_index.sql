-- Makes the index in which workers find pending documents, where it is missing. It holds the expression, if the text is
-- one: see _text_expression.
--
-- typed is the expression as the caller has just given it. Otherwise it comes from the registry, which the owner of the
-- source can write. Nobody else parses what is there, since that runs it.
CREATE OR REPLACE FUNCTION colbert._create_pending_index(index colbert._index, typed text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_pending_index$
DECLARE
  _pending name := colbert._derived_name(index.source, index.embeddings, 'pending');
  _expression text;
BEGIN
  IF colbert._pending_index(index) IS NOT NULL THEN
    RETURN;
  ELSIF NOT colbert._names_column(index.source, index.options) THEN
    IF typed IS NULL THEN
      PERFORM colbert._refuse_other_than_owner(index.source);
    END IF;
    _expression := colbert._parse_text(index.source, index.embeddings, coalesce(typed, index.options ->> 'text'));
  END IF;
  EXECUTE format('CREATE INDEX %I ON %s (%s%s) WHERE %I IS NULL AND %s IS NOT NULL',
                 _pending, index.source, colbert._pending_order_sql(index), ', ((' || _expression || ') IS NULL)',
                 index.embeddings,
                 coalesce('(' || _expression || ')', quote_ident(colbert._encoded_column(index))));
  EXECUTE format('COMMENT ON INDEX %s.%I IS %L',
                 (SELECT c.relnamespace::regnamespace FROM pg_class AS c WHERE c.oid = index.source),
                 _pending, colbert._derived_comment(index));
END
$_create_pending_index$;

COMMENT ON FUNCTION colbert._create_pending_index(colbert._index, text) IS
  'Makes the index of pending documents where it is missing.';

CREATE OR REPLACE FUNCTION colbert._refuse_other_than_owner(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_other_than_owner$
BEGIN
  IF NOT colbert._is_own(source) THEN
    RAISE EXCEPTION 'the text of an index on table "%" is an expression, which the owner alone takes from the registry', source
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('SET ROLE %s, and do it again.', colbert._owner(source));
  END IF;
END
$_refuse_other_than_owner$;

COMMENT ON FUNCTION colbert._refuse_other_than_owner(regclass) IS
  'Raises unless the current role is the owner of a table: for what not even members and superusers should run.';

-- Whether the option "text" or "pictures" names a column: one that is there, or a name that cannot be anything else.
CREATE OR REPLACE FUNCTION colbert._names_column(source regclass, options jsonb)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN NOT options ? 'text'
       OR options ->> 'text' ~ '^[[:alpha:]_][[:alnum:]_$]*$'
       OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                   WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
                     AND a.attname = options ->> 'text');

COMMENT ON FUNCTION colbert._names_column(regclass, jsonb) IS
  'Whether options name a column to encode, and not an expression.';
