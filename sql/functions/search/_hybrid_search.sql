-- One hybrid search, from the query to its rows: the best candidates of both parts, the exact MaxSim of what only the
-- text has found, the ranks, and the fusion. key has the type in which keys are returned. In the statement keys are
-- text, and ties follow the key's own type.
CREATE OR REPLACE FUNCTION colbert._hybrid_search(
  source regclass, query vector[], words text, key anyelement, k integer,
  content text, language regconfig, match text, text_weight float8, constant integer,
  filter text, params jsonb, candidates integer, exact boolean, embeddings name, search_path text)
RETURNS TABLE (doc_id anyelement, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_hybrid_search$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _content text := coalesce(content, CASE WHEN _index.options ? 'text' THEN colbert._encoded_sql(_index, NULL) END, 'content');
  -- Where the content is the index's own and there is no filter, nothing is the caller's to look up.
  _text_path text := CASE WHEN content IS NULL AND filter IS NULL THEN 'pg_catalog, pg_temp' ELSE search_path END;
  _candidates integer;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, _types.key_base, pg_typeof(key)),
          colbert._refuse_fusion(words, match, text_weight, constant);
  _candidates := greatest(colbert._to_count(k), colbert._knob('candidates', candidates, _index.options, 100));

  RETURN QUERY EXECUTE format(
    $fusion$
    WITH late AS MATERIALIZED (
      SELECT s.doc_id, s.score
        FROM colbert._search(($1).source, $2, NULL::text, $3, $4, $5, $3, $6, ($1).embeddings, $7) AS s
    ), text AS MATERIALIZED (
      SELECT t.doc_id::text, t.rank, t.score
        FROM colbert._text_part($1, $8, NULL::%1$s, $9, $10, $11, $4, $5, $15, $3, $6) AS t
    ), scored AS (
      SELECT l.doc_id, l.score FROM late AS l
       UNION ALL
      SELECT r.doc_id, r.score
        FROM colbert._rerank(
               ($1).source, $2,
               ARRAY(SELECT t.doc_id FROM text AS t
                      WHERE NOT EXISTS (SELECT FROM late AS l WHERE l.doc_id = t.doc_id)),
               NULL, ($1).embeddings) AS r
    ), ranked AS (
      SELECT s.doc_id, s.score,
             (row_number() OVER (ORDER BY s.score DESC, s.doc_id::%1$s))::integer AS rank
        FROM scored AS s
    ), fused AS (
      SELECT coalesce(r.doc_id, t.doc_id) AS doc_id,
             coalesce((1 - $12) / ($13 + r.rank), 0) + coalesce($12 / ($13 + t.rank), 0) AS score,
             r.rank AS maxsim_rank, r.score AS maxsim_score, t.rank AS text_rank, t.score AS text_score
        FROM ranked AS r
        FULL JOIN text AS t ON t.doc_id = r.doc_id
    )
    SELECT f.doc_id::%2$s, f.score, f.maxsim_rank, f.maxsim_score, f.text_rank, f.text_score
      FROM fused AS f
     ORDER BY f.score DESC, f.doc_id::%1$s
     LIMIT $14
    $fusion$,
    _types.key_cast, pg_typeof(key))
    USING _index, query, _candidates, filter, params, exact, search_path,
          words, _content, language, match, text_weight, constant, k, _text_path;
END
$_hybrid_search$;

COMMENT ON FUNCTION colbert._hybrid_search(regclass, vector[], text, anyelement, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name, text) IS
  'The body of all forms of hybrid_search; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert._refuse_fusion(
  words text, match text, text_weight float8, constant integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_fusion$
BEGIN
  IF words IS NULL THEN
    RAISE EXCEPTION 'words must not be NULL'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the text of the query, of which query has the vectors; or use colbert.search.';
  END IF;
  IF match IS NULL OR match NOT IN ('any', 'websearch') THEN
    RAISE EXCEPTION 'unknown match "%"', match
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Documents match by ''any'' of the words, or by a query in the syntax of ''websearch''.';
  END IF;
  IF (text_weight BETWEEN 0 AND 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'text_weight must be between 0 and 1, not %', coalesce(text_weight::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Late interaction has the rest of 1.';
  END IF;
  IF constant IS NULL OR constant < 0 THEN
    RAISE EXCEPTION 'constant must be at least 0, not %', coalesce(constant::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'The higher it is, the less the first ranks stand out; 60 is usual.';
  END IF;
END
$_refuse_fusion$;

COMMENT ON FUNCTION colbert._refuse_fusion(text, text, float8, integer) IS
  'Raises for arguments with which hybrid_search cannot fuse.';
