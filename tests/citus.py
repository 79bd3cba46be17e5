"""What stands in for Citus where it is not: its catalogs, with two nodes that are this server."""

CATALOGS = """
SET LOCAL allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char", partkey text);
CREATE TABLE pg_catalog.pg_dist_shard
  (logicalrelid regclass, shardid bigint, shardminvalue text, shardmaxvalue text);
CREATE TABLE pg_catalog.pg_dist_placement (shardid bigint, shardstate integer, groupid integer);
CREATE TABLE pg_catalog.pg_dist_local_group AS SELECT 0 AS groupid;
CREATE TABLE pg_catalog.pg_dist_node AS
SELECT g AS nodeid, g AS groupid, 'node' AS nodename, g AS nodeport, 'primary' AS noderole
  FROM generate_series(1, 2) g;
GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC;
CREATE FUNCTION pg_catalog.shard_name(regclass, bigint) RETURNS text RETURN $1 || '_' || $2;
CREATE FUNCTION pg_catalog.column_to_column_name(regclass, text) RETURNS text RETURN $2;
CREATE FUNCTION pg_catalog.master_run_on_worker(
  names text[], ports integer[], commands text[], parallel boolean,
  OUT node_name text, OUT node_port integer, OUT success boolean, OUT result text)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1 .. cardinality(names) LOOP
    node_name := names[i];
    node_port := ports[i];
    success := ports[i] > 0;
    result := format('failed to connect to %s:%s', names[i], ports[i]);
    IF success THEN
      BEGIN
        EXECUTE commands[i] INTO result;
      EXCEPTION WHEN OTHERS THEN
        success := false;
        result := 'ERROR:  ' || SQLERRM;
      END;
    END IF;
    RETURN NEXT;
  END LOOP;
END $$;
"""
