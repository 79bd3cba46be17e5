-- Drops an index: its triggers, its tables and its place in the registry. The source stays as it is. Parts that
-- somebody dropped before are passed over. Of an index over shards, those of the partitions here go along. Those on other
-- servers stay, unless on_shards says that they go, too: a shard commits that at once, whatever becomes of this
-- transaction.
CREATE OR REPLACE FUNCTION colbert.drop_index(
  source regclass, embeddings name DEFAULT NULL, on_shards boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $drop_index$
DECLARE
  _index colbert._index := colbert._registered_index(source, embeddings);
  _names record := colbert._sync_names(_index);
BEGIN
  IF drop_index.source IS NULL THEN
    RAISE EXCEPTION 'source must name a table'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'For example SELECT colbert.drop_index(''documents'').';
  END IF;
  PERFORM colbert._refuse_stranger(_index.source);
  IF colbert._is_first_stage(_index) THEN
    RAISE EXCEPTION 'the index on column "%" of table "%" is the first stage of another', _index.embeddings, _index.source
      USING ERRCODE = 'dependent_objects_still_exist',
            HINT = 'Drop the other one first: colbert.indexes has it with the option "first_stage".';
  END IF;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', _index.source);
  _index := colbert._registered_index(_index.source, _index.embeddings);  -- a build may have changed it meanwhile
  IF _index.method <> 'shards' THEN
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', _names.row_trigger, _index.source);
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', _names.truncate_trigger, _index.source);
    EXECUTE format('DROP TRIGGER IF EXISTS %I ON %s', _names.text_trigger, _index.source);
  END IF;
  IF colbert._staged_constraint(_index) IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', _index.source, colbert._staged_constraint(_index));
  END IF;
  IF _index.method = 'shards' THEN
    IF on_shards THEN
      PERFORM FROM colbert._call_shards(
                     _index, ARRAY(SELECT s FROM colbert._shards_of(_index.source) AS s WHERE s.server IS NOT NULL),
                     'drop_index');
    END IF;
    PERFORM colbert.drop_index(s.partition, _index.embeddings)
       FROM colbert._shards_of(_index.source) AS s
      WHERE s.server IS NULL
        AND EXISTS (SELECT FROM colbert._index AS i
                     WHERE i.source = s.partition AND i.embeddings = _index.embeddings);
  END IF;
  PERFORM colbert._drop_derived(_index);
END
$drop_index$;

COMMENT ON FUNCTION colbert.drop_index(regclass, name, boolean) IS
  'Drops a late-interaction index with everything that was derived; the table itself stays as it is. on_shards drops those on other servers, too. For the owner of the table.';
