-- What each stage of a search does: EXPLAIN ANALYZE for late interaction. The arguments are those of search, so that a
-- call can be pasted. Its stages are run one by one, with the same functions and knobs.
--
--   scope         how many documents the search may see, where a filter or row-level security limits them
--   candidates    how many documents the index names, and what it read for that
--   scores        how many of them were scored exactly before going on changed nothing
--   all           where there are no candidates, or fewer than k: every document of the scope is scored
CREATE OR REPLACE FUNCTION colbert.explain_search(
  source regclass,
  query vector[],
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
BEGIN ATOMIC
  SELECT e.stage, e.documents, e.milliseconds, e.detail, e.rows_read
    FROM colbert._explain_search(source, query, NULL::bigint, k, filter, params, candidates, exact,
                                 embeddings, current_setting('search_path'), min_score) AS e;
END;

COMMENT ON FUNCTION colbert.explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name, float8) IS
  'What each stage of a search does: documents, milliseconds, and what was read. The arguments are those of search.';

CREATE OR REPLACE FUNCTION colbert.explain_search(
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
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
BEGIN ATOMIC
  SELECT e.stage, e.documents, e.milliseconds, e.detail, e.rows_read
    FROM colbert._explain_search(source, query, key, k, filter, params, candidates, exact,
                                 embeddings, current_setting('search_path'), min_score) AS e;
END;

COMMENT ON FUNCTION colbert.explain_search(regclass, vector[], uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for a search with key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.explain_search(
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
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
BEGIN ATOMIC
  SELECT e.stage, e.documents, e.milliseconds, e.detail, e.rows_read
    FROM colbert._explain_search(source, query, key, k, filter, params, candidates, exact,
                                 embeddings, current_setting('search_path'), min_score) AS e;
END;

COMMENT ON FUNCTION colbert.explain_search(regclass, vector[], text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for a search with key => NULL::text.';
