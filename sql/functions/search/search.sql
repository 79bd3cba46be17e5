-- The k documents of a table that answer a query best, best first, ties in the order of their keys. Scores
-- are exact; which documents are scored is the index's choice, unless exact is true.
--
-- The second form is for keys that are not integers: key names their type, as in key => NULL::uuid.
CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, NULL::bigint, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path')) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], integer, text, jsonb, integer, boolean, name) IS
  'The k documents with the highest MaxSim, best first. filter is a condition over the table''s columns, its values in params; candidates, how many documents are scored exactly; exact, to score them all.';

CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  key anyelement,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
AS $search$
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, key, k, filter, params, candidates, exact, embeddings,
                         pg_catalog.current_setting('search_path')) AS s
$search$;

COMMENT ON FUNCTION colbert.search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name) IS
  'The same for keys of any type: key => NULL::uuid names the type in which keys are returned.';
