-- 0.3.0: functions of 0.1.0 and 0.2.0 that are gone, or whose arguments or results are others now
-- The view lets go of functions that it called; its own file defines it anew.
DO $view$
BEGIN
  IF pg_catalog.to_regclass('colbert.indexes') IS NOT NULL THEN
    CREATE OR REPLACE VIEW colbert.indexes WITH (security_invoker = true) AS
    SELECT i.source, i.embeddings, i.key, i.method, i.dimensions, i.options, NULL::bigint AS documents,
           NULL::bigint AS tokens, NULL::bigint AS index_bytes, NULL::text AS index_size, NULL::text AS state
      FROM colbert._index AS i;
  END IF;
END
$view$;
DROP FUNCTION IF EXISTS colbert._readable(colbert._index);
DROP FUNCTION IF EXISTS colbert._index_state(colbert._index);
DROP FUNCTION IF EXISTS colbert._document_tokens(colbert._index);
DROP FUNCTION IF EXISTS colbert._attempts(colbert._index);
DROP FUNCTION IF EXISTS colbert._create_attempts(colbert._index);
DROP FUNCTION IF EXISTS colbert._derived_table(colbert._index, integer);
DROP FUNCTION IF EXISTS colbert._document_problem(anyarray, integer, boolean);
DROP FUNCTION IF EXISTS colbert._operation(text, text);
DROP FUNCTION IF EXISTS colbert._option_rules(text);
DROP FUNCTION IF EXISTS colbert._refuse_options(jsonb, jsonb);
DROP FUNCTION IF EXISTS colbert._remove(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._plaid_create(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_rules(text);
DROP FUNCTION IF EXISTS colbert._plaid_settings(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_state(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_create(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_rules(text);
DROP FUNCTION IF EXISTS colbert._tokens_settings(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_state(colbert._index);
DROP FUNCTION IF EXISTS colbert._by_key_statement(colbert._index, vector[], text);
DROP FUNCTION IF EXISTS colbert._claim_statement(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._document_statement(colbert._index, text, regconfig, text);
DROP FUNCTION IF EXISTS colbert._documents(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._documents_in_order(text, text);
DROP FUNCTION IF EXISTS colbert._documents_of_keys(text, text);
DROP FUNCTION IF EXISTS colbert._scoring_statement(integer, regtype, text, boolean);
DROP FUNCTION IF EXISTS colbert._source_rows(colbert._index, name, text, text);
DROP FUNCTION IF EXISTS colbert._text_sync(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_ann(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_ann(colbert._index);
