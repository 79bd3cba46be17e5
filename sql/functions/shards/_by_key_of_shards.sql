-- What maxsim and maxsim_matches by key answer over shards: the answer of the first shard that holds the document, NULL
-- where none does. All are asked at once.
CREATE OR REPLACE FUNCTION colbert._by_key_of_shards(
  index colbert._index, query vector[], doc_id text, operation text)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000
SET search_path = pg_catalog, pg_temp
AS $_by_key_of_shards$
BEGIN
  PERFORM colbert._refuse_query(index, query),
          colbert._refuse_reader_of_shards(index);
  RETURN (SELECT c.answer
            FROM colbert._call_shards(
                   index, colbert._one_of_each(ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s)), operation,
                   jsonb_build_object('query', query::text, 'doc_id', doc_id)) AS c
           WHERE c.answer NOT IN ('null', '[]')
           LIMIT 1);
END
$_by_key_of_shards$;

COMMENT ON FUNCTION colbert._by_key_of_shards(colbert._index, vector[], text, text) IS
  'The answer of the shard that holds a document.';
