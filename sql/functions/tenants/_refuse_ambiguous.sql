-- Where keys are unique within a tenant only, a key that the caller sees in two tenants names no document: of all rows, or of
-- those that meet a filter, whether they have an array or not. With keys of NULL, all are looked at.
CREATE OR REPLACE FUNCTION colbert._refuse_ambiguous(
  index colbert._index, keys text[], filter text DEFAULT NULL, params jsonb DEFAULT NULL, search_path text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_ambiguous$
DECLARE
  _documents text;
  _key text;
BEGIN
  IF NOT colbert._key_within_tenant(index) THEN
    RETURN;
  END IF;
  _documents := colbert._documents_sql(index, filter);
  IF keys IS NOT NULL THEN
    _documents := colbert._documents_of_keys_sql(_documents, (colbert._source_types(index)).key_cast);
  END IF;
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE pg_catalog.format(
    'SELECT d.doc_id::pg_catalog.text FROM %s AS d GROUP BY d.doc_id HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 LIMIT 1',
    _documents)
     INTO _key
    USING NULL::pg_catalog.text, params, keys;
  IF _key IS NOT NULL THEN
    RAISE EXCEPTION 'document "%" of table "%" is there in several tenants', _key, index.source
      USING ERRCODE = 'cardinality_violation',
            DETAIL = pg_catalog.format('Keys of this table are unique together with "%s" only.', colbert._tenant_column(index)),
            HINT = 'Name one tenant in the filter, or ask as a role that sees one.';
  END IF;
END
$_refuse_ambiguous$;

COMMENT ON FUNCTION colbert._refuse_ambiguous(colbert._index, text[], text, jsonb, text) IS
  'Raises for a key that the caller sees in several tenants, where keys are unique within a tenant only.';

CREATE OR REPLACE FUNCTION colbert._key_within_tenant(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._tenant_column(index) IS NOT NULL AND NOT colbert._names_documents(index.source, index.key, NULL);
END;

COMMENT ON FUNCTION colbert._key_within_tenant(colbert._index) IS
  'Whether the keys of an index are unique within a tenant only.';
