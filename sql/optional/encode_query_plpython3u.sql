-- colbert.encode_query(text): a query's vectors, made in the server itself. Optional: for servers of your own, where
-- plpython3u is allowed and the server's Python has colbert_pg with its model:
--
--   pip install 'colbert_pg[encode,default-model]'
--   psql -d mydb -v ON_ERROR_STOP=1 -f sql/optional/encode_query_plpython3u.sql
--
--   SELECT * FROM colbert.search('documents', colbert.encode_query('when can I buy bread?'));
--
-- A superuser runs it, since plpython3u may do anything that the server's user may; a text goes in and vectors come
-- out, so that everybody may be let to call it. Each session loads the model at its first query, some seconds and
-- some hundred megabytes of its own: connections should be pooled. Another model than the default one: put
-- Encoder("…") in the place of Encoder.default() below; it must be that of the documents.
--
-- Before colbert_pg is removed: DROP FUNCTION colbert.encode_query(text).
CREATE EXTENSION IF NOT EXISTS plpython3u;

DO $create$
DECLARE
  _vector regtype := (SELECT format('%s.vector', e.extnamespace::regnamespace)
                        FROM pg_catalog.pg_extension AS e WHERE e.extname = 'vector')::regtype;
BEGIN
  EXECUTE format($statement$
    CREATE OR REPLACE FUNCTION colbert.encode_query(query text)
    RETURNS %s[]
    LANGUAGE plpython3u STABLE STRICT PARALLEL RESTRICTED SECURITY INVOKER
    COST 100000
    SET search_path = pg_catalog, pg_temp
    AS $encode_query$
if "encode" not in GD:
    from colbert_pg import Encoder, QueryCache
    GD["encode"] = QueryCache(Encoder.default()).encode_queries
(vectors,) = GD["encode"]([query])
return ["[" + ",".join(map(str, vector)) + "]" for vector in vectors]
$encode_query$
  $statement$, _vector);
END
$create$;

COMMENT ON FUNCTION colbert.encode_query(text) IS
  'The vectors of a query, made by the default model in the server''s Python.';
