-- Late interaction and PostgreSQL's full text fused by reciprocal rank (Cormack, Clarke and Büttcher 2009): the
-- k documents with the highest
--
--   (1 - text_weight) / (constant + maxsim_rank)  +  text_weight / (constant + text_rank)
--
-- where a rank that a document does not have adds nothing. Each part contributes its best candidates. All of
-- them are scored exactly, so that maxsim_rank counts among everything that either part has found, and a
-- document that an index missed and its words found still gets its due. Documents without tokens can be found
-- by their text alone.
--
--   words          the query once more, as text; stop words are left out
--   content        what is searched in, SQL over the columns of the source: a tsvector, or a text (default the
--                  column that the index names as its text, else the column content)
--   language       the text-search configuration (default default_text_search_config)
--   match          which documents the text part finds: those with any of the words, or what
--                  websearch_to_tsquery makes of them, which is all of the words unless they say otherwise
--
-- Keys are integers in the first form; in the others key names their type, as in search.
CREATE OR REPLACE FUNCTION colbert.hybrid_search(
  source regclass,
  query vector[],
  words text,
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
           source, query, words, NULL::bigint, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search(regclass, vector[], text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'Late interaction and full text fused by reciprocal rank, best first, with the ranks and scores of both. words is the query as text; content, the text or tsvector it is searched in, as SQL over the table''s columns, by default the index''s text column, else "content"; language, a text-search configuration; match, ''any'' of the words or ''websearch''; text_weight, from 0, late interaction alone, to 1, full text alone; constant, that of the fusion; the rest is as in search.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search(
  source regclass,
  query vector[],
  words text,
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
           source, query, words, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search(regclass, vector[], text, uuid, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search(
  source regclass,
  query vector[],
  words text,
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
           source, query, words, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search(regclass, vector[], text, text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
