-- The same as _ask_shards for a table that Citus has distributed. Citus connects to the nodes, as the current role, anew
-- each time. So a node is asked over four connections at most, each for several of its shards, one after the other.
--
-- Of an error, Citus says no more than its first line. So the node catches errors, and answers with all of them.
CREATE OR REPLACE FUNCTION colbert._ask_nodes(shards colbert._shard[], statements text[], on_failure text)
RETURNS jsonb[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_ask_nodes$
DECLARE
  _answers jsonb[] := array_fill(NULL::jsonb, ARRAY[cardinality(shards)]);
  _answer record;
  _failure jsonb;
BEGIN
  FOR _answer IN EXECUTE
    'WITH shard AS ('
    '  SELECT s.number, s.statement, n.nodename, n.nodeport, row_number() OVER (PARTITION BY n.nodeid) % 4 AS lane'
    '    FROM unnest($1, $2) WITH ORDINALITY AS s (partition, server, remote, connection, statement, number)'
    '    JOIN pg_dist_node AS n ON colbert._node_name(n.nodename, n.nodeport) = s.server AND n.noderole = ''primary'''
    '), asked AS MATERIALIZED ('
    '  SELECT s.nodename, s.nodeport, array_agg(s.number ORDER BY s.number) AS numbers,'
    '         format(''SELECT colbert._answers_here(%L)'', array_agg(s.statement ORDER BY s.number)) AS statement,'
    '         row_number() OVER () AS position'
    '    FROM shard AS s GROUP BY s.nodename, s.nodeport, s.lane'
    '), nodes AS ('
    '  SELECT array_agg(a.nodename ORDER BY a.position) AS names, array_agg(a.nodeport ORDER BY a.position) AS ports,'
    '         array_agg(a.statement ORDER BY a.position) AS statements'
    '    FROM asked AS a'
    ') SELECT a.numbers, r.success, r.result'
    '    FROM nodes AS n'
    '   CROSS JOIN LATERAL master_run_on_worker(n.names, n.ports, n.statements, true)'
    '         WITH ORDINALITY AS r (node_name, node_port, success, result, position)'
    '    JOIN asked AS a USING (position)'
    USING shards, statements
  LOOP
    FOR i IN 1 .. cardinality(_answer.numbers) LOOP
      _answers[_answer.numbers[i]] := CASE
        WHEN _answer.success THEN _answer.result::jsonb -> (i - 1)
        ELSE jsonb_build_object('failure', jsonb_build_array(
               CASE WHEN _answer.result LIKE 'ERROR:%' THEN '38000' ELSE '08006' END, _answer.result))
        END;
    END LOOP;
  END LOOP;
  FOR i IN 1 .. cardinality(shards) LOOP
    _failure := coalesce(_answers[i], '{"failure": ["08006", "no node holds it"]}') -> 'failure';
    _answers[i] := CASE WHEN _failure IS NULL THEN _answers[i] -> 'answer'
                        ELSE colbert._shard_failed(
                               shards[i], on_failure, _failure ->> 0, _failure ->> 1, coalesce(_failure ->> 2, ''),
                               _failure ->> 3) END;
  END LOOP;
  RETURN _answers;
END
$_ask_nodes$;

COMMENT ON FUNCTION colbert._ask_nodes(colbert._shard[], text[], text) IS
  'Sends a statement to each shard of a table that Citus has distributed, and returns the jsonb value that each answers.';

CREATE OR REPLACE FUNCTION colbert._node_name(host text, port integer)
RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN (host || ':' || port)::name;

COMMENT ON FUNCTION colbert._node_name(text, integer) IS 'How a node of Citus is named.';

-- Run on a node. What the statements make there is that node's own. Should whoever asked be gone, it stops.
CREATE OR REPLACE FUNCTION colbert._answers_here(statements text[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_connection_check_interval = '500ms'
AS $_answers_here$
DECLARE
  _answers jsonb[] := ARRAY[]::jsonb[];
  _statement text;
  _answer jsonb;
  _state text;
  _message text;
  _detail text;
  _hint text;
BEGIN
  PERFORM set_config('citus.enable_ddl_propagation', 'off', true);
  FOREACH _statement IN ARRAY statements LOOP
    BEGIN
      EXECUTE _statement INTO _answer;
      _answers := _answers || jsonb_build_object('answer', _answer);
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS _state = RETURNED_SQLSTATE, _message = MESSAGE_TEXT,
                              _detail = PG_EXCEPTION_DETAIL, _hint = PG_EXCEPTION_HINT;
      _answers := _answers || jsonb_build_object('failure', jsonb_build_array(_state, _message, _detail, _hint));
    END;
  END LOOP;
  RETURN to_jsonb(_answers);
END
$_answers_here$;

COMMENT ON FUNCTION colbert._answers_here(text[]) IS
  'Runs statements for the node that asks: the answer of each, or its failure.';
