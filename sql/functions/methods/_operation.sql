-- How a method takes part. A method is a folder of functions colbert._<implementation>_<operation>, looked
-- up by name here and nowhere else; exact, which derives nothing, has none, and everything that calls an
-- operation goes on without it.
--
--   rules()                            the options it takes, as _refuse_options reads them
--   create(index)                      makes the tables, empty, and returns them
--   build(index)                       fills them from the source, which the caller has locked
--   put(index, key, embeddings)        adds a document that is not there
--   remove(index, key)                 takes a document out; one that is not there is no error
--   clear(index)                       takes every document out
--   rebuild(index)                     builds anew what may have aged, while searches go on
--   candidates(index, query, …)        the keys of the documents worth scoring, as text, best first, with their gains
--   settings(index)                    sets of options that tune tries
--   problems(index)                    how the tables differ from the source
--   mend(index)                        mends what is not about one document, after the documents were mended
--   count(index)                       about how many document tokens there are; NULL when not known
--   state(index)                       what colbert.indexes says of it beyond 'ready'; NULL when nothing
--
-- Keys travel as text; statements cast them to the key's own type.
CREATE OR REPLACE FUNCTION colbert._operation(method text, operation text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_operation$
DECLARE
  _function text;
BEGIN
  CASE method
    WHEN 'exact' THEN RETURN NULL;
    WHEN 'hnsw', 'ivfflat' THEN _function := format('colbert._tokens_%s', operation);
    WHEN 'plaid' THEN _function := format('colbert._plaid_%s', operation);
    ELSE
      RAISE EXCEPTION 'unknown index method "%"', method
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Methods: exact, hnsw, ivfflat, plaid.';
  END CASE;
  IF to_regproc(_function) IS NULL THEN
    RAISE EXCEPTION 'function %() is missing', _function
      USING ERRCODE = 'undefined_function',
            HINT = 'Install colbert_pg again.';
  END IF;
  RETURN _function;
END
$_operation$;

COMMENT ON FUNCTION colbert._operation(text, text) IS
  'The function by which a method takes part in an operation; NULL where the method has nothing to do.';
