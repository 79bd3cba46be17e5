-- The k parents that answer a query best, where the rows of the source are chunks of longer documents. The score of a
-- parent is that of its best chunk, which is named beside it. k parents come back whenever k exist, however many chunks
-- of one of them rank ahead of the next. Best first, ties in the order of the parents' keys. Chunks without a parent
-- are left out.
--
-- Scores are exact, and the best chunk is the best of all that meet the filter: all chunks of a parent that is found
-- are scored.
--
-- Keys of parents and of chunks are integers in the first form. In the others key names the type of the parents' keys,
-- as in search, and those of chunks come as text.
CREATE OR REPLACE FUNCTION colbert.search_parents(
  source regclass,
  query vector[],
  parent name,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id bigint, score float8, doc_id bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.parent_id, s.score, s.doc_id::bigint
    FROM colbert._search_parents(source, query, parent, NULL::bigint, k, filter, params, candidates, exact, embeddings,
                                 current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_parents(regclass, vector[], name, integer, text, jsonb, integer, boolean, name, float8) IS
  'The k parents with the best chunk, best first, and that chunk: for long documents whose chunks are the rows of the table, and parent its column that names the document. The rest is as in search.';

CREATE OR REPLACE FUNCTION colbert.search_parents(
  source regclass,
  query vector[],
  parent name,
  key uuid,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id uuid, score float8, doc_id text)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.parent_id, s.score, s.doc_id
    FROM colbert._search_parents(source, query, parent, key, k, filter, params, candidates, exact, embeddings,
                                 current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_parents(regclass, vector[], name, uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for parents whose keys are of type uuid: key => NULL::uuid. Keys of chunks come as text.';

CREATE OR REPLACE FUNCTION colbert.search_parents(
  source regclass,
  query vector[],
  parent name,
  key text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id text, score float8, doc_id text)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.parent_id, s.score, s.doc_id
    FROM colbert._search_parents(source, query, parent, key, k, filter, params, candidates, exact, embeddings,
                                 current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_parents(regclass, vector[], name, text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for text keys of parents, and for keys of any other type, which come as text: key => NULL::text. Keys of chunks come as text.';
