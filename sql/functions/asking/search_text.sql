-- search for a query in text, with the vectors that a worker has made of it (encoded_query). Three forms, by the type of
-- the keys, as search has them.
CREATE OR REPLACE FUNCTION colbert.search_text(
  source regclass,
  query_text text,
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
    FROM colbert._search(source, colbert.encoded_query(query_text, source, embeddings), NULL::bigint, k, filter, params,
                         candidates, exact, embeddings, current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_text(regclass, text, integer, text, jsonb, integer, boolean, name, float8) IS
  'search for a query in text, whose vectors encode_query or request_query has asked for; an error when they are not there. It only reads.';

CREATE OR REPLACE FUNCTION colbert.search_text(
  source regclass,
  query_text text,
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
    FROM colbert._search(source, colbert.encoded_query(query_text, source, embeddings), key, k, filter, params,
                         candidates, exact, embeddings, current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_text(regclass, text, uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.search_text(
  source regclass,
  query_text text,
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
    FROM colbert._search(source, colbert.encoded_query(query_text, source, embeddings), key, k, filter, params,
                         candidates, exact, embeddings, current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_text(regclass, text, text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
