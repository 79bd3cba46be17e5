-- The exact scores of the documents that ids name, best first, ties in the order of the key's own type. Keys are
-- returned as the type of the ids.
CREATE OR REPLACE FUNCTION colbert._rerank(
  source regclass, query vector[], ids anyarray, k integer, embeddings name, min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_rerank$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _id_type regtype := (SELECT t.typelem FROM pg_type AS t WHERE t.oid = pg_typeof(ids));
BEGIN
  PERFORM colbert._refuse_query(_index, query),
          colbert._refuse_key_type(_index.source, _types.key_base, _id_type);
  IF k IS NOT NULL THEN
    PERFORM colbert._refuse_count('k', k);
  END IF;
  IF _index.method = 'shards' THEN
    RETURN QUERY EXECUTE format(
      'SELECT a.doc_id::%s, a.score FROM colbert._answers_of_shards($1, $2) AS a '
      ' ORDER BY a.score DESC, a.doc_id::%s LIMIT $3',
      format_type(_id_type, -1), _types.key_cast)
      USING _index,
            format('colbert.rerank(%%L, %s, %s::pg_catalog.text[], %L::pg_catalog.int4, %L, %L::pg_catalog.float8)',
                   replace(quote_literal(query), '%', '%%'), replace(quote_literal(ids), '%', '%%'),
                   k, replace(_index.embeddings, '%', '%%'), min_score),
            k;
    RETURN;
  END IF;

  PERFORM colbert._refuse_ambiguous(_index, ids::text[]);
  RETURN QUERY EXECUTE format(
    'SELECT r.doc_id::%s, r.score FROM (%s) AS r%s ORDER BY r.score DESC, r.doc_id LIMIT $4',
    format_type(_id_type, -1),
    colbert._scoring_sql(
      query, _types.element,
      colbert._documents_of_keys_sql((colbert._scope(_index, NULL, NULL, NULL)).documents, _types.key_cast),
      false),
    CASE WHEN min_score IS NOT NULL THEN ' WHERE r.score >= $5' END)
    USING query[:], NULL::jsonb, ids::text[], k, colbert._least_score(_index, query, min_score);
END
$_rerank$;

COMMENT ON FUNCTION colbert._rerank(regclass, vector[], anyarray, integer, name, float8) IS
  'The body of all forms of rerank.';
