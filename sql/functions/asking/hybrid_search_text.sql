-- hybrid_search for a query in text: its words, and the vectors that a worker has made of it (encoded_query). Three forms, by
-- the type of the keys, as hybrid_search has them.
CREATE OR REPLACE FUNCTION colbert.hybrid_search_text(
  source regclass,
  query_text text,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, colbert.encoded_query(query_text, source, embeddings), query_text, NULL::bigint, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search_text(regclass, text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'hybrid_search for a query in text, which is looked for by its words and by the vectors that encode_query or request_query has asked for; an error when they are not there.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search_text(
  source regclass,
  query_text text,
  key uuid,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, colbert.encoded_query(query_text, source, embeddings), query_text, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search_text(regclass, text, uuid, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search_text(
  source regclass,
  query_text text,
  key text,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, colbert.encoded_query(query_text, source, embeddings), query_text, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search_text(regclass, text, text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
