-- The k documents of a table that answer a query best, best first, ties in the order of their keys. Scores are exact.
-- The index chooses which documents are scored, unless exact is true.
--
-- Keys are integers in the first form. In the others key names their type and takes no value: key => NULL::uuid for the
-- second form, key => NULL::text for the third, which serves keys of every type. The types are concrete, because
-- PostgreSQL resolves a polymorphic result by the place of an argument in the call. There is no form with key bigint: a
-- k of type smallint would fit it as well as k integer.
CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, NULL::bigint, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], integer, text, jsonb, integer, boolean, name, float8) IS
  'The k documents with the highest MaxSim, best first. filter is a condition over the table''s columns, its values in params; candidates, how many documents are scored exactly; exact, to score them all; min_score, the least that a result scores, as a mean over the query: the score divided by the sum of the query vectors'' lengths.';

CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  key uuid,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, key, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  key text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, key, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
