-- What the trigger function of an index does for its text column: BEFORE an update that changes the text, the
-- array of the old one goes, unless the writer has set another; AFTER any change, the workers hear of a row
-- that is pending.
CREATE OR REPLACE FUNCTION colbert._text_sync(index colbert._index, OUT before text, OUT after text)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format($before$
  ELSIF TG_WHEN = 'BEFORE' THEN
    PERFORM colbert._sync_text(%1$s, OLD.%2$I::text);
    IF NEW.%3$I IS NOT DISTINCT FROM OLD.%3$I THEN
      NEW.%3$I := NULL;
    END IF;
    RETURN NEW;$before$, index.id, index.key, index.embeddings),
         format($after$
    IF NEW.%2$I IS NULL AND NEW.%3$I IS NOT NULL THEN
      PERFORM colbert._notify_workers(%1$s);
    END IF;$after$, index.id, index.embeddings, colbert._text_column(index))
   WHERE colbert._text_column(index) IS NOT NULL;
END;

COMMENT ON FUNCTION colbert._text_sync(colbert._index) IS
  'The parts of the trigger function that are for the text column; NULL without one.';

-- The trigger that sees a change of the text, and the index in which workers find pending documents. Texts are
-- compared letter by letter, whatever their type and collation take to be equal.
CREATE OR REPLACE FUNCTION colbert._create_text_sync(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_text_sync$
DECLARE
  _names record := colbert._sync_names(index);
  _text name := colbert._text_column(index);
  _pending name := colbert._derived_name(index.source, index.embeddings, 'pending');
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW '
                 'WHEN (OLD.%I::text COLLATE "C" IS DISTINCT FROM NEW.%3$I::text COLLATE "C") '
                 'EXECUTE FUNCTION %s()',
                 _names.text_trigger, index.source, _text, _names.sync_function);
  IF colbert._pending_index(index) IS NULL THEN
    EXECUTE format('CREATE INDEX %I ON %s (%I) WHERE %I IS NULL AND %I IS NOT NULL',
                   _pending, index.source, index.key, index.embeddings, _text);
    EXECUTE format('COMMENT ON INDEX %s.%I IS %L',
                   (SELECT c.relnamespace::regnamespace FROM pg_class AS c WHERE c.oid = index.source),
                   _pending, colbert._derived_comment(index));
  END IF;
END
$_create_text_sync$;

COMMENT ON FUNCTION colbert._create_text_sync(colbert._index) IS
  'Makes the trigger on the text column, and the index of pending documents where it is missing.';

-- The partial index on the source that holds the keys of its pending documents; NULL when it is not there.
CREATE OR REPLACE FUNCTION colbert._pending_index(index colbert._index)
RETURNS regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.indexrelid::regclass
    FROM pg_catalog.pg_index AS i
   WHERE i.indrelid = index.source
     AND obj_description(i.indexrelid, 'pg_class') = colbert._derived_comment(index);
END;

COMMENT ON FUNCTION colbert._pending_index(colbert._index) IS
  'The index on the source that holds the keys of pending documents.';

-- A changed text is a new one: called by the trigger, under the lock of the row.
CREATE OR REPLACE FUNCTION colbert._sync_text(index_id integer, doc_id text)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._forget_attempts(i, doc_id) FROM colbert._index AS i WHERE i.id = index_id;
END;

COMMENT ON FUNCTION colbert._sync_text(integer, text) IS
  'Forgets the attempts at encoding a text that has changed: what the trigger on the text column calls.';

-- Tells the workers that listen that there is something to encode: once for each transaction and index, and
-- when it commits.
CREATE OR REPLACE FUNCTION colbert._notify_workers(index_id integer)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_notify('colbert_pending', index_id::text);
END;

COMMENT ON FUNCTION colbert._notify_workers(integer) IS
  'NOTIFY colbert_pending, with the number of an index.';
