-- The full-text part of hybrid search: the documents whose text answers some words best, best first, at most so many,
-- ties in the order of their keys.
--
-- A document's score is the sum over the words' lexemes of ts_rank(document, lexeme), each weighted by how rare the
-- lexeme is: ln(1 + (N - n + 0.5) / (n + 0.5)), where n of the N documents that were found hold it. That is BM25's
-- weight (Robertson and Zaragoza 2009), which PostgreSQL's ranking functions lack. ts_rank brings what grows less and
-- less with the occurrences in a document, and the weights of a tsvector's labels. On SciFact it finds .67 (nDCG@10),
-- ts_rank of the whole query .60, and ts_rank_cd .47 (benchmarks/hybrid.py).
--
-- Cost: every document that matches is read. All counts are of documents that the search may see, so that they show
-- nothing of what a filter or row-level security hides.
CREATE OR REPLACE FUNCTION colbert._text_search(
  index colbert._index, words text, key anyelement, content text, language regconfig, match text,
  filter text, params jsonb, search_path text, candidates integer)
RETURNS TABLE (doc_id anyelement, rank integer, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_text_search$
DECLARE
  _lexemes tsquery[] := ARRAY(
    SELECT colbert._lexeme_query(l) FROM unnest(tsvector_to_array(to_tsvector(language, words))) AS l);
  _query tsquery := CASE match
                      WHEN 'any' THEN (SELECT string_agg(l::text, ' | ')::tsquery FROM unnest(_lexemes) AS l)
                      WHEN 'websearch' THEN websearch_to_tsquery(language, words)
                    END;
BEGIN
  RETURN QUERY
    WITH term AS MATERIALIZED (
      SELECT t.doc_id, t.lexeme, t.rank
        FROM colbert._text_terms(index, key, content, language, filter, params, search_path,
                                 _query, _lexemes) AS t
    ), total AS (
      SELECT count(DISTINCT t.doc_id)::float8 AS documents FROM term AS t
    ), weight AS (
      SELECT t.lexeme, ln(1 + (n.documents - count(*) + 0.5) / (count(*) + 0.5)) AS weight
        FROM term AS t
       CROSS JOIN total AS n
       GROUP BY t.lexeme, n.documents
    ), found AS (
      SELECT t.doc_id, sum(t.rank * w.weight ORDER BY t.lexeme) AS score
        FROM term AS t
        JOIN weight AS w ON w.lexeme = t.lexeme
       GROUP BY t.doc_id
    )
    SELECT f.doc_id, (row_number() OVER (ORDER BY f.score DESC, f.doc_id))::integer, f.score
      FROM found AS f
     ORDER BY 2
     LIMIT candidates;
END
$_text_search$;

COMMENT ON FUNCTION colbert._text_search(colbert._index, text, anyelement, text, regconfig, text, text, jsonb, text, integer) IS
  'The documents whose text answers some words best, with their ranks and scores.';

-- Which lexemes of a query are in which documents, and with what ts_rank: a row for each such pair, with the lexeme by
-- its place in the array. The documents are those that match the query and meet the filter. Filter and content run
-- under the caller's search_path.
CREATE OR REPLACE FUNCTION colbert._text_terms(
  index colbert._index, key anyelement, content text, language regconfig,
  filter text, params jsonb, search_path text, query tsquery, lexemes tsquery[])
RETURNS TABLE (doc_id anyelement, lexeme integer, rank float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10000
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_text_terms$
DECLARE
  _document text := colbert._tsvector_sql(index, content, language, search_path);
  _documents text := colbert._source_rows_sql(index, 'document', _document, filter);
  _statement text;
BEGIN
  -- Concatenating nothing takes a stored document out of its compressed form once, not once for each lexeme.
  _statement := format(
    $terms$
    SELECT m.doc_id::%s, l.lexeme::integer, pg_catalog.ts_rank(m.document, l.query)::pg_catalog.float8
      FROM (SELECT d.doc_id, d.document OPERATOR(pg_catalog.||) ''::pg_catalog.tsvector AS document
              FROM %s AS d
             WHERE d.document OPERATOR(pg_catalog.@@) $3
            OFFSET 0) AS m
     CROSS JOIN pg_catalog.unnest($4) WITH ORDINALITY AS l (query, lexeme)
     WHERE m.document OPERATOR(pg_catalog.@@) l.query
    $terms$,
    colbert._type_name(pg_typeof(key)), _documents);
  PERFORM set_config('search_path', search_path, true);
  RETURN QUERY EXECUTE _statement USING NULL::pg_catalog.text, params, query, lexemes;
END
$_text_terms$;

COMMENT ON FUNCTION colbert._text_terms(colbert._index, anyelement, text, regconfig, text, jsonb, text, tsquery, tsquery[]) IS
  'A row for each document that matches a query and each lexeme in it, with ts_rank.';

-- content is an expression over the columns of the source that gives a tsvector or a text.
CREATE OR REPLACE FUNCTION colbert._tsvector_sql(
  index colbert._index, content text, language regconfig, search_path text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tsvector_sql$
DECLARE
  _statement text := format(
    'SELECT pg_catalog.pg_typeof(d.content) FROM (SELECT) AS one'
    '  LEFT JOIN (SELECT (%s%s) AS content FROM %s LIMIT 0) AS d ON true', content, E'\n', index.source);
  _hint text := format('Name a column of table "%s", or an expression over its columns, that is text or tsvector: '
                       'content => ''title || '''' '''' || body''.', index.source);
  _type regtype;
BEGIN
  PERFORM set_config('search_path', search_path, true);
  BEGIN
    EXECUTE _statement INTO _type;
  EXCEPTION WHEN undefined_column THEN
    RAISE EXCEPTION 'content: %', SQLERRM
      USING ERRCODE = 'undefined_column', HINT = _hint;
  END;
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
  CASE
    WHEN _type = 'tsvector'::regtype THEN
      RETURN format(E'(%s\n)', content);
    WHEN (SELECT t.typcategory = 'S' FROM pg_type AS t WHERE t.oid = colbert._base_type(_type)) THEN
      RETURN format(E'pg_catalog.to_tsvector(%L::pg_catalog.regconfig, (%s\n)::pg_catalog.text)',
                    language::oid, content);
    ELSE
      RAISE EXCEPTION 'content is of type %, neither text nor tsvector', _type
        USING ERRCODE = 'datatype_mismatch',
              HINT = format('Name a column of "%s" or an expression over its columns that is one: '
                            'content => ''title || '''' '''' || body''.', index.source);
  END CASE;
END
$_tsvector_sql$;

COMMENT ON FUNCTION colbert._tsvector_sql(colbert._index, text, regconfig, text) IS
  'SQL for the tsvector of a document; raises for content that is neither text nor tsvector.';

-- The lexeme is taken as it is: it may hold quotes and backslashes.
CREATE OR REPLACE FUNCTION colbert._lexeme_query(lexeme text)
RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery;

COMMENT ON FUNCTION colbert._lexeme_query(text) IS 'A tsquery for one lexeme.';
