-- A tenant with fewer documents than these has no part of the index. To score all of them takes as long as a search.
CREATE OR REPLACE FUNCTION colbert._plaid_few_documents()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 300;

COMMENT ON FUNCTION colbert._plaid_few_documents() IS
  'The number of documents of a tenant below which nothing is derived from them.';
