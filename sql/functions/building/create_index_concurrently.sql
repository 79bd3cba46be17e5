-- Creates an index while others read and write the table: create_index in steps, with a commit after each. Writers and
-- readers wait for no more than a moment, and it waits for them instead: for every transaction that has written the
-- table, twice, and at the end for every transaction that may read what is to be dropped. Until it is done the index has
-- the method exact, which scores all documents. colbert.indexes says how far it is.
--
-- It cannot run inside a transaction block ("invalid transaction termination"). When it is interrupted, call it again
-- with the same arguments, or drop the index.
--
-- Errors: a bad document is named before anything is made. One that is written between that check and the making of the
-- triggers is named afterwards: mend it, and call again.
CREATE OR REPLACE PROCEDURE colbert.create_index_concurrently(
  source regclass,
  embeddings name DEFAULT 'embeddings',
  method text DEFAULT NULL,
  options jsonb DEFAULT '{}',
  key name DEFAULT NULL)
LANGUAGE plpgsql SECURITY INVOKER
AS $create_index_concurrently$
DECLARE
  _id pg_catalog.int4;
BEGIN
  COMMIT;
  _id := colbert._begin_index(source, embeddings, method, options, key);
  CALL colbert._run_build(_id);
END
$create_index_concurrently$;

COMMENT ON PROCEDURE colbert.create_index_concurrently(regclass, name, text, jsonb, name) IS
  'Creates an index while others write the table, with a commit after each step; not inside a transaction block. For the owner of the table.';

-- Enters an index of the method exact and the build of the method that is wanted, or finds the one that was begun.
CREATE OR REPLACE FUNCTION colbert._begin_index(
  source regclass, embeddings name, method text, options jsonb, key name)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_begin_index$
DECLARE
  _index colbert._index;
  _method text;
BEGIN
  SELECT i.*
    INTO _index
    FROM colbert._index AS i
    JOIN colbert._build AS b ON b.index_id = i.id
   WHERE i.source = _begin_index.source
     AND i.embeddings = _begin_index.embeddings
     AND b.checks
     AND coalesce(b.method = _begin_index.method, true)
     AND i.options = _begin_index.options;
  IF FOUND THEN
    RETURN _index.id;
  END IF;

  PERFORM colbert._refuse_source(source, embeddings);
  IF colbert._has_shards(source) THEN
    RAISE EXCEPTION 'rows of table "%" are on other servers', source
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Call colbert.create_index. A partition that is here can have its index made concurrently before.';
  END IF;
  IF NOT colbert._names_column(source, options) THEN  -- a later step takes it from the registry
    PERFORM colbert._refuse_other_than_owner(source);
  END IF;
  _index := colbert._register_index(source, embeddings, method, options, key);
  PERFORM colbert._refuse_documents(_index);
  _method := _index.method;
  UPDATE colbert._index AS i SET method = 'exact' WHERE i.id = _index.id;
  INSERT INTO colbert._build (index_id, method, checks) VALUES (_index.id, _method, true);
  RETURN _index.id;
END
$_begin_index$;

COMMENT ON FUNCTION colbert._begin_index(regclass, name, text, jsonb, name) IS
  'Enters an index that is to be built beside its writers, unless that was begun; returns its id.';
