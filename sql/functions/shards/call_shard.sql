-- What a shard does for the server that is asked, beside searching: one operation on the index of its table. It runs as
-- the caller, with the rights that the caller has there. It is a contract between versions, as search_shard is. The
-- request is an object. Its members, which may be left out where the function of the same name has a default:
--
--   version, embeddings    as in search_shard; known to all operations
--
--   operation        members                          answer
--   check_index      sample                           {"documents": estimate, "problems": [[problem, doc_id, detail], …]}
--   keys             buckets, bucket, tenant          [key, …] of one of so many buckets, into which keys fall by their hash;
--                                                     [[tenant, key], …] where tenant names that column
--   repair_index                                      the number of documents mended
--   reindex          retrain                          true
--   drop_index                                        whether there was an index
--   maxsim           query, doc_id                    the score, or null
--   maxsim_matches   query, doc_id                    [[query_position, document_position, similarity], …]
--
-- An operation or a member that this version does not know is refused.
CREATE OR REPLACE FUNCTION colbert.call_shard(source text, operation text, request jsonb DEFAULT '{}')
RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 100000
BEGIN ATOMIC
  SELECT colbert._call_shard(source::regclass, operation, request,
                             colbert._query_of_text(request ->> 'query'));
END;

COMMENT ON FUNCTION colbert.call_shard(text, text, jsonb) IS
  'What one shard does with its index for the server that is asked: check_index, keys, repair_index, reindex, drop_index, maxsim or maxsim_matches. request is an object with version (1), embeddings and what the operation takes.';
