-- The exact MaxSim of the documents that some first stage has found: full text, a dense column, business rules. Best
-- first, ties in the order of their keys. Left out are keys that are not there, that the caller may not see, or that
-- have no tokens, or score less than min_score.
--
-- Keys are returned as the type of the ids. text[] serves keys of every type.
CREATE OR REPLACE FUNCTION colbert.rerank(
  source regclass,
  query vector[],
  ids bigint[],
  k integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
BEGIN ATOMIC
  SELECT r.doc_id, r.score
    FROM colbert._rerank(source, query, ids, k, embeddings, min_score) AS r;
END;

COMMENT ON FUNCTION colbert.rerank(regclass, vector[], bigint[], integer, name, float8) IS
  'The exact MaxSim of the documents with these keys, best first: the second stage for any first one. min_score is as in search.';

CREATE OR REPLACE FUNCTION colbert.rerank(
  source regclass,
  query vector[],
  ids uuid[],
  k integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
BEGIN ATOMIC
  SELECT r.doc_id, r.score
    FROM colbert._rerank(source, query, ids, k, embeddings, min_score) AS r;
END;

COMMENT ON FUNCTION colbert.rerank(regclass, vector[], uuid[], integer, name, float8) IS
  'The same for keys of type uuid.';

CREATE OR REPLACE FUNCTION colbert.rerank(
  source regclass,
  query vector[],
  ids text[],
  k integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
BEGIN ATOMIC
  SELECT r.doc_id, r.score
    FROM colbert._rerank(source, query, ids, k, embeddings, min_score) AS r;
END;

COMMENT ON FUNCTION colbert.rerank(regclass, vector[], text[], integer, name, float8) IS
  'The same for text keys, and for keys of any other type as text.';
