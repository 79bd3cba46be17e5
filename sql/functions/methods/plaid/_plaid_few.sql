-- To score a document takes 26 µs, and 21 ns for each pair of a query token and a document token. A search takes 5 ms, .5
-- µs for each posting that it reads, and the scores of some hundred documents. Postings tell how many tokens a document
-- has: 1.3 for each, about.
CREATE OR REPLACE FUNCTION colbert._plaid_few(index colbert._index, query vector[], effort colbert._effort)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_few$
DECLARE
  _query_tokens integer := cardinality(query);
  _size record := colbert._plaid_size(index);
  _tokens float8 := 1.3 * _size.postings / _size.documents;
  _read float8 := _query_tokens * coalesce((colbert._plaid_reading(index, _query_tokens, effort)).postings, 0);
BEGIN
  RETURN 100 + (5000 + 0.5 * _read) / (26 + 0.021 * _query_tokens * _tokens);
END
$_plaid_few$;

COMMENT ON FUNCTION colbert._plaid_few(colbert._index, vector[], colbert._effort) IS
  'How many documents cost as much to score as a search through a plaid index.';
