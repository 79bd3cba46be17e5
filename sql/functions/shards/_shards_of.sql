-- The shards of a table, from the catalogs. Those of a partitioned table are its partitions on other servers, and those here,
-- as large as they are without a foreign one in them. So no partition is left out that was attached later. Those of a table
-- that Citus has distributed are the tables on its nodes. Where several nodes have the same one, each is a shard, this node's
-- first (_one_of_each).
--
-- A connection is named by the role, the server, the user mapping and their options as far as the role may see them. So
-- it never serves another role, nor a mapping as it was before. Partitions on one server have a connection each.
CREATE OR REPLACE FUNCTION colbert._shards_of(source regclass)
RETURNS SETOF colbert._shard
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shards_of$
BEGIN
  IF colbert._is_distributed(source) THEN
    RETURN QUERY EXECUTE
      'SELECT NULL::regclass, colbert._node_name(n.nodename, n.nodeport), format(''%I.%I'', r.nspname, t.name[cardinality(t.name)]),'
      '       NULL::text'
      '  FROM pg_dist_shard AS s'
      '  JOIN pg_class AS c ON c.oid = s.logicalrelid'
      '  JOIN pg_namespace AS r ON r.oid = c.relnamespace'
      ' CROSS JOIN LATERAL parse_ident(shard_name(s.logicalrelid, s.shardid)) AS t (name)'
      '  LEFT JOIN (pg_dist_placement AS p'
      '             JOIN pg_dist_node AS n ON n.groupid = p.groupid AND n.noderole = ''primary'')'
      '         ON p.shardid = s.shardid AND p.shardstate = 1'
      ' WHERE s.logicalrelid = $1'
      ' ORDER BY s.shardid, n.groupid IN (SELECT l.groupid FROM pg_dist_local_group AS l) DESC, n.groupid'
      USING source;
    RETURN;
  END IF;
  RETURN QUERY
    WITH RECURSIVE tree AS (
      SELECT i.inhrelid AS id
        FROM pg_inherits AS i WHERE i.inhparent = _shards_of.source AND NOT i.inhdetachpending
       UNION ALL
      SELECT i.inhrelid
        FROM tree AS t
        JOIN pg_inherits AS i ON i.inhparent = t.id AND NOT i.inhdetachpending
       WHERE colbert._has_foreign_partitions(t.id)
    ), shard AS (
      SELECT c.oid, c.relname, n.nspname, s.oid AS server_id, s.srvname, s.srvoptions,
             (SELECT o.option_value FROM pg_options_to_table(f.ftoptions) AS o
               WHERE o.option_name = 'schema_name') AS remote_schema,
             (SELECT o.option_value FROM pg_options_to_table(f.ftoptions) AS o
               WHERE o.option_name = 'table_name') AS remote_table,
             row_number() OVER (PARTITION BY s.oid ORDER BY c.oid) AS lane
        FROM tree AS t
        JOIN pg_class AS c ON c.oid = t.id
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        LEFT JOIN pg_foreign_table AS f ON f.ftrelid = c.oid
        LEFT JOIN pg_foreign_server AS s ON s.oid = f.ftserver
       WHERE c.relkind = 'f' OR NOT colbert._has_foreign_partitions(c.oid)
    )
    SELECT s.oid::regclass, s.srvname,
           format('%I.%I', coalesce(s.remote_schema, s.nspname), coalesce(s.remote_table, s.relname)),
           CASE WHEN s.server_id IS NOT NULL
                THEN format('colbert_pg/%s/%s/%s/%s/%s', r.id, s.server_id, m.umid,
                            left(md5(concat_ws('/', s.srvoptions, m.umoptions)), 8), s.lane) END
      FROM shard AS s
     CROSS JOIN (SELECT a.oid AS id FROM pg_roles AS a WHERE a.rolname = current_user) AS r
      LEFT JOIN LATERAL (SELECT u.umid, u.umoptions FROM pg_user_mappings AS u
                          WHERE u.srvid = s.server_id AND u.umuser IN (0, r.id)
                          ORDER BY u.umuser DESC LIMIT 1) AS m ON true
     ORDER BY s.oid;
END
$_shards_of$;

COMMENT ON FUNCTION colbert._shards_of(regclass) IS
  'The shards of a table: partitions on other servers, and those here; or those of Citus.';

-- A table of which Citus keeps copies has them all among its shards. One of them is enough to read.
CREATE OR REPLACE FUNCTION colbert._one_of_each(shards colbert._shard[])
RETURNS colbert._shard[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT coalesce(array_agg(shards[f.number] ORDER BY f.number), '{}')
    FROM (SELECT min(s.number) AS number
            FROM unnest(shards) WITH ORDINALITY AS s (partition, server, remote, connection, number)
           GROUP BY s.partition, s.remote) AS f;
END;

COMMENT ON FUNCTION colbert._one_of_each(colbert._shard[]) IS 'Shards, without further copies of the same.';
