-- Makes, or makes anew, the trigger function and the triggers that keep an index in step.
--
-- The function belongs to the source's owner. It is SECURITY DEFINER for the reason that foreign keys are: who may
-- write the source keeps the derived tables in step without a right to write those. It can only be called as a trigger,
-- and all it does is in colbert._sync and colbert._sync_text.
--
-- Somebody may have made a function of that name before, so that this one would take its place. If triggers of other
-- tables call it, it is refused. If others were granted the right to call it, that right is taken away.
--
-- The row trigger names no columns: an array that a BEFORE trigger sets is a change, too. Triggers that are ENABLE
-- ALWAYS, as on a subscriber of logical replication, stay so. When one of the two that keep the index in step is, both
-- are.
CREATE OR REPLACE FUNCTION colbert._create_sync(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_sync$
DECLARE
  _names record := colbert._sync_names(index);
  _always name[] := ARRAY(SELECT t.tgname FROM pg_trigger AS t
                           WHERE t.tgrelid = index.source AND t.tgenabled = 'A'
                             AND t.tgname IN (_names.row_trigger, _names.truncate_trigger, _names.text_trigger));
  _trigger name;
  _grantee regrole;
  _body text;
BEGIN
  IF colbert._is_encoded(index) THEN
    PERFORM colbert._create_pending_index(index);
  END IF;
  _body := format(
    $body$
BEGIN
  IF TG_OP = 'TRUNCATE' THEN
    PERFORM colbert._sync_truncate(%1$s);%4$s
  ELSE
    PERFORM colbert._sync(%1$s, OLD.%2$I::text, OLD.%3$I, NEW.%2$I::text, NEW.%3$I%6$s);%5$s
  END IF;
  RETURN NULL;
END
$body$,
    index.id, index.key, index.embeddings,
    (colbert._text_sync_sql(index)).before, (colbert._text_sync_sql(index)).after,
    CASE WHEN colbert._tenant_column(index) IS NOT NULL
         THEN format(', OLD.%1$I::text, NEW.%1$I::text', colbert._tenant_column(index)) END);
  IF EXISTS (SELECT FROM pg_trigger AS t
              WHERE t.tgfoid = to_regprocedure(_names.sync_function || '()')
                AND t.tgparentid = 0 AND t.tgrelid <> index.source) THEN
    RAISE EXCEPTION 'function %() is in the way: triggers of other tables call it', _names.sync_function
      USING ERRCODE = 'duplicate_function',
            HINT = 'Drop it; it is not one of colbert_pg''s.';
  END IF;
  EXECUTE format('CREATE OR REPLACE FUNCTION %s() RETURNS trigger '
                 'LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS %L',
                 _names.sync_function, _body);
  EXECUTE format('COMMENT ON FUNCTION %s() IS %L', _names.sync_function, colbert._derived_comment(index));
  EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM PUBLIC', _names.sync_function);
  IF EXISTS (SELECT FROM pg_extension AS e WHERE e.extname = 'colbert_pg') THEN
    -- DROP EXTENSION is refused while there are triggers that call it.
    EXECUTE format('ALTER FUNCTION %s() DEPENDS ON EXTENSION colbert_pg', _names.sync_function);
  END IF;
  PERFORM colbert._give_to_owner(index, format('FUNCTION %s()', _names.sync_function));
  FOR _grantee IN
    SELECT DISTINCT a.grantee::regrole
      FROM pg_proc AS p
     CROSS JOIN LATERAL aclexplode(p.proacl) AS a
     WHERE p.oid = to_regprocedure(_names.sync_function || '()')
       AND a.grantee NOT IN (0, p.proowner)
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION %s() FROM %s', _names.sync_function, _grantee);
  END LOOP;

  EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER TRUNCATE ON %s '
                 'FOR EACH STATEMENT EXECUTE FUNCTION %s()',
                 _names.truncate_trigger, index.source, _names.sync_function);
  EXECUTE format('CREATE OR REPLACE TRIGGER %I AFTER INSERT OR UPDATE OR DELETE ON %s '
                 'FOR EACH ROW EXECUTE FUNCTION %s()',
                 _names.row_trigger, index.source, _names.sync_function);
  IF colbert._is_encoded(index) THEN
    PERFORM colbert._create_text_sync(index);
  END IF;
  IF _always && ARRAY[_names.row_trigger, _names.truncate_trigger] THEN
    _always := _always || ARRAY[_names.row_trigger, _names.truncate_trigger];
  END IF;
  FOREACH _trigger IN ARRAY _always LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', index.source, _trigger);
  END LOOP;
END
$_create_sync$;

COMMENT ON FUNCTION colbert._create_sync(colbert._index) IS
  'Makes the trigger function and the triggers of an index, anew where they are there.';

-- What the trigger function of an index does for what workers encode. BEFORE an update that changes a text or picture,
-- the array of the old one goes, unless the writer has set another array. The vectors of a first stage go along, unless
-- the writer has set others of both. AFTER any change, the workers hear of a row that is pending.
--
-- An expression is looked up when it is needed, so that columns may be renamed. It runs where one of its columns has
-- changed, and not for the notice: that a row without a text brings one, too, does no harm.
CREATE OR REPLACE FUNCTION colbert._text_sync_sql(index colbert._index, OUT before text, OUT after text)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format($before$
  ELSIF TG_WHEN = 'BEFORE' THEN%7$s
    PERFORM colbert._sync_text(%1$s, OLD.%2$I::text%4$s);
    IF NEW.%3$I IS NOT DISTINCT FROM OLD.%3$I%5$s THEN
      NEW.%3$I := NULL;%6$s
    END IF;
    RETURN NEW;$before$, index.id, index.key, index.embeddings,
                ', OLD.' || quote_ident(colbert._tenant_column(index)) || '::text',
                replace(' OR NEW.$ IS NOT DISTINCT FROM OLD.$', '$', quote_ident(colbert._stage_column(index))),
                ' NEW.' || quote_ident(colbert._stage_column(index)) || ' := NULL;',
                CASE WHEN e.expression IS NOT NULL THEN format($changed$
    DECLARE
      _changed boolean;
    BEGIN
      EXECUTE colbert._text_changed_sql(%s) INTO _changed USING OLD, NEW;
      IF NOT _changed THEN
        RETURN NEW;
      END IF;
    END;$changed$, index.id) END),
         format($after$
    IF NEW.%2$I IS NULL%3$s THEN
      PERFORM colbert._notify_workers(%1$s);
    END IF;$after$, index.id, index.embeddings,
                CASE WHEN e.expression IS NULL THEN ' AND ' || colbert._encoded_sql(index, 'NEW') || ' IS NOT NULL' END)
    FROM (SELECT colbert._text_expression(index)) AS e (expression)
   WHERE colbert._is_encoded(index);
END;

COMMENT ON FUNCTION colbert._text_sync_sql(colbert._index) IS
  'The parts of the trigger function that are for what workers encode; NULL for an index that they do not encode.';

-- SQL for whether the text of row $2 is another than that of row $1. It runs in the trigger function, with the rights of
-- the owner, who has written the expression.
CREATE OR REPLACE FUNCTION colbert._text_changed_sql(index_id integer)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_text_changed_sql$
DECLARE
  _text text := colbert._content_sql(colbert._index_of_trigger(index_id));
BEGIN
  RETURN format('SELECT (SELECT %1$s FROM (SELECT ($1).*) AS s) IS DISTINCT FROM (SELECT %1$s FROM (SELECT ($2).*) AS s)',
                _text);
END
$_text_changed_sql$;

COMMENT ON FUNCTION colbert._text_changed_sql(integer) IS
  'SQL for whether an update changes the text of a row, where that is an expression.';

-- The trigger that sees a change of the text or picture, and the index in which workers find pending documents. Texts are
-- compared letter by letter, whatever their type and collation take to be equal.
CREATE OR REPLACE FUNCTION colbert._create_text_sync(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_text_sync$
DECLARE
  _names record := colbert._sync_names(index);
BEGIN
  EXECUTE format('CREATE OR REPLACE TRIGGER %I BEFORE UPDATE ON %s FOR EACH ROW WHEN (%s) EXECUTE FUNCTION %s()',
                 _names.text_trigger, index.source,
                 (SELECT string_agg(format('OLD.%1$I%2$s IS DISTINCT FROM NEW.%1$I%2$s', c,
                                           CASE WHEN NOT colbert._has_picture_bytes(index) THEN '::text COLLATE "C"' END),
                                    ' OR ')
                    FROM unnest(colbert._encoded_columns(index)) AS c),
                 _names.sync_function);
END
$_create_text_sync$;

COMMENT ON FUNCTION colbert._create_text_sync(colbert._index) IS
  'Makes the trigger on the columns that workers encode.';
