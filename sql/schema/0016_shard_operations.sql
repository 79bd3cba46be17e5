-- 0.3.0: what shards answer beside searches
DROP FUNCTION IF EXISTS colbert._refuse_request(jsonb);
DROP FUNCTION IF EXISTS colbert._answers_of_shards(colbert._index, text);
DROP FUNCTION IF EXISTS colbert.drop_index(regclass, name);
