-- create_index for a table some of whose rows are on other servers. Each shard has an index of its own. Those of local
-- partitions are made here. Those of foreign partitions have to be there, unless the option create_on_shards says that
-- they are to be made, too. Those of a table that Citus has distributed are made in any case. A shard commits that at once,
-- whatever becomes of this transaction. All must have the same key, dimensions and model. What is entered for the table
-- has the method shards, no tables and no triggers.
--
-- A table with foreign partitions can have no primary key: so the key is named. Each shard says whether it is unique
-- there.
CREATE OR REPLACE FUNCTION colbert._create_over_shards(
  source regclass, embeddings name, method text, options jsonb, key name)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_over_shards$
DECLARE
  _method text := coalesce(method, colbert._default_method(source, options));
  _own jsonb := options - 'create_on_shards';
  _shards colbert._shard[];
  _answers jsonb[];
  _index colbert._index;
  _distributed boolean := colbert._is_distributed(source);
BEGIN
  IF _distributed THEN
    key := colbert._key_column(source, key, options ->> 'tenant');
  END IF;
  PERFORM colbert._refuse_options(
            options, colbert._option_types(_method) - '{text,pictures}'::text[] || jsonb '{"create_on_shards": "boolean"}'),
          colbert._refuse_bit_options(source, embeddings, options),
          colbert._refuse_key_of_shards(source, key),
          colbert._refuse_wrappers(source);
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  PERFORM colbert._forget_dropped_sources(),
          colbert._refuse_second_index(source, embeddings);
  INSERT INTO colbert._index (source, embeddings, key, method, options, dimensions, table_names)
  VALUES (source, embeddings, key, 'shards', _own, colbert._vector_dimensions(source, embeddings, options), '{}')
  RETURNING * INTO _index;

  _shards := ARRAY(SELECT s FROM colbert._shards_of(source) AS s);
  PERFORM colbert.create_index(s.partition, _index.embeddings, method, _own, key)
     FROM unnest(_shards) AS s
    WHERE s.server IS NULL
      AND NOT EXISTS (SELECT FROM colbert._index AS i
                       WHERE i.source = s.partition AND i.embeddings = _index.embeddings);

  _answers := colbert._ask_about_index(_index, _shards);
  IF _distributed OR options -> 'create_on_shards' = 'true' THEN
    PERFORM colbert._create_on_shards(_index, _shards, _answers, method);
    _answers := colbert._ask_about_index(_index, _shards);
  END IF;
  PERFORM colbert._refuse_answer(_index, _shards[i], _answers[i]) FROM generate_subscripts(_answers, 1) AS i;
  PERFORM colbert._note_unbounded_servers(_shards);
END
$_create_over_shards$;

COMMENT ON FUNCTION colbert._create_over_shards(regclass, name, text, jsonb, name) IS
  'Creates an index over the shards of a table some of whose rows are on other servers.';

CREATE OR REPLACE FUNCTION colbert._create_on_shards(
  index colbert._index, shards colbert._shard[], answers jsonb[], method text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_on_shards$
DECLARE
  _without integer[] := ARRAY(SELECT i FROM generate_subscripts(answers, 1) AS i WHERE answers[i] -> 'index' = 'null');
BEGIN
  IF _without <> '{}' THEN
    PERFORM colbert._ask_shards(
              ARRAY(SELECT shards[i] FROM unnest(_without) AS i),
              ARRAY(SELECT format('SELECT pg_catalog.to_jsonb(true) FROM colbert.create_index(%L, %L, %L, %L, %L)',
                                  (shards[i]).remote, index.embeddings, method, index.options, index.key)
                      FROM unnest(_without) AS i));
  END IF;
END
$_create_on_shards$;

COMMENT ON FUNCTION colbert._create_on_shards(colbert._index, colbert._shard[], jsonb[], text) IS
  'Creates the index on the shards that lack it, from what they answered to _ask_about_index; all at once.';

-- Citus moves and splits shards without their indexes. The other shards know the method.
CREATE OR REPLACE FUNCTION colbert._give_shards_their_index(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_give_shards_their_index$
DECLARE
  _shards colbert._shard[];
  _answers jsonb[];
BEGIN
  IF colbert._is_distributed(index.source) THEN
    _shards := ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s);
    _answers := colbert._ask_about_index(index, _shards, colbert._on_failure());
    PERFORM colbert._create_on_shards(index, _shards, _answers,
                                      (SELECT min(a -> 'index' ->> 'method') FROM unnest(_answers) AS a));
  END IF;
END
$_give_shards_their_index$;

COMMENT ON FUNCTION colbert._give_shards_their_index(colbert._index) IS
  'Creates the index on those shards of a table that Citus has distributed that lack it.';

CREATE OR REPLACE FUNCTION colbert._refuse_key_of_shards(source regclass, key name)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_key_of_shards$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_attribute AS a
                  WHERE a.attrelid = source AND a.attname = key AND a.attnum > 0 AND NOT a.attisdropped) THEN
    RAISE EXCEPTION '%', CASE WHEN key IS NULL
                              THEN format('table "%s" has partitions on other servers, and so no primary key', source)
                              ELSE format('column "%s" of table "%s" does not exist', key, source) END
      USING ERRCODE = CASE WHEN key IS NULL THEN 'invalid_parameter_value' ELSE 'undefined_column' END,
            HINT = 'Name the column that is the key of each shard: key => ''column''.';
  END IF;
END
$_refuse_key_of_shards$;

COMMENT ON FUNCTION colbert._refuse_key_of_shards(regclass, name) IS
  'Raises unless the key of an index over shards is named.';

CREATE OR REPLACE FUNCTION colbert._refuse_wrappers(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_wrappers$
DECLARE
  _other record;
BEGIN
  SELECT s.partition, w.fdwname
    INTO _other
    FROM colbert._shards_of(source) AS s
    JOIN pg_foreign_server AS f ON f.srvname = s.server
    JOIN pg_foreign_data_wrapper AS w ON w.oid = f.srvfdw
   WHERE w.fdwname <> 'postgres_fdw'
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'partition "%" is a foreign table of %, not of postgres_fdw', _other.partition, _other.fdwname
      USING ERRCODE = 'feature_not_supported',
            HINT = 'Detach the partition. Shards are PostgreSQL servers, reached by postgres_fdw.';
  END IF;
END
$_refuse_wrappers$;

COMMENT ON FUNCTION colbert._refuse_wrappers(regclass) IS
  'Raises for a foreign partition that is not reached by postgres_fdw.';

-- dblink takes the options of the server and of the user mapping, and none beside them: a password that the role may not
-- see can only go that way. So a bound cannot be added when a connection is made.
CREATE OR REPLACE FUNCTION colbert._note_unbounded_servers(shards colbert._shard[])
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_note_unbounded_servers$
DECLARE
  _server name;
BEGIN
  FOR _server IN
    SELECT f.srvname
      FROM pg_foreign_server AS f
     CROSS JOIN LATERAL (
           SELECT bool_or(o.option_name = 'tcp_user_timeout') AS bounded,
                  bool_or(o.option_name = 'hostaddr' OR o.option_name = 'host' AND o.option_value !~ '^[/@]') AS tcp
             FROM pg_options_to_table(f.srvoptions) AS o) AS o
     WHERE f.srvname IN (SELECT s.server FROM unnest(shards) AS s) AND o.tcp AND NOT o.bounded
     ORDER BY f.srvname
  LOOP
    RAISE NOTICE 'server "%" has no tcp_user_timeout: searches wait two minutes for it where its host drops packets', _server
      USING HINT = format('ALTER SERVER %I OPTIONS (ADD tcp_user_timeout ''3000'')', _server);
  END LOOP;
END
$_note_unbounded_servers$;

COMMENT ON FUNCTION colbert._note_unbounded_servers(colbert._shard[]) IS
  'Tells of servers for which nothing bounds the wait for a silent host.';
