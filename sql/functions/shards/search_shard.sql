-- What a shard answers: its k best documents, with their exact scores, for whoever merges the answers of all shards by
-- score and key. It runs as the caller. Arguments are plain text and JSON, so that any proxy can hand them on. Keys come
-- as text, whatever their type. source is looked up under the request's search_path, or else the caller's.
--
-- The request is an object. All of its members may be left out:
--
--   version       of this contract, by which the request was written: 1
--   k, filter, params, candidates, exact, embeddings, min_score     as in search
--   search_path   under which the filter is read, and the source looked up
--   time_zone     under which the filter is read
--   knobs         what SET colbert.<name> would say, by name: {"effort": 2}; and share, that of all documents which this
--                 shard has at random: it then does as much less
--
-- A request of a newer version, or with members that this version does not know, is refused: the answer would be
-- another one than was asked for.
CREATE OR REPLACE FUNCTION colbert.search_shard(source text, query text, request jsonb DEFAULT '{}')
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search_shard(source, colbert._query_of_text(query), request,
                               current_setting('search_path')) AS s;
END;

COMMENT ON FUNCTION colbert.search_shard(text, text, jsonb) IS
  'What one shard answers: its k best documents, keys as text. request is an object with version (1), k, filter, params, candidates, exact, embeddings, min_score, search_path, time_zone and knobs, each as in search and in SET; all may be left out.';
