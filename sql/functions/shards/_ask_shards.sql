-- Sends a statement to each shard, to all at once, and returns what each answers: one value of type jsonb. Statements for
-- local partitions are run here, while the others work. on_failure is 'error', 'warning' or 'answer': see _shard_failed.
--
-- Connections are kept for the session, where the session's own role asks. As another role, after SET ROLE or in a
-- function of another owner, they are closed at the end: whoever has the session afterwards could use them. A kept
-- connection that turns out to be dead is opened anew, once.
--
-- dblink_is_busy is polled, so that a cancel and statement_timeout end the wait. On an error all connections are closed.
-- client_connection_check_interval makes a shard notice that, and stop. (To ask a hung shard to cancel could hang, too.)
CREATE OR REPLACE FUNCTION colbert._ask_shards(
  shards colbert._shard[], statements text[], on_failure text DEFAULT 'error')
RETURNS jsonb[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $_ask_shards$
DECLARE
  _answers jsonb[] := array_fill(NULL::jsonb, ARRAY[cardinality(shards)]);
  _dblink text := (SELECT colbert._dblink() FROM unnest(shards) AS s WHERE s.connection IS NOT NULL LIMIT 1);
  _failed boolean[] := array_fill(false, ARRAY[cardinality(shards)]);
  _kept text[];
  _shard colbert._shard;
  _answer jsonb;
  _state text;
  _message text;
  _detail text;
  _hint text;
BEGIN
  IF cardinality(shards) > 0 AND (shards[1]).partition IS NULL THEN
    RETURN colbert._ask_nodes(shards, statements, on_failure);
  END IF;
  _kept := colbert._open_connections(_dblink);

  FOR i IN 1 .. cardinality(shards) LOOP
    _shard := shards[i];
    CONTINUE WHEN _shard.server IS NULL;
    BEGIN
      PERFORM colbert._send_to_shard(_dblink, _shard, statements[i], _shard.connection = ANY (_kept));
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS _state = RETURNED_SQLSTATE, _message = MESSAGE_TEXT,
                              _detail = PG_EXCEPTION_DETAIL, _hint = PG_EXCEPTION_HINT;
      _answers[i] := colbert._shard_failed(_shard, on_failure, _state, _message, _detail, _hint);
      _failed[i] := true;
    END;
  END LOOP;

  FOR i IN 1 .. cardinality(shards) LOOP
    _shard := shards[i];
    CONTINUE WHEN _shard.server IS NOT NULL;
    EXECUTE statements[i] INTO _answer;
    _answers[i] := _answer;
  END LOOP;

  FOR i IN 1 .. cardinality(shards) LOOP
    _shard := shards[i];
    CONTINUE WHEN _shard.server IS NULL OR _failed[i];
    FOR attempt IN 1 .. 2 LOOP
      BEGIN
        IF attempt = 2 THEN
          PERFORM colbert._send_to_shard(_dblink, _shard, statements[i], false);
        END IF;
        _answers[i] := colbert._answer_of_shard(_dblink, _shard.connection);
        EXIT;
      EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS _state = RETURNED_SQLSTATE, _message = MESSAGE_TEXT,
                                _detail = PG_EXCEPTION_DETAIL, _hint = PG_EXCEPTION_HINT;
        PERFORM colbert._close_connections(_dblink, ARRAY[_shard]);
        CONTINUE WHEN attempt = 1 AND _shard.connection = ANY (_kept) AND colbert._is_unreachable(_state);
        _answers[i] := colbert._shard_failed(_shard, on_failure, _state, _message, _detail, _hint);
        EXIT;
      END;
    END LOOP;
  END LOOP;

  IF current_user <> session_user THEN
    PERFORM colbert._close_connections(_dblink, shards);
  END IF;
  RETURN _answers;
EXCEPTION WHEN query_canceled OR OTHERS THEN
  PERFORM colbert._close_connections(_dblink, shards);
  RAISE;
END
$_ask_shards$;

COMMENT ON FUNCTION colbert._ask_shards(colbert._shard[], text[], text) IS
  'Sends a statement to each shard at once, and returns the jsonb value that each answers.';

CREATE OR REPLACE FUNCTION colbert._dblink()
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_dblink$
DECLARE
  _schema text := (SELECT quote_ident(n.nspname)
                     FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
                    WHERE e.extname = 'dblink');
BEGIN
  IF _schema IS NULL THEN
    RAISE EXCEPTION 'shards on other servers are asked through the extension dblink, which is not installed'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'CREATE EXTENSION dblink, as a superuser.';
  END IF;
  RETURN _schema;
END
$_dblink$;

COMMENT ON FUNCTION colbert._dblink() IS 'The schema of the extension dblink, quoted.';

CREATE OR REPLACE FUNCTION colbert._open_connections(dblink text)
RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_open_connections$
DECLARE
  _open text[];
BEGIN
  IF dblink IS NOT NULL THEN
    EXECUTE format('SELECT %s.dblink_get_connections()', dblink) INTO _open;
  END IF;
  RETURN coalesce(_open, '{}');
END
$_open_connections$;

COMMENT ON FUNCTION colbert._open_connections(text) IS 'The names of the connections that dblink has open.';

CREATE OR REPLACE FUNCTION colbert._close_connections(dblink text, shards colbert._shard[])
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_close_connections$
DECLARE
  _open text[] := colbert._open_connections(dblink);
  _connection text;
BEGIN
  FOR _connection IN SELECT s.connection FROM unnest(shards) AS s WHERE s.connection = ANY (_open) LOOP
    EXECUTE format('SELECT %s.dblink_disconnect($1)', dblink) USING _connection;
  END LOOP;
END
$_close_connections$;

COMMENT ON FUNCTION colbert._close_connections(text, colbert._shard[]) IS 'Closes the connections to shards.';

-- kept: the connection is open since before this search. Should it be dead or busy, it is opened anew.
CREATE OR REPLACE FUNCTION colbert._send_to_shard(dblink text, shard colbert._shard, statement text, kept boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_send_to_shard$
DECLARE
  _sent integer;
BEGIN
  IF kept THEN
    EXECUTE format('SELECT %s.dblink_send_query($1, $2)', dblink) INTO _sent USING shard.connection, statement;
    IF _sent = 1 THEN
      RETURN;
    END IF;
    PERFORM colbert._close_connections(dblink, ARRAY[shard]);
  END IF;
  EXECUTE format('SELECT %s.dblink_connect($1, $2)', dblink) USING shard.connection, shard.server::text;
  EXECUTE format('SELECT %s.dblink_exec($1, $2, false)', dblink)
    USING shard.connection, 'SET client_connection_check_interval = 500'::text;
  EXECUTE format('SELECT %s.dblink_send_query($1, $2)', dblink) USING shard.connection, statement;
END
$_send_to_shard$;

COMMENT ON FUNCTION colbert._send_to_shard(text, colbert._shard, text, boolean) IS
  'Sends a statement to a shard, over a connection that is opened where it is not.';

CREATE OR REPLACE FUNCTION colbert._answer_of_shard(dblink text, connection text)
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_answer_of_shard$
DECLARE
  _busy integer;
  _pause float8 := 0.0002;
  _answer jsonb;
BEGIN
  LOOP
    EXECUTE format('SELECT %s.dblink_is_busy($1)', dblink) INTO _busy USING connection;
    EXIT WHEN _busy = 0;
    PERFORM pg_sleep(_pause);
    _pause := least(0.01, 1.3 * _pause);
  END LOOP;
  EXECUTE format('SELECT a.answer FROM %s.dblink_get_result($1) AS a (answer jsonb)', dblink)
     INTO _answer USING connection;
  EXECUTE format('SELECT FROM %s.dblink_get_result($1) AS a (answer jsonb)', dblink) USING connection;  -- the end
  RETURN _answer;
END
$_answer_of_shard$;

COMMENT ON FUNCTION colbert._answer_of_shard(text, text) IS 'Waits for the answer of a shard.';
