-- sql/packaging/install_header.sql
-- colbert_pg 0.3.0, for databases where extensions may not be installed. Built: edit sql/, not this.
--
--   psql -v ON_ERROR_STOP=1 -f install.sql
--
-- or any driver, in one call. It is a single statement: all of it is installed, or nothing. Run it again
-- whenever you like, and with a newer version to upgrade. It needs CREATE on the database and pgvector
-- installed, and no superuser.

DO $install$
BEGIN

-- sql/packaging/install_begin.sql
-- Settings for what follows. install_end.sql gives the caller's own back.
BEGIN
  PERFORM pg_catalog.set_config('colbert_pg.caller_search_path',
                                pg_catalog.current_setting('search_path'), true);
  -- DROP … IF EXISTS of a step says nothing, as inside CREATE EXTENSION
  PERFORM pg_catalog.set_config('colbert_pg.caller_messages',
                                pg_catalog.current_setting('client_min_messages'), true);
  PERFORM pg_catalog.set_config('client_min_messages', 'warning', true);
END;

-- sql/packaging/requirements.sql
-- PostgreSQL 15 or newer, pgvector 0.8.0 or newer; loads pgvector's library, so that a role that is
-- not a superuser may create functions with SET hnsw.ef_search and the like.
DECLARE
  _vector_schema text;
  _vector_version text;
BEGIN
  IF pg_catalog.current_setting('server_version_num')::integer < 150000 THEN
    RAISE EXCEPTION 'colbert_pg needs PostgreSQL 15 or newer'
      USING ERRCODE = 'feature_not_supported',
            DETAIL = pg_catalog.format('This server is PostgreSQL %s.',
                                       pg_catalog.current_setting('server_version')),
            HINT = 'Upgrade the server.';
  END IF;

  SELECT n.nspname, e.extversion
    INTO _vector_schema, _vector_version
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'vector';

  IF NOT FOUND THEN
    RAISE EXCEPTION 'colbert_pg needs pgvector, which is not installed in database "%"',
                    pg_catalog.current_database()
      USING ERRCODE = 'undefined_object',
            HINT = 'Run CREATE EXTENSION vector, then install again.';
  END IF;

  IF (pg_catalog.regexp_match(_vector_version, '^(\d+)\.(\d+)'))::integer[] < ARRAY[0, 8] THEN
    RAISE EXCEPTION 'colbert_pg needs pgvector 0.8.0 or newer'
      USING ERRCODE = 'feature_not_supported',
            DETAIL = pg_catalog.format('This database has pgvector %s.', _vector_version),
            HINT = 'Install a newer pgvector on the server and run ALTER EXTENSION vector UPDATE.';
  END IF;

  EXECUTE pg_catalog.format('SELECT %L::%I.vector', '[1]', _vector_schema);
END;

-- sql/packaging/install_schema.sql
-- The schema, owned by whoever installs; installs at the same time wait for one another here.
-- Leaves the search_path that CREATE EXTENSION would set: colbert, pgvector's schema, pg_temp.
DECLARE
  _lock CONSTANT bigint := 7166185020517810021;  -- any number, the same in every version
  _owner name;
  _vector_schema name;
  _newest integer[];
BEGIN
  PERFORM pg_catalog.pg_advisory_xact_lock(_lock);

  IF EXISTS (SELECT FROM pg_catalog.pg_extension e WHERE e.extname = 'colbert_pg') THEN
    RAISE EXCEPTION 'colbert_pg is installed as an extension in database "%"',
                    pg_catalog.current_database()
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run ALTER EXTENSION colbert_pg UPDATE instead of install.sql.';
  END IF;

  SELECT pg_catalog.pg_get_userbyid(n.nspowner)
    INTO _owner
    FROM pg_catalog.pg_namespace n
   WHERE n.nspname = 'colbert';

  IF NOT FOUND THEN
    CREATE SCHEMA colbert;
  ELSIF _owner <> current_user THEN
    RAISE EXCEPTION 'schema "colbert" belongs to role "%"', _owner
      USING ERRCODE = 'insufficient_privilege',
            DETAIL = pg_catalog.format('The installing role is "%s".', current_user),
            HINT = pg_catalog.format('Install as that role, or SET ROLE %I first.', _owner);
  END IF;

  IF pg_catalog.to_regclass('colbert._migration') IS NOT NULL THEN
    SELECT pg_catalog.max(pg_catalog.string_to_array(m.version, '.')::integer[])
      INTO _newest
      FROM colbert._migration m;
    IF _newest > pg_catalog.string_to_array('0.3.0', '.')::integer[] THEN
      RAISE EXCEPTION 'a newer colbert_pg is installed in database "%"',
                      pg_catalog.current_database()
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = pg_catalog.format('Installed: %s or newer. This install.sql: 0.3.0.',
                                         pg_catalog.array_to_string(_newest, '.')),
              HINT = 'Use the install.sql of that version or of a newer one.';
    END IF;
  END IF;

  SELECT n.nspname
    INTO STRICT _vector_schema
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'vector';
  PERFORM pg_catalog.set_config('search_path',
                                pg_catalog.format('colbert, %I, pg_temp', _vector_schema), true);
END;

BEGIN
  IF pg_catalog.to_regclass('colbert._migration') IS NULL THEN
    EXECUTE $step$
-- sql/schema/0000_ledger.sql
-- 0.1.0: the ledger of the steps in this folder that a database has taken
CREATE TABLE colbert._migration (
  name text PRIMARY KEY,
  version text NOT NULL
);
COMMENT ON TABLE colbert._migration IS
  'Steps of sql/schema that this database has taken, and the version that brought each.';
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0000_ledger', '0.1.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0001_index') THEN
    EXECUTE $step$
-- sql/schema/0001_index.sql
-- 0.1.0: the registry of indexes
CREATE TABLE colbert._index (
  id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  source regclass NOT NULL,
  embeddings name NOT NULL,
  key name NOT NULL,
  method text NOT NULL CHECK (method IN ('exact', 'hnsw', 'ivfflat')),
  options jsonb NOT NULL,
  dimensions integer NOT NULL,
  tables regclass[] NOT NULL DEFAULT '{}',
  UNIQUE (source, embeddings)
);

COMMENT ON TABLE colbert._index IS
  'One row an index. Not a public interface: read the view colbert.indexes.';
COMMENT ON COLUMN colbert._index.source IS 'The table that is indexed.';
COMMENT ON COLUMN colbert._index.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert._index.key IS 'Its unique column that names a document.';
COMMENT ON COLUMN colbert._index.options IS 'What create_index was given, and what tune has found.';
COMMENT ON COLUMN colbert._index.dimensions IS 'The length of every token vector.';
COMMENT ON COLUMN colbert._index.tables IS 'The tables of derived data, as the method made them.';

-- Everybody may read the registry; a row is written by the owner of the table that it is about.
-- A row whose table is gone may be cleared away by anybody.
ALTER TABLE colbert._index ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._index FOR SELECT USING (true);
CREATE POLICY write ON colbert._index
  USING ((SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE')
            FROM pg_catalog.pg_class c WHERE c.oid = source) IS NOT FALSE)
  WITH CHECK ((SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE')
                 FROM pg_catalog.pg_class c WHERE c.oid = source));

GRANT SELECT, INSERT, UPDATE, DELETE ON colbert._index TO PUBLIC;
GRANT USAGE ON SCHEMA colbert TO PUBLIC;
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0001_index', '0.1.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0002_scope') THEN
    EXECUTE $step$
-- sql/schema/0002_scope.sql
-- 0.1.0: what a search is limited to
CREATE TYPE colbert._scope AS (
  documents text,
  params jsonb,
  search_path text,
  restricted boolean
);

COMMENT ON TYPE colbert._scope IS 'What a search is limited to: see the function colbert._scope.';
COMMENT ON COLUMN colbert._scope.documents IS
  'SQL for a relation (doc_id, embeddings) of what the search may see; params is $2 in it.';
COMMENT ON COLUMN colbert._scope.params IS 'The values that the filter names.';
COMMENT ON COLUMN colbert._scope.search_path IS
  'Where there is a filter, the caller''s, under which it means what it means to the caller.';
COMMENT ON COLUMN colbert._scope.restricted IS
  'Whether a filter or row-level security hides some of the source from the search.';
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0002_scope', '0.1.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0003_plaid') THEN
    EXECUTE $step$
-- sql/schema/0003_plaid.sql
-- 0.2.0: the method plaid, and samples of queries to tune with
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid'));
DROP FUNCTION IF EXISTS colbert._keys_in_scope(colbert._index, colbert._scope, text[]);

CREATE TYPE colbert._sample AS (
  query vector[],
  drawn_from text,
  best float8[]
);

COMMENT ON TYPE colbert._sample IS 'A query to measure an index with: see the function colbert._draw_sample.';
COMMENT ON COLUMN colbert._sample.drawn_from IS
  'The key, as text, of the document whose tokens the query is; NULL for a query of the caller''s.';
COMMENT ON COLUMN colbert._sample.best IS 'The scores that exact search finds, best first.';
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0003_plaid', '0.2.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0004_registry_ids') THEN
    EXECUTE $step$
-- sql/schema/0004_registry_ids.sql
-- 0.2.0: only the registry's own sequence gives out ids
-- A role could enter an index of its own table under the id that the next create_index of another role would
-- get, and so keep that role from creating one.
REVOKE INSERT, UPDATE ON colbert._index FROM PUBLIC;
GRANT INSERT (source, embeddings, key, method, options, dimensions, tables),
      UPDATE (source, embeddings, key, method, options, dimensions, tables)
   ON colbert._index TO PUBLIC;
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0004_registry_ids', '0.2.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0005_worker') THEN
    EXECUTE $step$
-- sql/schema/0005_worker.sql
-- 0.2.0: the workers that encode texts, and what each has done
CREATE TABLE colbert._worker (
  index_id integer NOT NULL REFERENCES colbert._index ON DELETE CASCADE,
  role name NOT NULL DEFAULT current_user,
  worker text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  busy interval NOT NULL DEFAULT '0',
  documents bigint NOT NULL DEFAULT 0,
  tokens bigint NOT NULL DEFAULT 0,
  failures bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (index_id, role, worker)
);

COMMENT ON TABLE colbert._worker IS
  'What each worker has done for each index. Not a public interface: read the view colbert.workers.';
COMMENT ON COLUMN colbert._worker.role IS 'The role as which it works, the only one that writes its row.';
COMMENT ON COLUMN colbert._worker.busy IS 'The time from a claim to what was stored of it, summed up.';

-- Everybody may read; a role writes its own rows, for indexes whose arrays it may write.
ALTER TABLE colbert._worker ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._worker FOR SELECT USING (true);
CREATE POLICY write ON colbert._worker
  USING (role = current_user)
  WITH CHECK (role = current_user
              AND EXISTS (SELECT FROM colbert._index AS i
                           WHERE i.id = index_id
                             AND pg_catalog.has_column_privilege(i.source, i.embeddings, 'UPDATE')));

GRANT SELECT, INSERT, UPDATE, DELETE ON colbert._worker TO PUBLIC;
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0005_worker', '0.2.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0006_changed_functions') THEN
    EXECUTE $step$
-- sql/schema/0006_changed_functions.sql
-- 0.2.0: functions of 0.1.0 whose arguments or results are others now, for text columns
DROP FUNCTION IF EXISTS colbert._sync_problem(colbert._index);
DROP FUNCTION IF EXISTS colbert._sync_names(colbert._index);
DROP FUNCTION IF EXISTS colbert._create_derived(colbert._index, text, text, text);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0006_changed_functions', '0.2.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0007_changed_functions') THEN
    EXECUTE $step$
-- sql/schema/0007_changed_functions.sql
-- 0.3.0: functions of 0.2.0 whose arguments or results are others now
DROP FUNCTION IF EXISTS colbert.search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search_parents(regclass, vector[], name, anyelement, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.hybrid_search(regclass, vector[], text, anyelement, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.rerank(regclass, vector[], anyarray, integer, name);
DROP FUNCTION IF EXISTS colbert.explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert._explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name, text);
DROP FUNCTION IF EXISTS colbert.measure_recall(regclass, regclass, integer, integer, integer, name, name);
DROP FUNCTION IF EXISTS colbert.tune(regclass, float8, regclass, integer, integer, name, name);
DROP FUNCTION IF EXISTS colbert._draw_sample(colbert._index, regclass, name, integer, integer);
DROP FUNCTION IF EXISTS colbert._measure(colbert._index, colbert._sample[], integer, integer);
DROP FUNCTION IF EXISTS colbert._timed_search(colbert._index, colbert._sample, integer, integer, boolean);
DROP FUNCTION IF EXISTS colbert._refuse_text_column(regclass, jsonb);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0007_changed_functions', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0008_effort') THEN
    EXECUTE $step$
-- sql/schema/0008_effort.sql
-- 0.3.0: how much a search does
CREATE TYPE colbert._effort AS (
  k integer,
  factor float8,
  documents float8,
  candidates integer,
  patience integer,
  margin float8
);

COMMENT ON TYPE colbert._effort IS 'How much a search does: see the function colbert._effort.';
COMMENT ON COLUMN colbert._effort.k IS 'How many documents are wanted.';
COMMENT ON COLUMN colbert._effort.factor IS 'How much of the index to read, in times of the usual.';
COMMENT ON COLUMN colbert._effort.documents IS 'About how many documents there are.';
COMMENT ON COLUMN colbert._effort.candidates IS 'How many documents are scored exactly, at the most.';
COMMENT ON COLUMN colbert._effort.patience IS
  'How many of them in a row may change nothing before the search stops; NULL where that does not count.';
COMMENT ON COLUMN colbert._effort.margin IS
  'By how many standard deviations the next candidate must fall short before the search stops; NULL where that does not count.';

DROP FUNCTION IF EXISTS colbert._effort(colbert._index, integer, integer);
DROP FUNCTION IF EXISTS colbert._candidate_keys(colbert._index, vector[], colbert._scope, integer);
DROP FUNCTION IF EXISTS colbert._score_candidates(colbert._index, vector[], colbert._scope, text[], integer, integer);
DROP FUNCTION IF EXISTS colbert._plaid_candidates(colbert._index, vector[], colbert._scope, integer);
DROP FUNCTION IF EXISTS colbert._plaid_nprobe(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_insight(colbert._index, vector[]);
DROP FUNCTION IF EXISTS colbert._tokens_candidates(colbert._index, vector[], colbert._scope, integer);
DROP FUNCTION IF EXISTS colbert._tokens_insight(colbert._index, vector[]);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0008_effort', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0009_derived_names') THEN
    EXECUTE $step$
-- sql/schema/0009_derived_names.sql
-- 0.3.0: the tables of an index have names
ALTER TABLE colbert._index ADD COLUMN table_names text[];
COMMENT ON COLUMN colbert._index.tables IS 'The tables of derived data.';
COMMENT ON COLUMN colbert._index.table_names IS
  'Their names, one for each: centroids, postings and so on. NULL in rows of 0.1.0 and 0.2.0: see the function colbert._table_names.';
GRANT INSERT (table_names), UPDATE (table_names) ON colbert._index TO PUBLIC;
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0009_derived_names', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0010_renamed_functions') THEN
    EXECUTE $step$
-- sql/schema/0010_renamed_functions.sql
-- 0.3.0: functions of 0.1.0 and 0.2.0 that are gone, or whose arguments or results are others now
-- The view lets go of functions that it called; its own file defines it anew.
DO $view$
BEGIN
  IF pg_catalog.to_regclass('colbert.indexes') IS NOT NULL THEN
    CREATE OR REPLACE VIEW colbert.indexes WITH (security_invoker = true) AS
    SELECT i.source, i.embeddings, i.key, i.method, i.dimensions, i.options, NULL::bigint AS documents,
           NULL::bigint AS tokens, NULL::bigint AS index_bytes, NULL::text AS index_size, NULL::text AS state
      FROM colbert._index AS i;
  END IF;
END
$view$;
DROP FUNCTION IF EXISTS colbert._readable(colbert._index);
DROP FUNCTION IF EXISTS colbert._index_state(colbert._index);
DROP FUNCTION IF EXISTS colbert._document_tokens(colbert._index);
DROP FUNCTION IF EXISTS colbert._attempts(colbert._index);
DROP FUNCTION IF EXISTS colbert._create_attempts(colbert._index);
DROP FUNCTION IF EXISTS colbert._derived_table(colbert._index, integer);
DROP FUNCTION IF EXISTS colbert._document_problem(anyarray, integer, boolean);
DROP FUNCTION IF EXISTS colbert._operation(text, text);
DROP FUNCTION IF EXISTS colbert._option_rules(text);
DROP FUNCTION IF EXISTS colbert._refuse_options(jsonb, jsonb);
DROP FUNCTION IF EXISTS colbert._remove(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._plaid_create(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_rules(text);
DROP FUNCTION IF EXISTS colbert._plaid_settings(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_state(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_create(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_rules(text);
DROP FUNCTION IF EXISTS colbert._tokens_settings(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_state(colbert._index);
DROP FUNCTION IF EXISTS colbert._by_key_statement(colbert._index, vector[], text);
DROP FUNCTION IF EXISTS colbert._claim_statement(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._document_statement(colbert._index, text, regconfig, text);
DROP FUNCTION IF EXISTS colbert._documents(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._documents_in_order(text, text);
DROP FUNCTION IF EXISTS colbert._documents_of_keys(text, text);
DROP FUNCTION IF EXISTS colbert._scoring_statement(integer, regtype, text, boolean);
DROP FUNCTION IF EXISTS colbert._source_rows(colbert._index, name, text, text);
DROP FUNCTION IF EXISTS colbert._text_sync(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_ann(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_ann(colbert._index);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0010_renamed_functions', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0011_builds') THEN
    EXECUTE $step$
-- sql/schema/0011_builds.sql
-- 0.3.0: indexes that are built beside their writers
CREATE TABLE colbert._build (
  index_id integer PRIMARY KEY REFERENCES colbert._index ON DELETE CASCADE,
  method text NOT NULL,
  checks boolean NOT NULL,
  keeps boolean NOT NULL DEFAULT false,
  phase text NOT NULL DEFAULT 'starting'
    CHECK (phase IN ('starting', 'checking', 'filling', 'catching up', 'retiring')),
  step integer NOT NULL DEFAULT 0,
  steps integer NOT NULL DEFAULT 0,
  tables regclass[] NOT NULL DEFAULT '{}',
  table_names text[] NOT NULL DEFAULT '{}',
  transactions text[],
  pid integer NOT NULL DEFAULT pg_catalog.pg_backend_pid(),
  started_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

COMMENT ON TABLE colbert._build IS
  'One row for each index that is being built beside its writers. Not a public interface: read the view colbert.indexes.';
COMMENT ON COLUMN colbert._build.method IS 'The method that the index will have.';
COMMENT ON COLUMN colbert._build.checks IS
  'Whether the index is new, so that a bad document is an error; else it is left out.';
COMMENT ON COLUMN colbert._build.keeps IS
  'Whether parts of an index that have not outgrown it are taken over as they are.';
COMMENT ON COLUMN colbert._build.phase IS 'How far it is: see the function colbert._build_step.';
COMMENT ON COLUMN colbert._build.step IS 'How many steps of filling are done.';
COMMENT ON COLUMN colbert._build.steps IS 'How many there are.';
COMMENT ON COLUMN colbert._build.tables IS
  'The tables that are being filled; while retiring, those that the index had before.';
COMMENT ON COLUMN colbert._build.table_names IS 'Their names, one for each.';
COMMENT ON COLUMN colbert._build.transactions IS
  'The transactions that may still read the tables that are to go; NULL until they were listed.';
COMMENT ON COLUMN colbert._build.pid IS 'The process that worked on it last.';

-- Everybody may read; a row is written by the owner of the table that it is about.
ALTER TABLE colbert._build ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._build FOR SELECT USING (true);
CREATE POLICY write ON colbert._build
  USING (EXISTS (SELECT FROM colbert._index AS i
                   LEFT JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                  WHERE i.id = index_id
                    AND pg_catalog.pg_has_role(c.relowner, 'USAGE') IS NOT FALSE))
  WITH CHECK (EXISTS (SELECT FROM colbert._index AS i
                        JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                       WHERE i.id = index_id
                         AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));

GRANT SELECT, INSERT, UPDATE, DELETE ON colbert._build TO PUBLIC;

DROP FUNCTION IF EXISTS colbert._plaid_build(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_build(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_few();
DROP FUNCTION IF EXISTS colbert._worth_workers(colbert._index);
DROP FUNCTION IF EXISTS colbert.check_index(regclass, name);
DROP FUNCTION IF EXISTS colbert._method_problems(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_problems(colbert._index);
DROP FUNCTION IF EXISTS colbert._tokens_problems(colbert._index);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0011_builds', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0012_min_score') THEN
    EXECUTE $step$
-- sql/schema/0012_min_score.sql
-- 0.3.0: functions whose arguments or results are others, for min_score, weights and bits
DROP FUNCTION IF EXISTS colbert.search(regclass, vector[], integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search(regclass, vector[], uuid, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search(regclass, vector[], text, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search_parents(regclass, vector[], name, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search_parents(regclass, vector[], name, uuid, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search_parents(regclass, vector[], name, text, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.rerank(regclass, vector[], bigint[], integer, name);
DROP FUNCTION IF EXISTS colbert.rerank(regclass, vector[], uuid[], integer, name);
DROP FUNCTION IF EXISTS colbert.rerank(regclass, vector[], text[], integer, name);
DROP FUNCTION IF EXISTS colbert.explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.explain_search(regclass, vector[], uuid, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.explain_search(regclass, vector[], text, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert._explain_search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text);
DROP FUNCTION IF EXISTS colbert._search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text);
DROP FUNCTION IF EXISTS colbert._search_parents(regclass, vector[], name, anyelement, integer, text, jsonb, integer, boolean, name, text);
DROP FUNCTION IF EXISTS colbert._chunks_of_parents(colbert._index, vector[], name, integer, text, jsonb, integer, text);
DROP FUNCTION IF EXISTS colbert._rerank(regclass, vector[], anyarray, integer, name);
DROP FUNCTION IF EXISTS colbert._score_candidates(colbert._index, vector[], colbert._scope, text[], float8[], colbert._effort);
DROP FUNCTION IF EXISTS colbert._scoring_sql(integer, regtype, text, boolean);
DROP FUNCTION IF EXISTS colbert._tokens_layout(colbert._index);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0012_min_score', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0013_shards') THEN
    EXECUTE $step$
-- sql/schema/0013_shards.sql
-- 0.3.0: indexes over partitions on other servers
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid', 'shards'));

CREATE TYPE colbert._shard AS (
  partition regclass,
  server name,
  remote text,
  connection text
);

COMMENT ON TYPE colbert._shard IS 'A shard of an index of method shards: see the function colbert._shards_of.';
COMMENT ON COLUMN colbert._shard.partition IS 'The partition here.';
COMMENT ON COLUMN colbert._shard.server IS 'The foreign server that it is on; NULL for a local partition.';
COMMENT ON COLUMN colbert._shard.remote IS 'The table as SQL writes it where it is.';
COMMENT ON COLUMN colbert._shard.connection IS 'The name of the connection of dblink that asks it.';
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0013_shards', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0014_queries') THEN
    EXECUTE $step$
-- sql/schema/0014_queries.sql
-- 0.3.0: queries that workers encode
CREATE TABLE colbert._query (
  id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
  index_id integer NOT NULL REFERENCES colbert._index ON DELETE CASCADE,
  role name NOT NULL DEFAULT current_user,
  digest bytea NOT NULL,
  model jsonb NOT NULL,
  query_text text NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
  expires_at timestamptz NOT NULL,
  claimed_until timestamptz,
  encoded_at timestamptz,
  vectors vector[],
  error text,
  UNIQUE (index_id, role, digest)
);
CREATE INDEX _query_waiting ON colbert._query (index_id, asked_at) WHERE encoded_at IS NULL;
CREATE INDEX _query_kept ON colbert._query (index_id, encoded_at);
ALTER TABLE colbert._query ALTER COLUMN vectors SET STORAGE EXTERNAL;

COMMENT ON TABLE colbert._query IS
  'Queries that workers encode, and the vectors of those that they have encoded. Not a public interface: call encode_query and encoded_query.';
COMMENT ON COLUMN colbert._query.index_id IS 'The index for which the query was asked.';
COMMENT ON COLUMN colbert._query.role IS 'The role that asked, which alone reads the row beside the workers.';
COMMENT ON COLUMN colbert._query.digest IS 'Stands for model and text: see the function colbert._query_digest.';
COMMENT ON COLUMN colbert._query.model IS 'The model of the index at that time.';
COMMENT ON COLUMN colbert._query.query_text IS 'The text of the query.';
COMMENT ON COLUMN colbert._query.asked_at IS 'When it was asked.';
COMMENT ON COLUMN colbert._query.expires_at IS 'Until when somebody waits for it.';
COMMENT ON COLUMN colbert._query.claimed_until IS 'Until when a worker is at it; NULL while none was.';
COMMENT ON COLUMN colbert._query.encoded_at IS 'When a worker answered.';
COMMENT ON COLUMN colbert._query.vectors IS 'Its token vectors, once a worker has stored them.';
COMMENT ON COLUMN colbert._query.error IS 'Why it cannot be encoded.';

CREATE TABLE colbert._query_worker (
  index_id integer NOT NULL REFERENCES colbert._index ON DELETE CASCADE,
  role name NOT NULL,
  PRIMARY KEY (index_id, role)
);

COMMENT ON TABLE colbert._query_worker IS
  'The roles that may encode the queries of others, beside the owner of the table. Not a public interface: call allow_query_worker.';
COMMENT ON COLUMN colbert._query_worker.index_id IS 'The index.';
COMMENT ON COLUMN colbert._query_worker.role IS 'The role.';

-- Everybody may read who is named; the owner of the table names them.
ALTER TABLE colbert._query_worker ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._query_worker FOR SELECT USING (true);
CREATE POLICY write ON colbert._query_worker
  USING (EXISTS (SELECT FROM colbert._index AS i
                   JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                  WHERE i.id = index_id AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));
GRANT SELECT, INSERT, DELETE ON colbert._query_worker TO PUBLIC;

-- A role writes and reads queries of its own, for indexes whose arrays it may read. Those of others are read, answered
-- and cleared away by the owner of the table and by the roles that the owner has named.
ALTER TABLE colbert._query ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON colbert._query
  USING (role = current_user)
  WITH CHECK (role = current_user
              AND EXISTS (SELECT FROM colbert._index AS i
                           WHERE i.id = index_id
                             AND pg_catalog.has_column_privilege(i.source, i.embeddings, 'SELECT')));
CREATE POLICY work ON colbert._query
  USING (index_id IN (SELECT i.id
                        FROM colbert._index AS i
                        JOIN pg_catalog.pg_class AS c ON c.oid = i.source
                       WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')
                          OR EXISTS (SELECT FROM colbert._query_worker AS w
                                      WHERE w.index_id = i.id AND w.role = current_user)));

-- Nobody chooses the role of a row, or gives it to another.
GRANT SELECT, DELETE ON colbert._query TO PUBLIC;
GRANT INSERT (index_id, digest, model, query_text, expires_at),
      UPDATE (asked_at, expires_at, claimed_until, encoded_at, vectors, error) ON colbert._query TO PUBLIC;
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0014_queries', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0015_tenants') THEN
    EXECUTE $step$
-- sql/schema/0015_tenants.sql
-- 0.3.0: what an index derives can be kept apart by tenant
ALTER TABLE colbert._index
  ADD COLUMN part integer CHECK (part IS NULL),
  ADD COLUMN tenants text[] CHECK (tenants IS NULL);
COMMENT ON COLUMN colbert._index.part IS
  'NULL in the table. A value of the row type has a number here where it stands for a part of the index: see the function colbert._part_of.';
COMMENT ON COLUMN colbert._index.tenants IS 'NULL in the table. The tenants of the part.';

-- Functions whose arguments are others
DROP FUNCTION IF EXISTS colbert._create_derived(colbert._index, text, text, text, name);
DROP FUNCTION IF EXISTS colbert._plaid_nearest(regclass, anyarray);
DROP FUNCTION IF EXISTS colbert._sync(integer, text, anyarray, text, anyarray);
DROP FUNCTION IF EXISTS colbert._begin_pass(colbert._index, vector[]);
DROP FUNCTION IF EXISTS colbert._key_column(regclass, name);
DROP FUNCTION IF EXISTS colbert._sync_text(integer, text);
DROP FUNCTION IF EXISTS colbert._forget_attempts(colbert._index, text);
DROP FUNCTION IF EXISTS colbert._by_key_sql(colbert._index, vector[], text);
ALTER TYPE colbert._scope ADD ATTRIBUTE filtered boolean;
COMMENT ON COLUMN colbert._scope.filtered IS 'Whether there is a filter.';
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0015_tenants', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0016_shard_operations') THEN
    EXECUTE $step$
-- sql/schema/0016_shard_operations.sql
-- 0.3.0: what shards answer beside searches
DROP FUNCTION IF EXISTS colbert._refuse_request(jsonb);
DROP FUNCTION IF EXISTS colbert._answers_of_shards(colbert._index, text);
DROP FUNCTION IF EXISTS colbert.drop_index(regclass, name);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0016_shard_operations', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0017_staged') THEN
    EXECUTE $step$
-- sql/schema/0017_staged.sql
-- 0.3.0: indexes whose candidates come from the index of another column
ALTER TABLE colbert._index
  DROP CONSTRAINT _index_method_check,
  ADD CONSTRAINT _index_method_check CHECK (method IN ('exact', 'hnsw', 'ivfflat', 'plaid', 'shards', 'staged'));
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0017_staged', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0018_pictures') THEN
    EXECUTE $step$
-- sql/schema/0018_pictures.sql
-- 0.3.0: workers encode columns of pictures as they do texts
-- What calls the function in a SQL-standard body goes on calling it by its new name.
DO $rename$
BEGIN
  IF pg_catalog.to_regprocedure('colbert._text_column(colbert._index)') IS NOT NULL THEN
    ALTER FUNCTION colbert._text_column(colbert._index) RENAME TO _encoded_column;
  END IF;
END
$rename$;
DROP FUNCTION IF EXISTS colbert._find_text_index(regclass, name);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0018_pictures', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0019_keeping_centroids') THEN
    EXECUTE $step$
-- sql/schema/0019_keeping_centroids.sql
-- 0.3.0: indexes that are built anew without being trained anew
DROP FUNCTION IF EXISTS colbert.reindex(regclass, name);
DROP PROCEDURE IF EXISTS colbert.reindex_concurrently(regclass, name);
DROP FUNCTION IF EXISTS colbert._method_rebuild(colbert._index);
DROP FUNCTION IF EXISTS colbert._plaid_rebuild(colbert._index);

COMMENT ON COLUMN colbert._build.keeps IS
  'Whether centroids, and parts of an index that have not outgrown it, are taken over as they are.';
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0019_keeping_centroids', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0020_text_expressions') THEN
    EXECUTE $step$
-- sql/schema/0020_text_expressions.sql
-- 0.3.0: the text of an index may be an expression
-- Its own file defines the view anew, with a column text that is not of type name.
DROP VIEW IF EXISTS colbert.pending;
DROP FUNCTION IF EXISTS colbert._create_derived(colbert._index, text, text, text, name);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0020_text_expressions', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0021_stored_stage') THEN
    EXECUTE $step$
-- sql/schema/0021_stored_stage.sql
-- 0.3.0: store_encoded takes the vectors of the first stage, too
DROP FUNCTION IF EXISTS colbert.store_encoded(regclass, text, text, vector[], text, name);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0021_stored_stage', '0.3.0');
  END IF;
END;

BEGIN
  IF NOT EXISTS (SELECT FROM colbert._migration m WHERE m.name = '0022_citus') THEN
    EXECUTE $step$
-- sql/schema/0022_citus.sql
-- 0.3.0: shards of tables that Citus has distributed
DROP VIEW IF EXISTS colbert.shards;
DROP FUNCTION IF EXISTS colbert._shard_states(colbert._index);

COMMENT ON COLUMN colbert._shard.partition IS 'The partition here; NULL for a shard of Citus.';
COMMENT ON COLUMN colbert._shard.server IS 'The foreign server or the node of Citus that it is on; NULL for a local partition.';
COMMENT ON COLUMN colbert._shard.connection IS 'The name of the connection of dblink that asks it; NULL for a local partition and a shard of Citus.';
DROP FUNCTION IF EXISTS colbert._keys_in_bucket(colbert._index, integer, integer);
$step$;
    INSERT INTO colbert._migration (name, version) VALUES ('0022_citus', '0.3.0');
  END IF;
END;

EXECUTE $part$
-- sql/functions/version.sql
-- The installed version of colbert_pg, as in the control file.
CREATE OR REPLACE FUNCTION colbert.version()
RETURNS text
LANGUAGE sql
STABLE
PARALLEL SAFE
RETURN '0.3.0';

COMMENT ON FUNCTION colbert.version() IS 'The installed version of colbert_pg.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/pgvector.sql
-- The few things of pgvector that PL/pgSQL bodies need, under names of our own. A PL/pgSQL body runs
-- with search_path = pg_catalog, pg_temp and cannot know which schema pgvector lives in; these bodies
-- are bound when they are created, follow ALTER EXTENSION vector SET SCHEMA, and are inlined.

CREATE OR REPLACE FUNCTION colbert._negative_inner_product(a vector, b vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a <#> b;

COMMENT ON FUNCTION colbert._negative_inner_product(vector, vector) IS 'pgvector''s <#>.';

CREATE OR REPLACE FUNCTION colbert._negative_inner_product(a halfvec, b halfvec)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a <#> b;

COMMENT ON FUNCTION colbert._negative_inner_product(halfvec, halfvec) IS 'pgvector''s <#>.';

CREATE OR REPLACE FUNCTION colbert._hamming_distance(a bit, b bit)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a <~> b;

COMMENT ON FUNCTION colbert._hamming_distance(bit, bit) IS 'pgvector''s <~>: in how many bits two strings differ.';

CREATE OR REPLACE FUNCTION colbert._similarity(a vector, b vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN - (a <#> b);

COMMENT ON FUNCTION colbert._similarity(vector, vector) IS 'The inner product.';

CREATE OR REPLACE FUNCTION colbert._similarity(a halfvec, b halfvec)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN - (a <#> b);

COMMENT ON FUNCTION colbert._similarity(halfvec, halfvec) IS 'The inner product.';

CREATE OR REPLACE FUNCTION colbert._similarity(a bit, b bit)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN 1 - (a <~> b) / length(a);

COMMENT ON FUNCTION colbert._similarity(bit, bit) IS 'The share of the bits that are the same.';

CREATE OR REPLACE FUNCTION colbert._norm(a vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector_norm(a);

COMMENT ON FUNCTION colbert._norm(vector) IS 'Euclidean length.';

CREATE OR REPLACE FUNCTION colbert._norm(a halfvec)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN l2_norm(a);

COMMENT ON FUNCTION colbert._norm(halfvec) IS 'Euclidean length.';

-- Bits stand for a direction, and every string of them for one of length 1. (Not STRICT, so that it is inlined.)
CREATE OR REPLACE FUNCTION colbert._norm(a bit)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN a IS NOT NULL THEN 1::float8 END;

COMMENT ON FUNCTION colbert._norm(bit) IS '1: bits have a direction and no length.';

CREATE OR REPLACE FUNCTION colbert._dimensions(a vector)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector_dims(a);

COMMENT ON FUNCTION colbert._dimensions(vector) IS 'The number of dimensions.';

CREATE OR REPLACE FUNCTION colbert._dimensions(a halfvec)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN vector_dims(a);

COMMENT ON FUNCTION colbert._dimensions(halfvec) IS 'The number of dimensions.';

CREATE OR REPLACE FUNCTION colbert._dimensions(a bit)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN length(a);

COMMENT ON FUNCTION colbert._dimensions(bit) IS 'The number of bits.';

CREATE OR REPLACE FUNCTION colbert._unit(a vector)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN l2_normalize(a);

COMMENT ON FUNCTION colbert._unit(vector) IS 'The vector of length 1 in the same direction.';

CREATE OR REPLACE FUNCTION colbert._first_dimensions(a vector, dimensions integer)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN subvector(a, 1, dimensions);

COMMENT ON FUNCTION colbert._first_dimensions(vector, integer) IS 'The vector without all dimensions after the first ones.';

-- pgvector's own * refuses what is too small to be anything but 0.
CREATE OR REPLACE FUNCTION colbert._scaled(a vector, factor float8)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
  SELECT array_agg(u.number * factor ORDER BY u.place)::vector
    FROM unnest(a::real[]) WITH ORDINALITY AS u (number, place);
END;

COMMENT ON FUNCTION colbert._scaled(vector, float8) IS 'The vector times a number.';

CREATE OR REPLACE FUNCTION colbert._binary_quantize(a vector)
RETURNS bit
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN binary_quantize(a);

COMMENT ON FUNCTION colbert._binary_quantize(vector) IS 'A bit for each number: whether it is positive.';

CREATE OR REPLACE FUNCTION colbert._binary_quantize(a halfvec)
RETURNS bit
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN binary_quantize(a);

COMMENT ON FUNCTION colbert._binary_quantize(halfvec) IS 'A bit for each number: whether it is positive.';

-- What a document token is to plaid and to a query that is drawn from documents: a vector. That of bits is the unit
-- vector which has them as its signs. (By its text: 28 µs for 128 bits, where an array of numbers takes 44.)
CREATE OR REPLACE FUNCTION colbert._direction(a vector)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a;

COMMENT ON FUNCTION colbert._direction(vector) IS 'The vector itself.';

CREATE OR REPLACE FUNCTION colbert._direction(a halfvec)
RETURNS halfvec
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN a;

COMMENT ON FUNCTION colbert._direction(halfvec) IS 'The vector itself.';

CREATE OR REPLACE FUNCTION colbert._direction(a bit)
RETURNS vector
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN l2_normalize(('[' || rtrim(replace(replace(a::text, '1', '1,'), '0', '-1,'), ',') || ']')::vector);

COMMENT ON FUNCTION colbert._direction(bit) IS 'The unit vector that has these bits as its signs.';

-- A restored database creates functions by name, and may do so before anything has loaded pgvector's library:
-- reading this literal does, so that a role that is not a superuser may create colbert._tokens_candidates,
-- which sets parameters of pgvector. The name sorts before that one.
CREATE OR REPLACE FUNCTION colbert._load_pgvector()
RETURNS vector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '[1]'::vector;

COMMENT ON FUNCTION colbert._load_pgvector() IS
  'Loads pgvector''s library when a dump that creates it is restored; nothing calls it.';

CREATE OR REPLACE FUNCTION colbert._vector_schema()
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
  SELECT n.nspname
    FROM pg_catalog.pg_extension e
    JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
   WHERE e.extname = 'vector';
END;

COMMENT ON FUNCTION colbert._vector_schema() IS
  'The schema in which pgvector lives today, for statements that are built when they run.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_refuse_malformed.sql
-- Refuses what no score can be computed from: NULL, a NULL element, more than one array dimension, and a query without
-- tokens. It takes a few microseconds, so that it may run on every document.
CREATE OR REPLACE FUNCTION colbert._refuse_malformed(embeddings anyarray, role text)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_malformed$
BEGIN
  IF embeddings IS NULL THEN
    RAISE EXCEPTION '% must not be NULL', role
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass an array of token vectors.';
  ELSIF cardinality(embeddings) = 0 THEN
    IF role = 'query' THEN
      RAISE EXCEPTION 'query has no tokens'
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Pass an array with one vector for each query token.';
    END IF;
  ELSIF array_ndims(embeddings) <> 1 THEN
    RAISE EXCEPTION '% is an array of % dimensions', role, array_ndims(embeddings)
      USING ERRCODE = 'array_subscript_error',
            HINT = 'Pass a one-dimensional array with one vector for each token.';
  ELSIF array_position(embeddings, NULL) IS NOT NULL THEN
    RAISE EXCEPTION '% token % is NULL', role,
                    array_position(embeddings, NULL) - array_lower(embeddings, 1) + 1
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Leave the token out, or encode the text again.';
  END IF;
END
$_refuse_malformed$;

COMMENT ON FUNCTION colbert._refuse_malformed(anyarray, text) IS
  'Raises when an array of token vectors is NULL, has NULL elements or more than one dimension, or is a query without tokens.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_maxsim.sql
-- MaxSim: the best document token of every query token, by inner product, summed over the query.
--
--   score(Q, D) = sum over query tokens q of max over document tokens d of <q, d>
--
-- Khattab and Zaharia, ColBERT (2020), https://arxiv.org/abs/2004.12832. An empty document scores 0. A NULL argument
-- gives NULL. Refused: an empty query, NULL elements, arrays of more than one dimension, and vectors of different
-- dimensions (by pgvector).
--
-- The document is unnested once for sixteen query tokens, and each of them has a min() of its own. That is about three
-- times as fast as a cross join of two unnests (benchmarks/). A slot past the end of the query is NULL and costs next
-- to nothing. Scores are summed in groups of sixteen, as colbert._scoring_sql sums them, so that both give the same
-- bits.
CREATE OR REPLACE FUNCTION colbert._maxsim(query anyarray, document anyarray)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $_maxsim$
DECLARE
  _score float8 := 0;
BEGIN
  IF array_ndims(query) IS DISTINCT FROM 1 OR array_ndims(document) > 1
     OR array_position(query, NULL) IS NOT NULL OR array_position(document, NULL) IS NOT NULL THEN
    PERFORM colbert._refuse_malformed(query, 'query'),
            colbert._refuse_malformed(document, 'document');
  END IF;
  FOR _first IN array_lower(query, 1) .. array_upper(query, 1) BY 16 LOOP
    _score := _score - (
      SELECT coalesce(min(colbert._negative_inner_product(d.token, q.q0)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q1)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q2)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q3)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q4)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q5)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q6)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q7)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q8)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q9)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q10)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q11)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q12)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q13)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q14)), 0)
           + coalesce(min(colbert._negative_inner_product(d.token, q.q15)), 0)
        FROM (SELECT query[_first + 0] AS q0, query[_first + 1] AS q1, query[_first + 2] AS q2,
                     query[_first + 3] AS q3, query[_first + 4] AS q4, query[_first + 5] AS q5,
                     query[_first + 6] AS q6, query[_first + 7] AS q7, query[_first + 8] AS q8,
                     query[_first + 9] AS q9, query[_first + 10] AS q10, query[_first + 11] AS q11,
                     query[_first + 12] AS q12, query[_first + 13] AS q13,
                     query[_first + 14] AS q14, query[_first + 15] AS q15
              OFFSET 0) AS q,
             LATERAL (SELECT unnest(document) AS token) AS d);
  END LOOP;
  RETURN _score;
END
$_maxsim$;

COMMENT ON FUNCTION colbert._maxsim(anyarray, anyarray) IS
  'MaxSim for arrays of vector and of halfvec: the body of both forms of maxsim.';

-- The same for bits, as pgvector's examples define it: the similarity of two tokens is the share of their bits that are
-- the same, 1 - hamming distance / bits.
CREATE OR REPLACE FUNCTION colbert._maxsim(query bit[], document bit[])
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $_maxsim$
DECLARE
  _score float8 := 0;
  _bits float8 := nullif(length(query[array_lower(query, 1)]), 0);
BEGIN
  IF array_ndims(query) IS DISTINCT FROM 1 OR array_ndims(document) > 1
     OR array_position(query, NULL) IS NOT NULL OR array_position(document, NULL) IS NOT NULL THEN
    PERFORM colbert._refuse_malformed(query, 'query'),
            colbert._refuse_malformed(document, 'document');
  END IF;
  FOR _first IN array_lower(query, 1) .. array_upper(query, 1) BY 16 LOOP
    _score := _score + (
      SELECT coalesce(1 - min(colbert._hamming_distance(d.token, q.q0)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q1)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q2)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q3)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q4)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q5)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q6)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q7)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q8)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q9)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q10)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q11)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q12)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q13)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q14)) / _bits, 0)
           + coalesce(1 - min(colbert._hamming_distance(d.token, q.q15)) / _bits, 0)
        FROM (SELECT query[_first + 0] AS q0, query[_first + 1] AS q1, query[_first + 2] AS q2,
                     query[_first + 3] AS q3, query[_first + 4] AS q4, query[_first + 5] AS q5,
                     query[_first + 6] AS q6, query[_first + 7] AS q7, query[_first + 8] AS q8,
                     query[_first + 9] AS q9, query[_first + 10] AS q10, query[_first + 11] AS q11,
                     query[_first + 12] AS q12, query[_first + 13] AS q13,
                     query[_first + 14] AS q14, query[_first + 15] AS q15
              OFFSET 0) AS q,
             LATERAL (SELECT unnest(document) AS token) AS d);
  END LOOP;
  RETURN _score;
END
$_maxsim$;

COMMENT ON FUNCTION colbert._maxsim(bit[], bit[]) IS
  'MaxSim for arrays of bits: the body of that form of maxsim.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/maxsim.sql
-- The forms of maxsim for two arrays: see _maxsim.
CREATE OR REPLACE FUNCTION colbert.maxsim(query vector[], document vector[])
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
RETURN colbert._maxsim(query, document);

COMMENT ON FUNCTION colbert.maxsim(vector[], vector[]) IS
  'The late-interaction score of a document: for each query token its largest inner product with a document token, summed.';

CREATE OR REPLACE FUNCTION colbert.maxsim(query halfvec[], document halfvec[])
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
RETURN colbert._maxsim(query, document);

COMMENT ON FUNCTION colbert.maxsim(halfvec[], halfvec[]) IS
  'The late-interaction score of a document: for each query token its largest inner product with a document token, summed.';

CREATE OR REPLACE FUNCTION colbert.maxsim(query bit[], document bit[])
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
RETURN colbert._maxsim(query, document);

COMMENT ON FUNCTION colbert.maxsim(bit[], bit[]) IS
  'The late-interaction score of a document of bits: for each query token the largest share of bits that a document token has in common with it, summed.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_maxsim_matches.sql
-- Which document token answers each query token: the terms of the sum that maxsim returns. Positions count from 1. Of
-- equal similarities the first document token is named. There are no rows for an empty document.
CREATE OR REPLACE FUNCTION colbert._maxsim_matches(query anyarray, document anyarray)
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $_maxsim_matches$
BEGIN
  PERFORM colbert._refuse_malformed(query, 'query'),
          colbert._refuse_malformed(document, 'document');
  RETURN QUERY
    SELECT q.position::integer, best.position::integer, best.similarity
      FROM unnest(query) WITH ORDINALITY AS q (token, position)
     CROSS JOIN LATERAL (
           SELECT d.position, colbert._similarity(d.token, q.token) AS similarity
             FROM unnest(document) WITH ORDINALITY AS d (token, position)
            ORDER BY 2 DESC, 1
            LIMIT 1) AS best
     ORDER BY 1;
END
$_maxsim_matches$;

COMMENT ON FUNCTION colbert._maxsim_matches(anyarray, anyarray) IS
  'The matches of arrays of vector, of halfvec and of bits: the body of the forms of maxsim_matches.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/maxsim_matches.sql
-- The forms of maxsim_matches for two arrays: see _maxsim_matches.
CREATE OR REPLACE FUNCTION colbert.maxsim_matches(query vector[], document vector[])
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
BEGIN ATOMIC
  SELECT m.query_position, m.document_position, m.similarity
    FROM colbert._maxsim_matches(query, document) AS m;
END;

COMMENT ON FUNCTION colbert.maxsim_matches(vector[], vector[]) IS
  'For each query token the document token with the largest inner product: positions from 1, and the similarity.';

CREATE OR REPLACE FUNCTION colbert.maxsim_matches(query halfvec[], document halfvec[])
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
BEGIN ATOMIC
  SELECT m.query_position, m.document_position, m.similarity
    FROM colbert._maxsim_matches(query, document) AS m;
END;

COMMENT ON FUNCTION colbert.maxsim_matches(halfvec[], halfvec[]) IS
  'For each query token the document token with the largest inner product: positions from 1, and the similarity.';

CREATE OR REPLACE FUNCTION colbert.maxsim_matches(query bit[], document bit[])
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
BEGIN ATOMIC
  SELECT m.query_position, m.document_position, m.similarity
    FROM colbert._maxsim_matches(query, document) AS m;
END;

COMMENT ON FUNCTION colbert.maxsim_matches(bit[], bit[]) IS
  'For each query token the document token with the most bits in common: positions from 1, and the share of bits.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_weighted_maxsim.sql
-- MaxSim where query tokens weigh other than 1: each term counts as often as weights says for its query token, and '{}'
-- stands for 1 each. Summed in groups of sixteen, as colbert._maxsim sums them.
CREATE OR REPLACE FUNCTION colbert._weighted_maxsim(query anyarray, document anyarray, weights float8[])
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $_weighted_maxsim$
BEGIN
  IF cardinality(weights) = 0 THEN
    RETURN colbert._maxsim(query, document);
  END IF;
  RETURN (SELECT coalesce(sum(g.score ORDER BY g.number), 0)
            FROM (SELECT (m.query_position - 1) / 16 AS number,
                         sum(weights[m.query_position] * m.similarity ORDER BY m.query_position) AS score
                    FROM colbert._maxsim_matches(query, document) AS m
                   GROUP BY 1) AS g);
END
$_weighted_maxsim$;

COMMENT ON FUNCTION colbert._weighted_maxsim(anyarray, anyarray, float8[]) IS
  'MaxSim for a query whose tokens have weights.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/binary_quantize.sql
-- The signs of token vectors: what a column of type bit(n)[] keeps of them, and how a query is compared with it. A bit is
-- set where the number is positive (pgvector's binary_quantize). It may stand in a generated column.
CREATE OR REPLACE FUNCTION colbert.binary_quantize(embeddings vector[])
RETURNS bit[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $binary_quantize$
BEGIN
  PERFORM colbert._refuse_malformed(embeddings, 'document');
  RETURN ARRAY(SELECT colbert._binary_quantize(u.token)
                 FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$binary_quantize$;

COMMENT ON FUNCTION colbert.binary_quantize(vector[]) IS
  'The signs of token vectors, as bits: for columns of type bit(n)[].';

CREATE OR REPLACE FUNCTION colbert.binary_quantize(embeddings halfvec[])
RETURNS bit[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $binary_quantize$
BEGIN
  PERFORM colbert._refuse_malformed(embeddings, 'document');
  RETURN ARRAY(SELECT colbert._binary_quantize(u.token)
                 FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$binary_quantize$;

COMMENT ON FUNCTION colbert.binary_quantize(halfvec[]) IS
  'The signs of token vectors, as bits: for columns of type bit(n)[].';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_query_weights.sql
-- A query vector of another length than 1 weighs its token: its inner products are as many times as large. It is taken
-- apart into the unit vector of its direction, which fits into every type, and its length, the weight.
--
-- What is within 0.01 of 1, the tolerance of documents, weighs 1 and stays as it is.
CREATE OR REPLACE FUNCTION colbert._weight(token vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN colbert._norm(token) BETWEEN 0.99 AND 1.01 THEN 1 ELSE colbert._norm(token) END;

COMMENT ON FUNCTION colbert._weight(vector) IS 'What a query token weighs: its length.';

CREATE OR REPLACE FUNCTION colbert._query_weights(query vector[])
RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_query_weights$
DECLARE
  _weights float8[];
BEGIN
  SELECT array_agg(colbert._weight(u.token) ORDER BY u.position)
    INTO _weights
    FROM unnest(query) WITH ORDINALITY AS u (token, position);
  RETURN CASE WHEN 1 = ALL (_weights) THEN '{}' ELSE _weights END;
END
$_query_weights$;

COMMENT ON FUNCTION colbert._query_weights(vector[]) IS
  'The weights of a query''s tokens; an empty array where each is 1.';

CREATE OR REPLACE FUNCTION colbert._unit_query(query vector[])
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_unit_query$
BEGIN
  RETURN ARRAY(SELECT CASE WHEN colbert._weight(u.token) = 1 THEN u.token ELSE colbert._unit(u.token) END
                 FROM unnest(query) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$_unit_query$;

COMMENT ON FUNCTION colbert._unit_query(vector[]) IS
  'The vectors of a query without their weights; the lower bound is 1.';

-- SQL for the query $1 as maxsim compares it with documents of a type, without its weights.
CREATE OR REPLACE FUNCTION colbert._query_sql(element regtype)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN element = 'bit'::regtype THEN 'colbert.binary_quantize($1)'
            ELSE format('colbert._unit_query($1)::%s[]', element) END;

COMMENT ON FUNCTION colbert._query_sql(regtype) IS
  'SQL for the vectors of the query $1 as an array of a type, without weights.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_vectors.sql
-- An array of document tokens as an array of vector, to be used as a query. Bits become the vectors whose signs they are.
CREATE OR REPLACE FUNCTION colbert._vectors(embeddings vector[])
RETURNS vector[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN embeddings;

COMMENT ON FUNCTION colbert._vectors(vector[]) IS 'The array itself.';

CREATE OR REPLACE FUNCTION colbert._vectors(embeddings halfvec[])
RETURNS vector[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN embeddings::vector[];

COMMENT ON FUNCTION colbert._vectors(halfvec[]) IS 'The array as vectors.';

CREATE OR REPLACE FUNCTION colbert._vectors(embeddings bit[])
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_vectors$
BEGIN
  RETURN ARRAY(SELECT colbert._direction(u.token)
                 FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$_vectors$;

COMMENT ON FUNCTION colbert._vectors(bit[]) IS 'The unit vectors that have these bits as their signs.';
$part$;

EXECUTE $part$
-- sql/functions/scoring/_scoring_sql.sql
-- The statement that scores many documents in one pass: exact search, rerank and the last stage of every search run it.
-- It returns (doc_id, score) for every row of documents, which is SQL for a relation (doc_id, embeddings). $1 is the
-- query, with lower bound 1.
--
-- Run it with EXECUTE … USING. The plan is then made for this one run, and the query's vectors are constants in it. The
-- planner copies the whole query for each of them, 550 MB for 1,024 tokens of 128 dimensions. So from 101 tokens on,
-- subqueries read them from a CTE, once each. Measured with ten documents: 1,024 tokens take a quarter of the time, 128 two
-- thirds, but 20 would take 1.3 times as long, and 1.7 times with literals.
--
-- Each query token is one min() over the unnested document: no join, no sort, no call. That is the fastest form in one
-- process (benchmarks/). PostgreSQL keeps correlated subqueries out of parallel workers, so with parallel the same
-- min()s are grouped by document, which workers may do. That needs memory for all documents at once: else their tokens
-- would be written to disk (_begin_pass).
--
-- It runs under the caller's search_path, under which a filter in documents means what it means to the caller. So all
-- types match exactly, and polymorphic functions and the equality of keys name their schema: nothing that is planted
-- matches better. The terms are summed in groups of sixteen, as colbert._maxsim sums them.
CREATE OR REPLACE FUNCTION colbert._scoring_sql(
  query vector[], element regtype, documents text, parallel boolean)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH form AS (
    SELECT f.*, colbert._vector_schema() AS schema
      FROM (VALUES (false, '', '$1[%s]', '%s'),
                   (true, 'WITH "colbert query" AS MATERIALIZED (SELECT $1 AS vectors) ', 'q.vectors[%s]',
                    '(SELECT %s FROM "colbert query" AS q)')) AS f (long, head, token, constant)
     WHERE f.long = (cardinality(query) > 100)
  ), query_token AS (
    SELECT u.i, colbert._weight(u.token) AS weight, colbert._dimensions(u.token) AS dimensions,
           format(f.token, u.i) AS token
      FROM form AS f CROSS JOIN unnest(query) WITH ORDINALITY AS u (token, i)
  ), term AS (
    SELECT t.i,
           CASE WHEN t.weight <> 1 THEN format(f.constant, format('colbert._weight(%s)', t.token)) || ' * ' ELSE '' END
           || format(CASE WHEN element = 'bit'::regtype THEN
                            '(min(d.token OPERATOR(%1$I.<~>) %2$s) / %3$s::pg_catalog.float8 - 1::pg_catalog.float8)'
                          ELSE
                            'min(d.token OPERATOR(%1$I.<#>) %2$s)'
                     END,
                     f.schema,
                     format(f.constant,
                            format(CASE WHEN element = 'bit'::regtype THEN '%1$I.binary_quantize(%2$s)'
                                        WHEN t.weight = 1 THEN '%2$s::%3$s'
                                        ELSE '%1$I.l2_normalize(%2$s)::%3$s' END,
                                   f.schema, t.token, element)),
                     t.dimensions) AS sql
      FROM form AS f CROSS JOIN query_token AS t
  ), term_group AS (
    SELECT (i - 1) / 16 AS i, string_agg(sql, ' + ' ORDER BY i) AS sql
      FROM term
     GROUP BY 1
  )
  SELECT f.head
         || format(CASE
                     WHEN parallel THEN
                       'SELECT s.doc_id, 0::pg_catalog.float8 - %2$s AS score'
                       '  FROM %1$s AS s CROSS JOIN LATERAL pg_catalog.unnest(s.embeddings) AS d (token)'
                       ' GROUP BY s.doc_id'
                     ELSE
                       'SELECT s.doc_id, m.score'
                       '  FROM %1$s AS s'
                       ' CROSS JOIN LATERAL (SELECT 0::pg_catalog.float8 - %2$s AS score'
                       '    FROM (SELECT pg_catalog.unnest(s.embeddings) AS token) AS d) AS m'
                   END,
                   documents, g.sql)
    FROM form AS f CROSS JOIN (SELECT string_agg('(' || sql || ')', ' - ' ORDER BY i) AS sql FROM term_group) AS g;
END;

COMMENT ON FUNCTION colbert._scoring_sql(vector[], regtype, text, boolean) IS
  'The SQL that scores every document of a relation (doc_id, embeddings) against the query in $1.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_find_index.sql
-- The registry row of an index. The source may be left out (NULL) while exactly one table is indexed, and the column
-- while the source has exactly one indexed column, or exactly one that is not the first stage of another.
CREATE OR REPLACE FUNCTION colbert._registered_index(source regclass, embeddings name DEFAULT NULL)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_registered_index$
DECLARE
  _found colbert._index[];
BEGIN
  SELECT array_agg(i ORDER BY i.id)
    INTO _found
    FROM colbert._index AS i
   WHERE (_registered_index.source IS NULL OR i.source = _registered_index.source)
     AND CASE WHEN _registered_index.embeddings IS NOT NULL THEN i.embeddings = _registered_index.embeddings
              ELSE NOT colbert._is_first_stage(i) END;

  CASE coalesce(cardinality(_found), 0)
    WHEN 1 THEN
      RETURN _found[1];
    WHEN 0 THEN
      IF source IS NULL THEN
        RAISE EXCEPTION 'no table has a late-interaction index'
          USING ERRCODE = 'undefined_object',
                HINT = 'Create one with SELECT colbert.create_index(''table'').';
      END IF;
      RAISE EXCEPTION 'table "%" has no late-interaction index%', source,
                      CASE WHEN embeddings IS NOT NULL
                           THEN format(' on column "%s"', embeddings) ELSE '' END
        USING ERRCODE = 'undefined_object',
              HINT = format('Create one with SELECT colbert.create_index(%L%s).', source,
                            CASE WHEN embeddings IS NOT NULL THEN format(', %L', embeddings) ELSE '' END);
    ELSE
      RAISE EXCEPTION '% late-interaction indexes could be meant', cardinality(_found)
        USING ERRCODE = 'ambiguous_parameter',
              DETAIL = (SELECT string_agg(format('%s.%I', f.source, f.embeddings), ', ')
                          FROM unnest(_found) AS f),
              HINT = CASE WHEN source IS NULL
                          THEN 'Name the table: source => ''table''.'
                          ELSE 'Name the column: embeddings => ''column''.' END;
  END CASE;
END
$_registered_index$;

COMMENT ON FUNCTION colbert._registered_index(regclass, name) IS
  'The registry row of an index, or an error that says which there are.';

-- The same for what uses the index. One that was made before Citus distributed its table knows none of the rows that are
-- written since.
CREATE OR REPLACE FUNCTION colbert._find_any_index(source regclass, embeddings name DEFAULT NULL)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_any_index$
DECLARE
  _index colbert._index := colbert._registered_index(source, embeddings);
BEGIN
  IF _index.method <> 'shards' AND colbert._is_distributed(_index.source) THEN
    RAISE EXCEPTION 'table "%" was distributed after it was indexed', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'The index here knows none of the rows that were written since.',
            HINT = format('Drop it here alone: SET citus.enable_ddl_propagation = off; SELECT colbert.drop_index(%L, %L); '
                          'RESET citus.enable_ddl_propagation; and create the index anew.',
                          _index.source, _index.embeddings);
  END IF;
  RETURN _index;
END
$_find_any_index$;

COMMENT ON FUNCTION colbert._find_any_index(regclass, name) IS
  'The registry row of an index that can be used, or an error.';

CREATE OR REPLACE FUNCTION colbert._is_first_stage(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM colbert._index AS i
                  WHERE i.source = index.source AND i.options ->> 'first_stage' = index.embeddings);
END;

COMMENT ON FUNCTION colbert._is_first_stage(colbert._index) IS
  'Whether another index of the table has this one as its first stage.';

-- The same for what works on one table: an index over shards is refused. So whatever was not made for shards says so,
-- instead of leaving out the documents that are elsewhere.
CREATE OR REPLACE FUNCTION colbert._find_index(source regclass, embeddings name DEFAULT NULL)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_index$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
BEGIN
  IF _index.method = 'shards' THEN
    RAISE EXCEPTION 'the shards of table "%" are not reached by this', _index.source
      USING ERRCODE = 'feature_not_supported',
            DETAIL = 'Rows of it are on other servers.',
            HINT = 'Call it for each partition that is here, and on each shard. colbert.shards lists them.';
  END IF;
  RETURN _index;
END
$_find_index$;

COMMENT ON FUNCTION colbert._find_index(regclass, name) IS
  'The registry row of an index of one table, or an error.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_normalized.sql
-- Option normalized: see _option_types.
CREATE OR REPLACE FUNCTION colbert._normalized(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'normalized' IS DISTINCT FROM 'false'::jsonb;

COMMENT ON FUNCTION colbert._normalized(colbert._index) IS
  'Whether the index takes unit vectors only.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_triggers.sql
-- Option triggers: see _option_types. An index over shards has none: each partition has its own, and a row trigger of the
-- parent would be cloned to those on other servers.
CREATE OR REPLACE FUNCTION colbert._triggers(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options -> 'triggers' IS DISTINCT FROM 'false'::jsonb AND index.method <> 'shards';

COMMENT ON FUNCTION colbert._triggers(colbert._index) IS
  'Whether triggers keep the index in step.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_encoded_column.sql
-- Whether workers encode the texts or pictures of an index. Any other index leaves the vectors to the writers.
CREATE OR REPLACE FUNCTION colbert._is_encoded(index colbert._index)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.options ?| ARRAY['text', 'pictures'];

COMMENT ON FUNCTION colbert._is_encoded(colbert._index) IS
  'Whether workers encode the texts or pictures of an index.';

-- The expression that is the text of an index, over the columns of the source, as PostgreSQL prints it. NULL where the
-- text is a column.
--
-- It is taken from the index of pending documents, which has it in a column of its own: (expression IS NULL). So it is
-- a single expression that PostgreSQL has checked, whatever somebody writes into the registry, and it follows columns
-- and functions that are renamed.
CREATE OR REPLACE FUNCTION colbert._text_expression(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_text_expression$
BEGIN
  IF NOT index.options ? 'text' THEN
    RETURN NULL;
  END IF;
  RETURN (SELECT substring(pg_get_expr(i.indexprs, i.indrelid) FROM '^\((.*) IS NULL\)$')
            FROM pg_index AS i
           WHERE i.indexrelid = colbert._pending_index(index)
             AND cardinality(array_positions(i.indkey::int2[], 0::int2)) = 1);
END
$_text_expression$;

COMMENT ON FUNCTION colbert._text_expression(colbert._index) IS
  'The expression that is the text of an index; NULL where the text is a column.';

-- The column that workers encode, of texts or of pictures. NULL where there is none, and where the text is an expression.
CREATE OR REPLACE FUNCTION colbert._encoded_column(index colbert._index)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN colbert._text_expression(index) IS NULL
            THEN coalesce(index.options ->> 'text', index.options ->> 'pictures')::name END;

COMMENT ON FUNCTION colbert._encoded_column(colbert._index) IS
  'The column of an index that workers encode; NULL for one without, and where the text is an expression.';

-- Whether the text of an index is an expression, and the index of pending documents, which had it, is gone.
CREATE OR REPLACE FUNCTION colbert._lacks_expression(index colbert._index)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_lacks_expression$
BEGIN
  RETURN NOT colbert._names_column(index.source, index.options) AND colbert._text_expression(index) IS NULL;
END
$_lacks_expression$;

COMMENT ON FUNCTION colbert._lacks_expression(colbert._index) IS
  'Whether the text of an index is an expression that has gone with the index of pending documents.';

-- The columns of the source that an encoded document is made of, and that its reader must be allowed to read. Beside an
-- expression they are all that the index of pending documents is about, but for the array.
CREATE OR REPLACE FUNCTION colbert._encoded_columns(index colbert._index)
RETURNS name[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_encoded_columns$
BEGIN
  IF colbert._text_expression(index) IS NULL THEN
    RETURN array_remove(ARRAY[colbert._encoded_column(index)], NULL);
  END IF;
  RETURN ARRAY(SELECT DISTINCT a.attname
                 FROM pg_depend AS d
                 JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
                WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = colbert._pending_index(index)
                  AND d.refclassid = 'pg_class'::regclass
                  AND d.refobjid = index.source
                  AND a.attname <> index.embeddings
                ORDER BY a.attname);
END
$_encoded_columns$;

COMMENT ON FUNCTION colbert._encoded_columns(colbert._index) IS
  'The columns of the source that what workers encode is made of.';

-- What workers encode, as SQL: of the row s of the source, where no other is named. Names in an expression stand alone,
-- so no other relation may be in the same FROM.
CREATE OR REPLACE FUNCTION colbert._encoded_sql(index colbert._index, row_name text DEFAULT 's')
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce('(' || colbert._text_expression(index) || ')',
                coalesce(row_name || '.', '') || quote_ident(colbert._encoded_column(index)));

COMMENT ON FUNCTION colbert._encoded_sql(colbert._index, text) IS
  'SQL for what workers encode of a row of the source; NULL for an index that they do not encode.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_to_count.sql
-- Nine digits are as many as a count has anywhere: a knob, an option, how many documents a search asks for.
CREATE OR REPLACE FUNCTION colbert._largest_count()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 999999999;

COMMENT ON FUNCTION colbert._largest_count() IS 'The largest number that a knob may have.';

CREATE OR REPLACE FUNCTION colbert._to_count(value float8)
RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN least(colbert._largest_count(), ceil(value))::integer;

COMMENT ON FUNCTION colbert._to_count(float8) IS
  'A number as a count: rounded up, and no larger than the largest.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_knob.sql
-- A knob is what the session sets and an option of the index stores for searching. Its value is the first of: the
-- argument, SET colbert.<name>, the index's option, the default. It is a whole number of at least 1. NULL where nobody
-- names one and there is no default.
CREATE OR REPLACE FUNCTION colbert._knob(
  name text, argument integer, options jsonb, fallback integer)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_knob$
DECLARE
  _session text := nullif(current_setting('colbert.' || name, true), '');
  _value text := coalesce(argument::text, _session, options ->> name,
                         colbert._to_count(fallback)::text);
BEGIN
  IF _value !~ '^[1-9][0-9]{0,8}$' THEN
    RAISE EXCEPTION '% must be a whole number from 1 to 999999999, not "%"', name, _value
      USING ERRCODE = 'invalid_parameter_value',
            HINT = CASE
                     WHEN argument IS NOT NULL THEN format('Pass another value for %s.', name)
                     WHEN _session IS NOT NULL THEN format('RESET colbert.%s, or set it anew.', name)
                     ELSE format('Set option "%s" of the index anew.', name)
                   END;
  END IF;
  RETURN _value::integer;
END
$_knob$;

COMMENT ON FUNCTION colbert._knob(text, integer, jsonb, integer) IS
  'The value of a search knob: the argument, else SET colbert.<name>, else the index''s option, else the default.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_factor.sql
-- A knob that is a positive number and not a count, such as effort. It has no argument.
CREATE OR REPLACE FUNCTION colbert._factor(name text, options jsonb, fallback float8)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_factor$
DECLARE
  _session text := nullif(current_setting('colbert.' || name, true), '');
  _value text := coalesce(_session, options ->> name, fallback::text);
BEGIN
  IF _value !~ '^[0-9]{1,9}([.][0-9]*)?$' OR _value::float8 = 0 THEN
    RAISE EXCEPTION '% must be a positive number, not "%"', name, _value
      USING ERRCODE = 'invalid_parameter_value',
            HINT = CASE
                     WHEN _session IS NOT NULL THEN format('RESET colbert.%s, or set it anew.', name)
                     ELSE format('Set option "%s" of the index anew.', name)
                   END;
  END IF;
  RETURN _value::float8;
END
$_factor$;

COMMENT ON FUNCTION colbert._factor(text, jsonb, float8) IS
  'The value of a knob that is a positive number: SET colbert.<name>, else the index''s option, else the default.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_element_type.sql
-- NULL for a column of another type, and for one that is not there.
CREATE OR REPLACE FUNCTION colbert._element_type(source regclass, embeddings name)
RETURNS regtype
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT t.typelem::regtype
    FROM pg_catalog.pg_attribute AS a
    JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
   WHERE a.attrelid = source
     AND a.attname = embeddings
     AND a.attnum > 0
     AND NOT a.attisdropped
     AND a.atttypid IN ('vector[]'::regtype, 'halfvec[]'::regtype, 'bit[]'::regtype);
END;

COMMENT ON FUNCTION colbert._element_type(regclass, name) IS
  'The element type of a column of token vectors, vector, halfvec or bit; NULL for any other column.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_base_type.sql
-- The type under a domain, or under a domain over a domain.
CREATE OR REPLACE FUNCTION colbert._base_type(type oid)
RETURNS regtype
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH RECURSIVE unfolded AS (
    SELECT t.oid, t.typbasetype FROM pg_catalog.pg_type AS t WHERE t.oid = type
    UNION ALL
    SELECT t.oid, t.typbasetype
      FROM unfolded AS u
      JOIN pg_catalog.pg_type AS t ON t.oid = u.typbasetype
  )
  SELECT u.oid::regtype FROM unfolded AS u WHERE u.typbasetype = 0;
END;

COMMENT ON FUNCTION colbert._base_type(oid) IS 'The type under a domain; any other type is its own.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_has_picture_bytes.sql
-- Whether the column that workers encode holds pictures as bytes. Other pictures are paths.
CREATE OR REPLACE FUNCTION colbert._has_picture_bytes(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                  WHERE a.attrelid = index.source
                    AND a.attname = colbert._encoded_column(index)
                    AND colbert._base_type(a.atttypid) = 'pg_catalog.bytea'::regtype);
END;

COMMENT ON FUNCTION colbert._has_picture_bytes(colbert._index) IS
  'Whether the column that workers encode holds pictures as bytes.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_content_sql.sql
-- What a worker is given to encode, and gives back, so that a change meanwhile is seen: a text, the path of a picture, or
-- the digest of a picture's bytes, which may be many. Texts are compared letter by letter, whatever their type and
-- collation take to be equal. The value is that of the row s of the source, where no other is given.
CREATE OR REPLACE FUNCTION colbert._content_sql(index colbert._index, value text DEFAULT NULL)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(CASE WHEN colbert._has_picture_bytes(index) THEN 'encode(sha256(%s), ''hex'')'
                   ELSE '%s::text COLLATE "C"' END,
              coalesce(value, colbert._encoded_sql(index)));

COMMENT ON FUNCTION colbert._content_sql(colbert._index, text) IS
  'SQL for what a worker is given to encode: a text, a path, or the digest of a picture.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_type_name.sql
-- For statements that run under the caller's search_path. format_type would leave out the schema that is on this one.
CREATE OR REPLACE FUNCTION colbert._type_name(type regtype)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('%I.%I', n.nspname, t.typname)
    FROM pg_catalog.pg_type AS t
    JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
   WHERE t.oid = type;
END;

COMMENT ON FUNCTION colbert._type_name(regtype) IS 'The name of a type with its schema, for statements run under the caller''s search_path.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_stored_sql.sql
-- SQL for an array of vectors as an array column of a type stores it. It is no cast for bits: bit[] would be bit(1)[].
CREATE OR REPLACE FUNCTION colbert._stored_sql(element regtype, vectors text)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN element = 'bit'::regtype THEN format('colbert.binary_quantize(%s)', vectors)
            ELSE format('%s::%s[]', vectors, element) END;

COMMENT ON FUNCTION colbert._stored_sql(regtype, text) IS
  'SQL for an array of vectors as a column of a type stores it.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_source_types.sql
-- The types behind an index, read from the catalog. Refuses an index whose source lost a column or changed its type.
--
--   key_type     the key's, as it is declared: varchar(20)
--   key_cast     what keys are cast to when they are looked up: bigint for integers, so that none is out of range, and
--                a type without a length, so that no string is cut
--   key_base     that of a domain, or else the key's own
--   element      the element type of the array column: vector, halfvec or bit
CREATE OR REPLACE FUNCTION colbert._source_types(
  index colbert._index, OUT key_type text, OUT key_cast text, OUT key_base regtype, OUT element regtype)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_types$
BEGIN
  SELECT format_type(a.atttypid, a.atttypmod), colbert._base_type(a.atttypid)
    INTO key_type, key_base
    FROM pg_attribute AS a
   WHERE a.attrelid = index.source AND a.attname = index.key AND NOT a.attisdropped;
  key_cast := colbert._type_name(CASE WHEN key_base IN ('int2'::regtype, 'int4'::regtype) THEN 'int8'::regtype
                                      ELSE key_base END);
  element := colbert._element_type(index.source, index.embeddings);

  IF key_type IS NULL OR element IS NULL THEN
    RAISE EXCEPTION 'column "%" of the index on "%" is not there any more',
                    CASE WHEN key_type IS NULL THEN index.key ELSE index.embeddings END,
                    index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Was it renamed, or did its type change? Name it as it was, or drop the index with '
                   'colbert.drop_index and create it anew.';
  END IF;
END
$_source_types$;

COMMENT ON FUNCTION colbert._source_types(colbert._index) IS
  'The type of the key (as declared, to cast to, without domains), and the element type of the array column.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_estimated_rows.sql
-- The number of rows of a table as the planner estimates it: from the last ANALYZE or VACUUM, and from the size of the
-- table now. A table that was never analyzed counts as ten rows a page. Those of partitions add up.
CREATE OR REPLACE FUNCTION colbert._estimated_rows(relation regclass)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_estimated_rows$
BEGIN
  RETURN (
    SELECT coalesce(sum(pg_relation_size(c.oid) / current_setting('block_size')::float8
                        * CASE WHEN c.relpages > 0 THEN c.reltuples / c.relpages ELSE 10 END), 0)
      FROM pg_class AS c
     WHERE c.relkind IN ('r', 'm')
       AND c.oid = ANY (relation::oid || ARRAY(SELECT t.relid::oid FROM pg_partition_tree(relation) AS t)));
END
$_estimated_rows$;

COMMENT ON FUNCTION colbert._estimated_rows(regclass) IS
  'About how many rows a table has, from its size and what the last ANALYZE found.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_document_problem.sql
-- The first thing that is wrong with an array of token vectors. All OUT columns are NULL for a good one. kind is a word
-- that callers may compare: nested, null, dimensions, zero or length. Positions count from 1. Lengths are compared with
-- a tolerance of 0.01, which is wide enough for half precision. pgvector itself refuses numbers that are not finite,
-- wherever a vector is made. Of bits only the number can be wrong: all that there may be are directions.
CREATE OR REPLACE FUNCTION colbert._document_problem(
  embeddings anyarray, dimensions integer, normalized boolean,
  OUT kind text, OUT code text, OUT problem text, OUT hint text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_document_problem$
DECLARE
  _position bigint;
  _dimensions integer;
  _norm float8;
BEGIN
  IF embeddings IS NULL OR cardinality(embeddings) = 0 THEN
    RETURN;
  END IF;

  IF array_ndims(embeddings) <> 1 THEN
    kind := 'nested';
    code := '2202E';  -- array_subscript_error
    problem := format('the array has %s dimensions', array_ndims(embeddings));
    hint := 'Store a one-dimensional array with one vector for each token.';
    RETURN;
  END IF;

  SELECT t.position, t.dimensions, t.norm
    INTO _position, _dimensions, _norm
    FROM (SELECT u.position, colbert._dimensions(u.token) AS dimensions,
                 colbert._norm(u.token) AS norm
            FROM unnest(embeddings) WITH ORDINALITY AS u (token, position)) AS t
   WHERE t.norm IS NULL
      OR t.dimensions <> _document_problem.dimensions
      OR t.norm = 0
      OR (normalized AND t.norm NOT BETWEEN 0.99 AND 1.01)
   ORDER BY t.position
   LIMIT 1;

  IF NOT FOUND THEN
    RETURN;
  ELSIF _norm IS NULL THEN
    kind := 'null';
    code := '22004';  -- null_value_not_allowed
    problem := format('token %s is NULL', _position);
    hint := 'Leave the token out, or encode the text again.';
  ELSIF _dimensions <> dimensions THEN
    kind := 'dimensions';
    code := '22000';  -- data_exception, as pgvector has it
    problem := format('token %s has %s dimensions, expected %s', _position, _dimensions, dimensions);
    hint := 'Encode it with the model that the index was made for.';
  ELSIF _norm = 0 THEN
    kind := 'zero';
    code := '22023';  -- invalid_parameter_value
    problem := format('token %s is a zero vector', _position);
    hint := 'Leave the token out: it has no direction to compare.';
  ELSE
    kind := 'length';
    code := '22023';  -- invalid_parameter_value
    problem := format('token %s has length %s, expected 1', _position, round(_norm::numeric, 4));
    hint := 'Normalise the vectors, or create the index with options => ''{"normalized": false}''.';
  END IF;
END
$_document_problem$;

COMMENT ON FUNCTION colbert._document_problem(anyarray, integer, boolean) IS
  'Kind, SQLSTATE, description and hint of the first thing that is wrong with an array of token vectors; NULLs when nothing is.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_refuse_document.sql
-- A good document passes.
CREATE OR REPLACE FUNCTION colbert._refuse_document(
  index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_document$
DECLARE
  _found record;
BEGIN
  _found := colbert._document_problem(embeddings, index.dimensions, colbert._normalized(index));
  IF _found.problem IS NOT NULL THEN
    RAISE EXCEPTION 'document "%": %', doc_id, _found.problem
      USING ERRCODE = _found.code,
            DETAIL = format('Column "%s" of table "%s".', index.embeddings, index.source),
            HINT = _found.hint;
  END IF;
END
$_refuse_document$;

COMMENT ON FUNCTION colbert._refuse_document(colbert._index, text, anyarray) IS
  'Raises for a document that may not be indexed, with its key, the token''s position and a hint.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_owner.sql
CREATE OR REPLACE FUNCTION colbert._owner(relation regclass)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_catalog.pg_get_userbyid(c.relowner) FROM pg_catalog.pg_class AS c WHERE c.oid = relation;
END;

COMMENT ON FUNCTION colbert._owner(regclass) IS 'The role that owns a table.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_is_own.sql
-- Views for everybody read only those tables that belong to the reader. To read another's table, or even to plan that,
-- may run its owner's code (policies, views, casts, expressions of indexes) with the rights of the reader, who may be a
-- superuser. That is left to readers who name the table themselves.
CREATE OR REPLACE FUNCTION colbert._is_own(relation regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(colbert._owner(relation) = current_user, false);

COMMENT ON FUNCTION colbert._is_own(regclass) IS 'Whether a table is the caller''s own.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_refuse_stranger.sql
-- Only the owner of a source may make, change or drop an index on it, as with CREATE INDEX.
CREATE OR REPLACE FUNCTION colbert._refuse_stranger(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_stranger$
BEGIN
  IF NOT (SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c WHERE c.oid = source) THEN
    RAISE EXCEPTION 'must be owner of table %', source
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Ask its owner, or become a member of the owning role.';
  END IF;
END
$_refuse_stranger$;

COMMENT ON FUNCTION colbert._refuse_stranger(regclass) IS
  'Raises unless the caller owns the table.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_refuse_partial_view.sql
-- What is derived from the source, or compared with it, needs all of the source. FORCE ROW LEVEL SECURITY hides rows
-- even from the owner.
CREATE OR REPLACE FUNCTION colbert._refuse_partial_view(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_partial_view$
BEGIN
  IF row_security_active(source) THEN
    RAISE EXCEPTION 'row-level security may hide rows of table "%" from role "%"', source, current_user
      USING ERRCODE = 'insufficient_privilege',
            HINT = 'Run it as a superuser or a role with BYPASSRLS.';
  END IF;
END
$_refuse_partial_view$;

COMMENT ON FUNCTION colbert._refuse_partial_view(regclass) IS
  'Raises where row-level security applies to the caller.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_keeps_snapshot.sql
-- REPEATABLE READ and SERIALIZABLE keep the snapshot of the first statement.
CREATE OR REPLACE FUNCTION colbert._keeps_snapshot()
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN current_setting('transaction_isolation') NOT LIKE 'read %';

COMMENT ON FUNCTION colbert._keeps_snapshot() IS
  'Whether all statements of the transaction see the snapshot of its first one: REPEATABLE READ, SERIALIZABLE.';
$part$;

EXECUTE $part$
-- sql/functions/registry/_refuse_old_snapshot.sql
-- A snapshot that is older than the lock on the source would miss rows.
CREATE OR REPLACE FUNCTION colbert._refuse_old_snapshot()
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_old_snapshot$
BEGIN
  IF colbert._keeps_snapshot() THEN
    RAISE EXCEPTION 'an index cannot be changed in a % transaction',
                    upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'active_sql_transaction',
            HINT = 'Run it in a READ COMMITTED transaction: it has to see what was committed before it.';
  END IF;
END
$_refuse_old_snapshot$;

COMMENT ON FUNCTION colbert._refuse_old_snapshot() IS
  'Raises unless every statement of the transaction sees what was committed before it.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_tenant_column.sql
-- Option tenant: see index/_option_types.sql. What is derived from the documents of one tenant is kept apart from what is
-- derived from those of others: it is a part of the index.
CREATE OR REPLACE FUNCTION colbert._tenant_column(index colbert._index)
RETURNS name
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN (index.options ->> 'tenant')::name;

COMMENT ON FUNCTION colbert._tenant_column(colbert._index) IS
  'The column by which an index is kept apart; NULL for an index without one.';

CREATE OR REPLACE FUNCTION colbert._tenant_type(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tenant_type$
DECLARE
  _type text := (SELECT colbert._type_name(a.atttypid) FROM pg_attribute AS a
                  WHERE a.attrelid = index.source AND a.attname = colbert._tenant_column(index) AND NOT a.attisdropped);
BEGIN
  IF _type IS NULL THEN
    RAISE EXCEPTION 'column "%" of the index on "%" is not there any more', colbert._tenant_column(index), index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Was it renamed? Name it as it was, or drop the index with colbert.drop_index and create it anew.';
  END IF;
  RETURN _type;
END
$_tenant_type$;

COMMENT ON FUNCTION colbert._tenant_type(colbert._index) IS
  'The type of the column by which an index is kept apart, with its schema.';

CREATE OR REPLACE FUNCTION colbert._tenant_collation_sql(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT ' COLLATE ' || a.attcollation::regcollation::text
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = index.source AND a.attname = colbert._tenant_column(index) AND a.attcollation <> 0;
END;

COMMENT ON FUNCTION colbert._tenant_collation_sql(colbert._index) IS
  'SQL for the collation of the column by which an index is kept apart; NULL for a type without one.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_in_part_sql.sql
-- SQL for whether a row of the source belongs to a part of an index: NULL, which format() leaves out, for a whole index.
CREATE OR REPLACE FUNCTION colbert._in_part_sql(index colbert._index, source_row text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_in_part_sql$
BEGIN
  RETURN CASE
    WHEN index.part IS NULL THEN NULL
    WHEN index.tenants IS NULL THEN
      format('NOT EXISTS (SELECT FROM %s AS t WHERE t.tenant OPERATOR(pg_catalog.=) %s.%I)',
             colbert._derived_table(index, 'tenants'), source_row, colbert._tenant_column(index))
    ELSE format('%s.%I OPERATOR(pg_catalog.=) ANY (%L::%s[])',
                source_row, colbert._tenant_column(index), index.tenants, colbert._tenant_type(index))
  END;
END
$_in_part_sql$;

COMMENT ON FUNCTION colbert._in_part_sql(colbert._index, text) IS
  'SQL for whether a row of the source belongs to a part of an index; NULL for a whole index.';

-- SQL for the rows of the source that an index, or a part of it, is derived from.
CREATE OR REPLACE FUNCTION colbert._source_sql(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_sql$
BEGIN
  RETURN CASE WHEN index.part IS NULL THEN index.source::text
              ELSE format('(SELECT s.* FROM %s AS s WHERE %s)', index.source, colbert._in_part_sql(index, 's')) END;
END
$_source_sql$;

COMMENT ON FUNCTION colbert._source_sql(colbert._index) IS
  'SQL for the rows of the source that an index, or a part of it, is derived from.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_part_of.sql
-- The part of an index that a tenant's documents belong to: the index, with the number of the part and the tenant. All
-- that works on an index works on a part of it: reads its rows of the source alone, and its rows of the derived tables.
--
-- A tenant with few documents has no part of its own. Nothing is derived from them, and searches score them all: part 0,
-- of the method exact. An index that is not kept apart is its own only part.
CREATE OR REPLACE FUNCTION colbert._part_of(index colbert._index, tenant text)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_part_of$
BEGIN
  IF colbert._tenant_column(index) IS NULL THEN
    RETURN index;
  ELSIF tenant IS NULL THEN
    RAISE EXCEPTION 'a document of table "%" has no tenant', index.source
      USING ERRCODE = 'not_null_violation',
            HINT = format('Column "%s" keeps the index apart by tenant and must not be NULL.',
                          colbert._tenant_column(index));
  END IF;
  IF NOT colbert._method_is_exact(index.method) THEN
    EXECUTE format('SELECT t.part FROM %s AS t WHERE t.tenant = $1::%s',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
       INTO index.part
      USING tenant;
  END IF;
  index.tenants := ARRAY[tenant];
  IF index.part IS NULL THEN
    index.part := 0;
    index.method := 'exact';
  END IF;
  RETURN index;
END
$_part_of$;

COMMENT ON FUNCTION colbert._part_of(colbert._index, text) IS
  'The part of an index that a tenant''s documents belong to; the index itself where it is not kept apart.';

CREATE OR REPLACE FUNCTION colbert._part_of_document(index colbert._index, doc_id text)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_part_of_document$
DECLARE
  _tenant text;
BEGIN
  IF colbert._tenant_column(index) IS NULL THEN
    RETURN index;
  END IF;
  EXECUTE format('SELECT s.%I::text FROM %s AS s WHERE s.%I = $1::%s', colbert._tenant_column(index), index.source, index.key,
                 (colbert._source_types(index)).key_type)
     INTO _tenant
    USING doc_id;
  RETURN colbert._part_of(index, _tenant);
END
$_part_of_document$;

COMMENT ON FUNCTION colbert._part_of_document(colbert._index, text) IS
  'The part of an index that a document of the source belongs to.';

-- The parts that hold the documents of some tenants, or of all. Those of tenants who have no part of their own are one.
CREATE OR REPLACE FUNCTION colbert._parts(index colbert._index, of_tenants text[] DEFAULT NULL)
RETURNS SETOF colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_parts$
DECLARE
  _part integer;
  _tenant text;
BEGIN
  IF colbert._tenant_column(index) IS NULL OR colbert._method_is_exact(index.method) THEN
    RETURN NEXT index;
    RETURN;
  END IF;
  FOR _part, _tenant IN
    EXECUTE format('SELECT t.part, t.tenant::text FROM %s AS t WHERE $1 IS NULL OR t.tenant = ANY ($1::%s[]) ORDER BY t.part',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
      USING of_tenants
  LOOP
    index.part := _part;
    index.tenants := ARRAY[_tenant];
    of_tenants := array_remove(of_tenants, _tenant);
    RETURN NEXT index;
  END LOOP;
  IF of_tenants <> '{}' OR of_tenants IS NULL THEN
    index.part := 0;
    index.tenants := of_tenants;
    index.method := 'exact';
    RETURN NEXT index;
  END IF;
END
$_parts$;

COMMENT ON FUNCTION colbert._parts(colbert._index, text[]) IS
  'The parts of an index that hold the documents of some tenants, or of all; the index itself where it is not kept apart.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_tenants_of_sql.sql
-- SQL for an array of the tenants of a relation (tenant): the least, and then the next above it, until there is none. With
-- an index that begins with the tenant it looks up each tenant once, however many rows there are. PostgreSQL has no plan
-- of its own for that (https://wiki.postgresql.org/wiki/Loose_indexscan). Policies of derived tables have it, too. It needs
-- enable_seqscan = off: the planner believes that the first row of a scan of the whole table comes soon.
CREATE OR REPLACE FUNCTION colbert._tenants_of_sql(relation text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'ARRAY(WITH RECURSIVE seen (tenant) AS ('
  '  (SELECT r.tenant FROM %1$s AS r ORDER BY r.tenant LIMIT 1)'
  '  UNION ALL'
  '  SELECT (SELECT r.tenant FROM %1$s AS r WHERE r.tenant OPERATOR(pg_catalog.>) seen.tenant ORDER BY r.tenant LIMIT 1)'
  '    FROM seen WHERE seen.tenant IS NOT NULL)'
  ' SELECT seen.tenant FROM seen WHERE seen.tenant IS NOT NULL)',
  relation);

COMMENT ON FUNCTION colbert._tenants_of_sql(text) IS
  'SQL for an array of the tenants of a relation, each looked up once.';

CREATE OR REPLACE FUNCTION colbert._leads_with_tenant(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT
                   FROM pg_catalog.pg_index AS i
                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                   JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
                   JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
                  WHERE i.indrelid = index.source
                    AND a.attname = colbert._tenant_column(index)
                    AND m.amname = 'btree' AND i.indisvalid AND i.indpred IS NULL);
END;

COMMENT ON FUNCTION colbert._leads_with_tenant(colbert._index) IS
  'Whether the source has an index that begins with the tenant.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_derived_comment.sql
-- Only the owner of a table or a function can write its comment: so it proves what belongs to an index.
CREATE OR REPLACE FUNCTION colbert._derived_comment(index colbert._index)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('colbert_pg: part of late-interaction index %s. Derived data: do not edit.', index.id);

COMMENT ON FUNCTION colbert._derived_comment(colbert._index) IS
  'The comment that marks a table or a function as part of an index.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_derived_name.sql
-- <source>_<column>_<suffix>, the name of a table or an index that belongs to an index. A name of more than 63 bytes is
-- cut and keeps a hash of the whole, so that two long names stay two. So does a name that is taken, which happens when
-- an older table had the source's name, or while an index is built beside its old tables.
CREATE OR REPLACE FUNCTION colbert._derived_name(source regclass, embeddings name, suffix text)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_name$
DECLARE
  _source pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = source);
  _whole text := concat_ws('_', _source.relname, embeddings);
  _name text := _whole || '_' || suffix;
  _stem text := _whole;
  _ending text := source::oid::text;
BEGIN
  WHILE octet_length(_name) > 63
        OR EXISTS (SELECT FROM pg_class AS c
                    WHERE c.relnamespace = _source.relnamespace AND c.relname = _name)
  LOOP
    _ending := left(md5(_whole || _ending), 8);
    WHILE octet_length(concat_ws('_', _stem, _ending, suffix)) > 63 LOOP
      _stem := left(_stem, -1);
    END LOOP;
    _name := concat_ws('_', _stem, _ending, suffix);
  END LOOP;
  RETURN _name;
END
$_derived_name$;

COMMENT ON FUNCTION colbert._derived_name(regclass, name, text) IS
  'The name of a table, function or trigger that belongs to an index; cut, with a hash, when it would be too long.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_derived_tables.sql
-- The tables of an index, the last that was made first: policies of later ones name earlier ones. The registry says which
-- they are, and the owner of a source may write its registry row. The tables' comments, which only the tables' owner can
-- write, say that they belong to this index. So nobody can be led to drop or change another table.
CREATE OR REPLACE FUNCTION colbert._derived_tables(index colbert._index)
RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT c.oid::regclass
    FROM unnest(index.tables) WITH ORDINALITY AS t (id, position)
    JOIN pg_catalog.pg_class AS c ON c.oid = t.id
   WHERE c.relkind = 'r'
     AND obj_description(c.oid, 'pg_class') = colbert._derived_comment(index)
   ORDER BY t.position DESC;
END;

COMMENT ON FUNCTION colbert._derived_tables(colbert._index) IS
  'The tables of an index that are there and are its own.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_lacks_tables.sql
-- Whether somebody dropped a table of the index, or took its comment away.
CREATE OR REPLACE FUNCTION colbert._lacks_tables(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT count(*) < cardinality(index.tables) FROM colbert._derived_tables(index);
END;

COMMENT ON FUNCTION colbert._lacks_tables(colbert._index) IS
  'Whether a table of an index was dropped.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_method_table_names.sql
CREATE OR REPLACE FUNCTION colbert._method_table_names(method text)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN method IN ('exact', 'shards', 'staged') THEN '{}'::text[]
         WHEN method = 'plaid' THEN '{centroids, postings, documents}'::text[]
         ELSE '{tokens}'::text[]
       END;

COMMENT ON FUNCTION colbert._method_table_names(text) IS
  'The names of the tables that a method makes, in the order in which it makes them.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_registered_table.sql
-- The names of an index's tables, in the order of index.tables: _create_derived writes them. Rows that 0.1.0 and 0.2.0
-- wrote have none, nor have rows that were restored from their dumps. The names of those follow from the method.
CREATE OR REPLACE FUNCTION colbert._table_names(index colbert._index)
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(
  index.table_names,
  colbert._method_table_names(index.method) || CASE WHEN index.options ? 'text' THEN '{attempts}'::text[] END);

COMMENT ON FUNCTION colbert._table_names(colbert._index) IS
  'The names of an index''s tables, in the order in which the registry has them.';

-- The registry's word alone. It is not proof that the table belongs to the index: see _derived_tables.
CREATE OR REPLACE FUNCTION colbert._registered_table(index colbert._index, name text)
RETURNS regclass
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN index.tables[array_position(colbert._table_names(index), name)];

COMMENT ON FUNCTION colbert._registered_table(colbert._index, text) IS
  'The table that the registry has under a name; NULL where it has none. It need not be there any more.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_derived_table.sql
-- A table of an index, by its name.
CREATE OR REPLACE FUNCTION colbert._derived_table(index colbert._index, name text)
RETURNS regclass
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_table$
DECLARE
  _table regclass := colbert._registered_table(index, name);
BEGIN
  IF NOT EXISTS (SELECT FROM colbert._derived_tables(index) AS t WHERE t = _table) THEN
    RAISE EXCEPTION 'a table of the index on "%" is not there any more', index.source
      USING ERRCODE = 'undefined_table',
            HINT = format('Run SELECT colbert.repair_index(%L, %L).',
                          index.source, index.embeddings);
  END IF;
  RETURN _table;
END
$_derived_table$;

COMMENT ON FUNCTION colbert._derived_table(colbert._index, text) IS
  'A table of an index, by its name; an error when it was dropped behind the index''s back.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_pgvector_indexes.sql
-- pgvector's own indexes on a derived table, as far as searches can use them, the newest first. While one is built anew
-- there are two.
CREATE OR REPLACE FUNCTION colbert._pgvector_indexes(index colbert._index, table_name text, access_methods name[])
RETURNS regclass[]
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT array_agg(i.indexrelid::regclass ORDER BY i.indexrelid DESC)
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    JOIN pg_catalog.pg_am AS m ON m.oid = c.relam
   WHERE i.indrelid = colbert._registered_table(index, table_name)
     AND i.indisvalid
     AND m.amname = ANY (access_methods);
END;

COMMENT ON FUNCTION colbert._pgvector_indexes(colbert._index, text, name[]) IS
  'The valid indexes of pgvector on a table of an index, the newest first; NULL when there is none.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_give_to_owner.sql
-- What belongs to an index belongs to the owner of its source, whoever ran create_index.
CREATE OR REPLACE FUNCTION colbert._give_to_owner(index colbert._index, object text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_give_to_owner$
BEGIN
  EXECUTE format('ALTER %s OWNER TO %I', object,
                 colbert._owner(index.source));
END
$_give_to_owner$;

COMMENT ON FUNCTION colbert._give_to_owner(colbert._index, text) IS
  'ALTER … OWNER TO the owner of the source. The object comes quoted: TABLE a.b, FUNCTION a.b().';
$part$;

EXECUTE $part$
-- sql/functions/derived/_create_derived.sql
-- Makes a table of derived data beside the source, and enters it in the registry with suffix as its name. The table
-- belongs to the source's owner, and is unlogged where the source is.
--
-- Everybody may read the table, and sees the rows of the documents that they may read in the source. The policy asks
-- the source, as the reader. What it asks for is the key and what the rows were derived from: the array, or where seen is
-- given that condition on the row s of the source. So row-level security and column privileges of the source hold for
-- derived data, too, and one GRANT, on the source, is all that a reader needs. Where no row-level security applies to the
-- reader, the right to read these columns answers for all rows: PostgreSQL checks it before anything runs. (OFFSET 0
-- keeps the planner from reading the whole source to answer for a few rows.)
--
-- Some rows are about no single document, such as the mean of tokens of many. They would tell a reader who may not see
-- all documents about the others, so such a reader sees none of them. (The subquery finds nothing. It is there for its
-- check of privileges.) Where the index is kept apart by tenant, such rows belong to a part, and a reader sees those of
-- tenants of whom they see some document. What a reader may see of a statement's rows is then found out once.
--
-- about: what the rows are about, by which they are shown
--
--   documents   one document each: column doc_id, and where the index is kept apart column tenant, as text
--   tenants     one tenant each: column tenant
--   parts       the documents of one tenant: column part, as in the table "tenants"
--   NULL        all documents
CREATE OR REPLACE FUNCTION colbert._create_derived(
  index colbert._index, suffix text, columns text, about text DEFAULT NULL, seen text DEFAULT NULL)
RETURNS regclass
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_derived$
DECLARE
  _source pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = index.source);
  _table text := format('%s.%I', _source.relnamespace::regnamespace,
                        colbert._derived_name(index.source, index.embeddings, suffix));
BEGIN
  EXECUTE format('CREATE %s TABLE %s (%s)',
                 CASE _source.relpersistence WHEN 'u' THEN 'UNLOGGED' END, _table, columns);
  EXECUTE format('COMMENT ON TABLE %s IS %L', _table, colbert._derived_comment(index));
  EXECUTE format('REVOKE ALL ON TABLE %1$s FROM PUBLIC; GRANT SELECT ON TABLE %1$s TO PUBLIC', _table);
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', _table);
  EXECUTE format('CREATE POLICY readers_of_source ON %1$s FOR SELECT '
                 'USING ((SELECT NOT row_security_active(%2$L::regclass)) OR %3$s)',
                 _table, index.source,
                 colbert._shown_sql(index, _table, about, format('s.%I IS NOT NULL AND %s', index.key,
                                                                 coalesce(seen, format('s.%I IS NOT NULL', index.embeddings)))));
  PERFORM colbert._give_to_owner(index, 'TABLE ' || _table);
  UPDATE colbert._index AS i
     SET tables = i.tables || _table::regclass,
         table_names = colbert._table_names(i) || suffix
   WHERE i.id = index.id;
  RETURN _table::regclass;
END
$_create_derived$;

COMMENT ON FUNCTION colbert._create_derived(colbert._index, text, text, text, text) IS
  'Makes a table of derived data that shows each reader the rows of the documents they may read in the source.';

-- Where an index is kept apart, keys may be unique within a tenant only.
CREATE OR REPLACE FUNCTION colbert._is_document_sql(index colbert._index, derived text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('s.%I = %s.doc_id', index.key, derived)
       || coalesce(' AND s.' || quote_ident(colbert._tenant_column(index)) || '::text COLLATE "C" = ' || derived || '.tenant', '');

COMMENT ON FUNCTION colbert._is_document_sql(colbert._index, text) IS
  'SQL for whether the row s of the source is the document that a row of a derived table is about.';

-- visible is SQL for whether the reader sees what the rows were derived from in the row s of the source.
CREATE OR REPLACE FUNCTION colbert._shown_sql(index colbert._index, derived text, about text, visible text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shown_sql$
DECLARE
  _tenant name := colbert._tenant_column(index);
BEGIN
  RETURN CASE about
    WHEN 'documents' THEN
      format('EXISTS (SELECT FROM %s AS s WHERE %s AND %s OFFSET 0)',
             index.source, colbert._is_document_sql(index, derived), visible)
    WHEN 'tenants' THEN
      format('%s.tenant = ANY (%s)', derived,
             colbert._tenants_of_sql(format('(SELECT s.%I AS tenant FROM %s AS s WHERE %s)', _tenant, index.source, visible)))
    WHEN 'parts' THEN
      format('%s.part = ANY (ARRAY(SELECT t.part FROM %s AS t))', derived,
             (SELECT colbert._registered_table(i, 'tenants') FROM colbert._index AS i WHERE i.id = index.id))
    ELSE format('EXISTS (SELECT FROM %s AS s WHERE false AND %s OFFSET 0)', index.source, visible)
  END;
END
$_shown_sql$;

COMMENT ON FUNCTION colbert._shown_sql(colbert._index, text, text, text) IS
  'SQL for whether a row of a derived table is about what the reader may see in the source.';
$part$;

EXECUTE $part$
-- sql/functions/derived/_create_tables.sql
-- Makes the tables of an index, empty: those of its method, and the table of attempts where texts are encoded. Returns
-- the registry row, which knows them.
CREATE OR REPLACE FUNCTION colbert._create_tables(index colbert._index)
RETURNS colbert._index
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_tables$
DECLARE
  _index colbert._index;
BEGIN
  UPDATE colbert._index AS i SET tables = '{}', table_names = '{}' WHERE i.id = index.id;
  PERFORM colbert._method_create(index);
  IF colbert._is_encoded(index) THEN
    PERFORM colbert._create_attempts(index);
  END IF;
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = index.id;
  RETURN _index;
END
$_create_tables$;

COMMENT ON FUNCTION colbert._create_tables(colbert._index) IS
  'Makes the tables of an index, empty; returns its registry row, which knows them.';
$part$;

EXECUTE $part$
-- sql/functions/methods/interface.sql
-- How a method takes part: each operation is one function here, which calls that of the index's method. exact and
-- staged derive nothing, so that most operations have nothing to do for them.
--
-- A new method is a folder beside this file, and a branch in each function of this file. Its tables are made by
-- _create_derived, and named in derived/_method_table_names.sql. Keys travel as text; statements cast them to the key's own type.

CREATE OR REPLACE FUNCTION colbert._method_is_exact(method text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN method = 'exact';

COMMENT ON FUNCTION colbert._method_is_exact(text) IS
  'Whether a method derives nothing, so that every search scores all documents.';

-- Centroids of plaid are about no single document: where row-level security applies to the caller, only those of a
-- tenant's own part are shown (_create_derived).
CREATE OR REPLACE FUNCTION colbert._method_finds(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN NOT colbert._method_is_exact(index.method)
       AND NOT (index.method = 'plaid' AND index.part IS NULL AND pg_catalog.row_security_active(index.source));

COMMENT ON FUNCTION colbert._method_finds(colbert._index) IS
  'Whether an index has candidates for the caller; false where it can only score all documents.';

-- The index whose tables a search reads.
CREATE OR REPLACE FUNCTION colbert._method_reads(index colbert._index)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_reads$
BEGIN
  IF index.method = 'staged' THEN
    RETURN colbert._find_first_stage(index);
  END IF;
  RETURN index;
END
$_method_reads$;

COMMENT ON FUNCTION colbert._method_reads(colbert._index) IS
  'The index whose tables name the candidates: that of the first stage, or else the index itself.';

CREATE OR REPLACE FUNCTION colbert._method_options(method text)
RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_options$
BEGIN
  CASE method
    WHEN 'exact' THEN RETURN jsonb '{}';
    WHEN 'hnsw', 'ivfflat' THEN RETURN colbert._tokens_options(method);
    WHEN 'plaid' THEN RETURN colbert._plaid_options();
    WHEN 'staged' THEN RETURN colbert._staged_options();
    ELSE
      RAISE EXCEPTION 'unknown index method "%"', method
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Methods: exact, hnsw, ivfflat, plaid, staged.';
  END CASE;
END
$_method_options$;

COMMENT ON FUNCTION colbert._method_options(text) IS
  'The options that a method adds to those of every index, and their types.';

CREATE OR REPLACE FUNCTION colbert._method_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_create$
BEGIN
  CASE index.method
    WHEN 'exact' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_create(index);
    WHEN 'plaid' THEN PERFORM colbert._plaid_create(index);
    WHEN 'staged' THEN PERFORM colbert._staged_create(index);
  END CASE;
END
$_method_create$;

COMMENT ON FUNCTION colbert._method_create(colbert._index) IS
  'Makes the tables of an index, empty.';

CREATE OR REPLACE FUNCTION colbert._method_build_steps(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_build_steps$
BEGIN
  RETURN CASE
    WHEN index.method IN ('hnsw', 'ivfflat') THEN colbert._tokens_build_steps(index)
    WHEN index.method = 'plaid' THEN colbert._plaid_build_steps(index)
    ELSE 0
  END;
END
$_method_build_steps$;

COMMENT ON FUNCTION colbert._method_build_steps(colbert._index) IS
  'In how many steps the tables of an index are filled.';

CREATE OR REPLACE FUNCTION colbert._method_build_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_build_step$
BEGIN
  PERFORM colbert._report_progress(index, format('building, step %s of %s', step, steps));
  CASE index.method
    WHEN 'exact', 'staged' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_build_step(index, step, steps);
    WHEN 'plaid' THEN PERFORM colbert._plaid_build_step(index, step, steps);
  END CASE;
END
$_method_build_step$;

COMMENT ON FUNCTION colbert._method_build_step(colbert._index, integer, integer) IS
  'One of the steps in which empty tables of an index are filled from the source. Bad documents are left out.';

CREATE OR REPLACE FUNCTION colbert._method_build(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET application_name = 'colbert_pg'
AS $_method_build$
DECLARE
  _steps integer := colbert._method_build_steps(index);
BEGIN
  FOR _step IN 1 .. _steps LOOP
    PERFORM colbert._method_build_step(index, _step, _steps);
  END LOOP;
END
$_method_build$;

COMMENT ON FUNCTION colbert._method_build(colbert._index) IS
  'Fills the empty tables of an index from the source, which the caller has locked.';

CREATE OR REPLACE FUNCTION colbert._method_put(index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_put$
BEGIN
  CASE index.method
    WHEN 'exact', 'staged' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_put(index, doc_id, embeddings);
    WHEN 'plaid' THEN PERFORM colbert._plaid_put(index, doc_id, embeddings);
  END CASE;
END
$_method_put$;

COMMENT ON FUNCTION colbert._method_put(colbert._index, text, anyarray) IS
  'Adds a new document to an index.';

CREATE OR REPLACE FUNCTION colbert._method_remove(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_remove$
BEGIN
  PERFORM colbert._note_change(index, doc_id);
  CASE index.method
    WHEN 'exact', 'staged' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_remove(index, doc_id);
    WHEN 'plaid' THEN PERFORM colbert._plaid_remove(index, doc_id);
  END CASE;
END
$_method_remove$;

COMMENT ON FUNCTION colbert._method_remove(colbert._index, text) IS
  'Takes a document out of an index, as each change of one begins; one that is not there is no error.';

CREATE OR REPLACE FUNCTION colbert._method_clear(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_clear$
BEGIN
  PERFORM colbert._note_change(index, NULL);
  CASE index.method
    WHEN 'exact', 'staged' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_clear(index);
    WHEN 'plaid' THEN PERFORM colbert._plaid_clear(index);
  END CASE;
END
$_method_clear$;

COMMENT ON FUNCTION colbert._method_clear(colbert._index) IS
  'Takes every document out of an index.';

CREATE OR REPLACE FUNCTION colbert._method_rebuild(index colbert._index, retrain boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_rebuild$
BEGIN
  CASE index.method
    WHEN 'exact', 'staged' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_rebuild(index);
    WHEN 'plaid' THEN PERFORM colbert._plaid_rebuild(index, retrain);
  END CASE;
END
$_method_rebuild$;

COMMENT ON FUNCTION colbert._method_rebuild(colbert._index, boolean) IS
  'Builds anew what ages in an index, while searches go on; what it has learned, too, where retrain is true.';

CREATE OR REPLACE FUNCTION colbert._method_keeps(index colbert._index)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_keeps$
BEGIN
  RETURN index.method = 'plaid' AND colbert._plaid_keeps(index);
END
$_method_keeps$;

COMMENT ON FUNCTION colbert._method_keeps(colbert._index) IS
  'Whether what a stale index has learned is good enough for the one that is built in its place.';

CREATE OR REPLACE FUNCTION colbert._method_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_method_candidates$
BEGIN
  CASE index.method
    WHEN 'exact' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN
      RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._tokens_candidates(index, query, scope, effort) AS c;
    WHEN 'plaid' THEN
      RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._plaid_candidates(index, query, scope, effort) AS c;
    WHEN 'staged' THEN
      RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._staged_candidates(index, query, scope, effort) AS c;
  END CASE;
END
$_method_candidates$;

COMMENT ON FUNCTION colbert._method_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents worth scoring, as text, best first, and what the index makes of their scores.';

CREATE OR REPLACE FUNCTION colbert._method_few(index colbert._index, query vector[], effort colbert._effort)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_few$
BEGIN
  RETURN CASE
    WHEN index.method IN ('hnsw', 'ivfflat') THEN colbert._tokens_few(index)
    WHEN index.method = 'plaid' THEN colbert._plaid_few(index, query, effort)
    WHEN index.method = 'staged' THEN colbert._staged_few(index, query, effort)
  END;
END
$_method_few$;

COMMENT ON FUNCTION colbert._method_few(colbert._index, vector[], colbert._effort) IS
  'How many documents of a restricted scope cost as much to score, all of them, as to find candidates among them.';

CREATE OR REPLACE FUNCTION colbert._method_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_problems$
BEGIN
  CASE index.method
    WHEN 'exact' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN
      RETURN QUERY SELECT p.problem, p.doc_id, p.detail FROM colbert._tokens_problems(index, sample, seed) AS p;
    WHEN 'plaid' THEN
      RETURN QUERY SELECT p.problem, p.doc_id, p.detail FROM colbert._plaid_problems(index, sample, seed) AS p;
    WHEN 'staged' THEN
      RETURN QUERY SELECT p.problem, p.doc_id, p.detail FROM colbert._staged_problems(index, sample, seed) AS p;
  END CASE;
END
$_method_problems$;

COMMENT ON FUNCTION colbert._method_problems(colbert._index, float8, text) IS
  'Every way in which the tables of an index differ from the source, for a share of the documents.';

CREATE OR REPLACE FUNCTION colbert._method_mend(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_mend$
BEGIN
  CASE index.method
    WHEN 'exact' THEN NULL;
    WHEN 'hnsw', 'ivfflat' THEN PERFORM colbert._tokens_mend(index);
    WHEN 'plaid' THEN PERFORM colbert._plaid_mend(index);
    WHEN 'staged' THEN PERFORM colbert._staged_create(index);
  END CASE;
END
$_method_mend$;

COMMENT ON FUNCTION colbert._method_mend(colbert._index) IS
  'Mends what is about no single document, after the documents were mended.';

CREATE OR REPLACE FUNCTION colbert._method_count(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_count$
BEGIN
  RETURN CASE
    WHEN index.method IN ('hnsw', 'ivfflat') THEN colbert._tokens_count(index)
    WHEN index.method = 'plaid' THEN colbert._plaid_count(index)
  END;
END
$_method_count$;

COMMENT ON FUNCTION colbert._method_count(colbert._index) IS
  'About how many document tokens an index holds; NULL when that is not known.';

CREATE OR REPLACE FUNCTION colbert._method_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_method_state$
BEGIN
  CASE index.method
    WHEN 'exact' THEN NULL;
    WHEN 'shards' THEN NULL;  -- colbert.shards asks the shards
    WHEN 'hnsw', 'ivfflat' THEN
      SELECT s.state, s.advice INTO state, advice FROM colbert._tokens_state(index) AS s;
    WHEN 'plaid' THEN
      SELECT s.state, s.advice INTO state, advice FROM colbert._plaid_state(index) AS s;
    WHEN 'staged' THEN
      SELECT s.state, s.advice INTO state, advice FROM colbert._staged_state(index) AS s;
  END CASE;
END
$_method_state$;

COMMENT ON FUNCTION colbert._method_state(colbert._index) IS
  'What is the matter with the tables of an index, stale or broken, and advice; NULLs when all is well.';
$part$;

EXECUTE $part$
-- sql/functions/methods/_note_change.sql
-- The beginning of every change of an index. doc_id is the document that changes, or NULL for all.
--
-- While an index is being built anew beside its writers, it has a table of changes: the documents that the new tables
-- have to be brought in step with.
--
-- A snapshot from before a rebuild knows tables or rows that are gone. A transaction that keeps its first snapshot
-- therefore locks the registry row, which a rebuild changes, and gets a serialization failure.
CREATE OR REPLACE FUNCTION colbert._note_change(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_note_change$
BEGIN
  IF colbert._keeps_snapshot() THEN
    PERFORM FROM colbert._index AS i WHERE i.id = index.id FOR SHARE;
  END IF;
  IF 'changes' = ANY (index.table_names) THEN
    EXECUTE format('INSERT INTO %s (doc_id, tenant) VALUES ($1::%s, $2)',
                   colbert._derived_table(index, 'changes'), (colbert._source_types(index)).key_type)
      USING doc_id, index.tenants[1];
  END IF;
END
$_note_change$;

COMMENT ON FUNCTION colbert._note_change(colbert._index, text) IS
  'Makes sure that a transaction knows an index as it is, and notes a change where the index is being built anew.';
$part$;

EXECUTE $part$
-- sql/functions/methods/_batches.sql
-- An index is built in batches of documents, so that others see how far it is, and so that it may commit after each. A
-- batch reads the keys of all documents, and the arrays of its own.
CREATE OR REPLACE FUNCTION colbert._batches(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_batches$
DECLARE
  _batches integer;
BEGIN
  EXECUTE format('SELECT least(100, 1 + count(*) / 250) FROM %s', index.source) INTO _batches;
  RETURN _batches;
END
$_batches$;

COMMENT ON FUNCTION colbert._batches(colbert._index) IS
  'The number of batches in which the documents of a source are read.';

-- By a hash of the key, so that a document is in the same batch whenever it is read.
CREATE OR REPLACE FUNCTION colbert._in_batch_sql(index colbert._index)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('(hashtext(s.%I::text) & 2147483647) %% $3 = $2 - 1', index.key);

COMMENT ON FUNCTION colbert._in_batch_sql(colbert._index) IS
  'SQL for whether the row s of the source is in batch $2 of $3, counted from 1.';
$part$;

EXECUTE $part$
-- sql/functions/methods/_in_sample_sql.sql
-- A document is in a sample by a hash of its key and of a seed, wherever its key stands.
CREATE OR REPLACE FUNCTION colbert._in_sample_sql(key text, sample float8, seed text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN sample >= 1 THEN 'true'
            ELSE format('(hashtext(%s::text || %L) & 2147483647) < %s', key, seed, (sample * 2147483647)::bigint) END;

COMMENT ON FUNCTION colbert._in_sample_sql(text, float8, text) IS
  'SQL for whether the document with a key is in a sample, a share of all.';
$part$;

EXECUTE $part$
-- sql/functions/methods/_report_progress.sql
-- Tells other sessions how far a build is: as the application_name in pg_stat_activity, which they see at once. What is
-- written to a table they would see after the commit. The caller needs a SET clause for application_name, at whose end
-- the caller's own comes back.
CREATE OR REPLACE FUNCTION colbert._report_progress(index colbert._index, progress text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_report_progress$
BEGIN
  PERFORM set_config('application_name', format('colbert_pg: %s (index %s)', progress, index.id), true);
END
$_report_progress$;

COMMENT ON FUNCTION colbert._report_progress(colbert._index, text) IS
  'Shows other sessions, in pg_stat_activity, how far the build of an index is.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_options.sql
-- Options of hnsw and ivfflat:
--
--   token_type        halfvec (default), vector or bit
--   hits              how many nearest tokens each query token fetches (search/_effort.sql)
--   m, ef_construction, ef_search    of pgvector's hnsw
--   lists, nprobe                    of pgvector's ivfflat; nprobe is its ivfflat.probes
CREATE OR REPLACE FUNCTION colbert._tokens_options(method text)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{"token_type": ["halfvec", "vector", "bit"], "hits": "integer"}'::jsonb
       || CASE method
            WHEN 'hnsw' THEN '{"m": "integer", "ef_construction": "integer", "ef_search": "integer"}'::jsonb
            ELSE '{"lists": "integer", "nprobe": "integer"}'::jsonb
          END;

COMMENT ON FUNCTION colbert._tokens_options(text) IS 'The options of the methods hnsw and ivfflat.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_layout.sql
-- The methods hnsw and ivfflat: a table with a row for every document token, and pgvector's own index on it. This says
-- how tokens are kept: as halfvec (half the bytes of vector, and as good), as vector, or as bit (one bit a dimension,
-- compared by Hamming distance: the smallest and the roughest).
--
-- Bits of the source are kept as they are.
--
-- Three of the answers are templates for format(). conversion turns an expression for a document token into one for a
-- kept token, and query_conversion one for a query token. similarity turns an expression for a distance from the query
-- token q into one for what that adds to the score, as near as it can be: vectors whose signs differ in a share h of the
-- dimensions are at an angle of about 180 degrees times h. Where the score counts bits, half of them are alike by chance:
-- that adds nothing. (All OPERATOR() are of one precedence.)
CREATE OR REPLACE FUNCTION colbert._tokens_layout(
  index colbert._index,
  OUT type text, OUT operator_class text, OUT operator text, OUT conversion text,
  OUT query_conversion text, OUT similarity text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_layout$
DECLARE
  _bits boolean := coalesce(colbert._element_type(index.source, index.embeddings) = 'bit'::regtype, false);
  _token_type text := CASE WHEN _bits THEN 'bit' ELSE coalesce(index.options ->> 'token_type', 'halfvec') END;
  _schema name := colbert._vector_schema();
BEGIN
  IF _token_type NOT IN ('halfvec', 'vector', 'bit') THEN
    RAISE EXCEPTION 'unknown token type "%"', _token_type
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Drop the index, and create it with token_type halfvec, vector or bit.';
  ELSIF _token_type = 'bit' THEN
    type := format('bit(%s)', index.dimensions);
    operator_class := format('%I.bit_hamming_ops', _schema);
    operator := format('OPERATOR(%I.<~>)', _schema);
    query_conversion := format('(%I.binary_quantize(%%s))::%s', _schema, type);
    conversion := CASE WHEN _bits THEN '%s' ELSE query_conversion END;
    similarity := format(
      'q.weight OPERATOR(pg_catalog.*) '
      || CASE WHEN _bits THEN '(0.5::pg_catalog.float8 OPERATOR(pg_catalog.-) ((%%s) OPERATOR(pg_catalog./) %s))'
              ELSE 'pg_catalog.cos(pg_catalog.pi() OPERATOR(pg_catalog.*) (%%s) OPERATOR(pg_catalog./) %s)' END,
      index.dimensions);
  ELSE
    type := format('%I.%s(%s)', _schema, _token_type, index.dimensions);
    operator_class := format('%I.%s_ip_ops', _schema, _token_type);
    operator := format('OPERATOR(%I.<#>)', _schema);
    conversion := format('(%%s)::%s', type);
    query_conversion := conversion;
    similarity := '- (%s)';
  END IF;
END
$_tokens_layout$;

COMMENT ON FUNCTION colbert._tokens_layout(colbert._index) IS
  'How a token table keeps its tokens: column type, operator class and operator, and templates for the conversions to that type and from distance to similarity.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_create.sql
CREATE OR REPLACE FUNCTION colbert._tokens_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_create$
DECLARE
  _key_type text := (colbert._source_types(index)).key_type;
  _type text := (colbert._tokens_layout(index)).type;
BEGIN
  PERFORM colbert._create_derived(
    index, 'tokens',
    format('doc_id %s NOT NULL, position integer NOT NULL, embedding %s NOT NULL, '
           'PRIMARY KEY (doc_id, position)', _key_type, _type),
    'documents');
END
$_tokens_create$;

COMMENT ON FUNCTION colbert._tokens_create(colbert._index) IS
  'Makes the token table of an index, empty and without pgvector''s index.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_build_ann.sql
-- Builds pgvector's index on a token table, and only then drops the one that was there. Searches use the old one until
-- the transaction ends, and wait only for its last moment.
CREATE OR REPLACE FUNCTION colbert._tokens_build_ann(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_build_ann$
DECLARE
  _tokens regclass := colbert._derived_table(index, 'tokens');
  _old regclass[] := colbert._pgvector_indexes(index, 'tokens', ARRAY[index.method]);
  _parameters text;
BEGIN
  SELECT string_agg(format('%s = %s', p.name, p.value), ', ')
    INTO _parameters
    FROM (SELECT o.key AS name, o.value::integer
            FROM jsonb_each_text(index.options) AS o
           WHERE o.key IN ('m', 'ef_construction')
          UNION ALL
          SELECT 'lists', colbert._tokens_lists(index)
           WHERE index.method = 'ivfflat') AS p;

  EXECUTE format('CREATE INDEX ON %s USING %I (embedding %s)%s',
                 _tokens, index.method, (colbert._tokens_layout(index)).operator_class,
                 ' WITH (' || _parameters || ')');
  EXECUTE format('ANALYZE %s', _tokens);
  FOR i IN 1 .. coalesce(cardinality(_old), 0) LOOP
    EXECUTE format('DROP INDEX %s', _old[i]);
  END LOOP;
END
$_tokens_build_ann$;

COMMENT ON FUNCTION colbert._tokens_build_ann(colbert._index) IS
  'Builds pgvector''s index on a token table; drops those that were there, afterwards.';

-- As many lists as pgvector's documentation advises: rows / 1000, or the square root above a million rows.
CREATE OR REPLACE FUNCTION colbert._tokens_lists(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_lists$
DECLARE
  _lists integer := (index.options ->> 'lists')::integer;
  _tokens bigint;
BEGIN
  IF _lists IS NULL THEN
    EXECUTE format('SELECT count(*) FROM %s', colbert._derived_table(index, 'tokens')) INTO _tokens;
    _lists := greatest(1, CASE WHEN _tokens <= 1000000 THEN _tokens / 1000 ELSE sqrt(_tokens) END);
  END IF;
  RETURN _lists;
END
$_tokens_lists$;

COMMENT ON FUNCTION colbert._tokens_lists(colbert._index) IS
  'The number of lists of an ivfflat index: the option, or what pgvector''s documentation advises.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_build_step.sql
-- Each step but the last copies the tokens of a batch of documents. pgvector's index is built last: that is faster, and
-- for ivfflat it is the only way that makes sense.
CREATE OR REPLACE FUNCTION colbert._tokens_build_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_build_step$
BEGIN
  IF step = steps THEN
    PERFORM colbert._tokens_build_ann(index);
    RETURN;
  END IF;
  EXECUTE format('INSERT INTO %s (doc_id, position, embedding) '
                 'SELECT s.%I, u.position, %s '
                 '  FROM %s AS s CROSS JOIN LATERAL unnest(s.%I) WITH ORDINALITY AS u (token, position)'
                 ' WHERE %s '
                 '   AND (colbert._document_problem(s.%5$I, $4, $5)).problem IS NULL',
                 colbert._derived_table(index, 'tokens'), index.key,
                 format((colbert._tokens_layout(index)).conversion, 'u.token'),
                 index.source, index.embeddings, colbert._in_batch_sql(index))
    USING index, step, steps - 1, index.dimensions, colbert._normalized(index);
END
$_tokens_build_step$;

COMMENT ON FUNCTION colbert._tokens_build_step(colbert._index, integer, integer) IS
  'Copies the tokens of a batch of the source''s documents, or builds pgvector''s index on all.';

CREATE OR REPLACE FUNCTION colbert._tokens_build_steps(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
RETURN 1 + colbert._batches(index);

COMMENT ON FUNCTION colbert._tokens_build_steps(colbert._index) IS
  'In how many steps the token table of an index is filled.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_put.sql
CREATE OR REPLACE FUNCTION colbert._tokens_put(
  index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_put$
BEGIN
  EXECUTE format('INSERT INTO %s (doc_id, position, embedding) '
                 'SELECT $1::%s, u.position, %s FROM unnest($2) WITH ORDINALITY AS u (token, position)',
                 colbert._derived_table(index, 'tokens'), (colbert._source_types(index)).key_type,
                 format((colbert._tokens_layout(index)).conversion, 'u.token'))
    USING doc_id, embeddings;
END
$_tokens_put$;

COMMENT ON FUNCTION colbert._tokens_put(colbert._index, text, anyarray) IS
  'Adds the tokens of a new document.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_remove.sql
CREATE OR REPLACE FUNCTION colbert._tokens_remove(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_remove$
BEGIN
  EXECUTE format('DELETE FROM %s AS t WHERE t.doc_id = $1::%s',
                 colbert._derived_table(index, 'tokens'), (colbert._source_types(index)).key_type)
    USING doc_id;
END
$_tokens_remove$;

COMMENT ON FUNCTION colbert._tokens_remove(colbert._index, text) IS
  'Takes the tokens of a document out of the token table.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_clear.sql
CREATE OR REPLACE FUNCTION colbert._tokens_clear(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_clear$
BEGIN
  EXECUTE format('TRUNCATE %s', colbert._derived_table(index, 'tokens'));
END
$_tokens_clear$;

COMMENT ON FUNCTION colbert._tokens_clear(colbert._index) IS 'Empties the token table.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_rebuild.sql
-- hnsw keeps dead tokens in its graph until VACUUM, and ivfflat the centres of the data that it was built on.
CREATE OR REPLACE FUNCTION colbert._tokens_rebuild(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_rebuild$
BEGIN
  PERFORM colbert._tokens_build_ann(index);
END
$_tokens_rebuild$;

COMMENT ON FUNCTION colbert._tokens_rebuild(colbert._index) IS
  'Builds pgvector''s index anew on the tokens that are there.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_candidates.sql
-- The candidate stage of hnsw and ivfflat. Each query token fetches its nearest tokens through pgvector's index:
-- sqrt(documents * k) / 2, or as many as hits names. Documents are ranked by the sum of their best hits. A query token
-- that did not hit a document adds nothing to it. Measured, that finds more of the true top ten than counting it as that
-- query token's last hit (on SciFact .96 against .93 among 100 candidates).
--
-- Where the scope is restricted, only tokens of its documents are hits, and pgvector scans its index until there are
-- enough (iterative scan). The settings of this function make the planner walk that index, which returns the nearest
-- tokens first, and never sort the whole table.
CREATE OR REPLACE FUNCTION colbert._tokens_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET enable_sort = off
SET enable_bitmapscan = off
SET jit = off
SET hnsw.ef_search = 100
SET hnsw.iterative_scan = relaxed_order
SET ivfflat.probes = 1
SET ivfflat.iterative_scan = relaxed_order
AS $_tokens_candidates$
DECLARE
  _hits integer := colbert._tokens_hits(index, effort);
  _layout record := colbert._tokens_layout(index);
  _statement text;
BEGIN
  PERFORM set_config('hnsw.ef_search',
                     least(1000, colbert._knob('ef_search', NULL, index.options, greatest(40, _hits)))::text,
                     true),
          set_config('ivfflat.probes',
                     least(32768, colbert._knob('nprobe', NULL, index.options, 8))::text, true);
  _statement := format(
    $candidates$
    WITH hit AS MATERIALIZED (
      SELECT q.position, h.doc_id, max(h.similarity) AS similarity
        FROM (SELECT u.position, %1$s AS token, colbert._norm(u.token) AS weight
                FROM pg_catalog.unnest($1) WITH ORDINALITY AS u (token, position)
              OFFSET 0) AS q
       CROSS JOIN LATERAL (
             SELECT t.doc_id, %5$s AS similarity
               FROM %3$s AS t
              %4$s
              ORDER BY t.embedding %2$s q.token
              LIMIT $3) AS h
       GROUP BY q.position, h.doc_id
    )
    SELECT h.doc_id::pg_catalog.text, sum(h.similarity)
      FROM hit AS h
     GROUP BY h.doc_id
     ORDER BY sum(h.similarity) DESC, h.doc_id
     LIMIT $4
    $candidates$,
    format(_layout.query_conversion, 'u.token'), _layout.operator, colbert._derived_table(index, 'tokens'),
    colbert._in_scope_sql(scope, 't.doc_id'),
    format(_layout.similarity, format('t.embedding %s q.token', _layout.operator)));
  PERFORM set_config('search_path', scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query, scope.params, _hits, effort.candidates;
END
$_tokens_candidates$;

COMMENT ON FUNCTION colbert._tokens_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents whose tokens are nearest to the query''s, as text, best first, with their gains.';

-- How many nearest tokens each query token fetches.
CREATE OR REPLACE FUNCTION colbert._tokens_hits(index colbert._index, effort colbert._effort)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_hits$
BEGIN
  RETURN colbert._knob('hits', NULL, index.options,
                       colbert._to_count(effort.factor * greatest(100, sqrt(effort.documents * effort.k) / 2)));
END
$_tokens_hits$;

COMMENT ON FUNCTION colbert._tokens_hits(colbert._index, colbert._effort) IS
  'How many nearest tokens each query token fetches.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_few.sql
-- To score a document takes about 0.2 ms. An index scan has to pass over documents / matching tokens for each hit, at
-- about 3 µs each. Both cost the same at about sqrt(30 * documents) matching documents.
CREATE OR REPLACE FUNCTION colbert._tokens_few(index colbert._index)
RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN greatest(100, sqrt(30 * colbert._estimated_rows(index.source)));

COMMENT ON FUNCTION colbert._tokens_few(colbert._index) IS
  'How many matching documents cost as much to score as a search through pgvector''s index.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_problems.sql
-- How a token table differs from its source: documents without their tokens, tokens without their document, tokens of
-- an array that has changed since. Bad documents have no tokens to compare.
CREATE OR REPLACE FUNCTION colbert._tokens_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_problems$
BEGIN
  RETURN QUERY EXECUTE format(
    $problems$
    WITH document AS MATERIALIZED (
      SELECT s.%1$I AS doc_id, s.%2$I AS embeddings
        FROM %3$s AS s
       CROSS JOIN LATERAL colbert._document_problem(s.%2$I, $1, $2) AS p
       WHERE %6$s
         AND cardinality(s.%2$I) > 0
         AND p.problem IS NULL
    ), expected AS (
      SELECT d.doc_id,
             ARRAY(SELECT %4$s
                     FROM unnest(d.embeddings) WITH ORDINALITY AS u (token, position)
                    ORDER BY u.position) AS tokens
        FROM document AS d
    ), found AS (
      SELECT t.doc_id,
             array_agg(t.embedding ORDER BY t.position) AS tokens,
             min(t.position) = 1 AND max(t.position) = count(*) AS complete
        FROM %5$s AS t
       WHERE %7$s
       GROUP BY t.doc_id
    )
    SELECT CASE WHEN f.doc_id IS NULL THEN 'missing document'
                WHEN e.doc_id IS NULL THEN 'orphaned document'
                ELSE 'stale document'
           END,
           coalesce(e.doc_id, f.doc_id)::text,
           format('%%s tokens in the array, %%s in the index',
                  coalesce(cardinality(e.tokens), 0), coalesce(cardinality(f.tokens), 0))
      FROM expected AS e
      FULL JOIN found AS f ON f.doc_id = e.doc_id
     WHERE e.doc_id IS NULL
        OR f.doc_id IS NULL
        OR NOT f.complete
        OR e.tokens IS DISTINCT FROM f.tokens
    $problems$,
    index.key, index.embeddings, index.source,
    format((colbert._tokens_layout(index)).conversion, 'u.token'), colbert._derived_table(index, 'tokens'),
    colbert._in_sample_sql(format('s.%I', index.key), sample, seed), colbert._in_sample_sql('t.doc_id', sample, seed))
    USING index.dimensions, colbert._normalized(index);
END
$_tokens_problems$;

COMMENT ON FUNCTION colbert._tokens_problems(colbert._index, float8, text) IS
  'The documents whose tokens in the token table are not those of their array.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_mend.sql
CREATE OR REPLACE FUNCTION colbert._tokens_mend(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_mend$
BEGIN
  IF colbert._pgvector_indexes(index, 'tokens', ARRAY[index.method]) IS NULL THEN
    PERFORM colbert._tokens_build_ann(index);
  END IF;
END
$_tokens_mend$;

COMMENT ON FUNCTION colbert._tokens_mend(colbert._index) IS
  'Builds pgvector''s index on the token table where it is gone.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_count.sql
CREATE OR REPLACE FUNCTION colbert._tokens_count(index colbert._index)
RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT nullif(c.reltuples, -1)::bigint FROM pg_catalog.pg_class AS c WHERE c.oid = colbert._registered_table(index, 'tokens');
END;

COMMENT ON FUNCTION colbert._tokens_count(colbert._index) IS
  'The number of document tokens in the index, as of the last ANALYZE.';
$part$;

EXECUTE $part$
-- sql/functions/methods/tokens/_tokens_state.sql
-- Whether pgvector's index on the token table is there, and for ivfflat whether the table has outgrown its lists.
CREATE OR REPLACE FUNCTION colbert._tokens_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_state$
DECLARE
  _ann regclass := (colbert._pgvector_indexes(index, 'tokens', ARRAY[index.method]))[1];
  _lists integer;
BEGIN
  IF _ann IS NULL THEN
    state := 'broken';
    advice := format('%s has no %s index, run repair_index', colbert._registered_table(index, 'tokens'), index.method);
    RETURN;
  END IF;
  SELECT o.option_value::integer
    INTO _lists
    FROM pg_class AS c
   CROSS JOIN LATERAL pg_options_to_table(c.reloptions) AS o
   WHERE c.oid = _ann AND o.option_name = 'lists';
  IF colbert._tokens_count(index) > 4000.0 * _lists * greatest(1, _lists / 1000.0)
     AND NOT index.options ? 'lists' THEN
    state := 'stale';
    advice := format('built for fewer tokens with %s lists, run reindex', _lists);
  END IF;
END
$_tokens_state$;

COMMENT ON FUNCTION colbert._tokens_state(colbert._index) IS
  'Whether pgvector''s index on the token table is there, and fits the table; NULL when all is well.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_options.sql
-- Options of plaid:
--
--   centroids    how many (default: _plaid_wanted_centroids)
--   nprobe       how many nearest centroids each query token probes, to the last posting (search/_effort.sql)
CREATE OR REPLACE FUNCTION colbert._plaid_options()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{"centroids": "integer", "nprobe": "integer"}'::jsonb;

COMMENT ON FUNCTION colbert._plaid_options() IS 'The options of the method plaid.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_type.sql
-- Half the bytes of vector, and as good for finding the nearest.
CREATE OR REPLACE FUNCTION colbert._plaid_type(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('%I.halfvec(%s)', colbert._vector_schema(), index.dimensions);

COMMENT ON FUNCTION colbert._plaid_type(colbert._index) IS 'The type of a centroid.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_digest.sql
-- A digest of the bytes of the array, in which any change shows. The first twelve bytes are left out: they hold the OID
-- of the element type, which differs in a restored database.
CREATE OR REPLACE FUNCTION colbert._plaid_digest(embeddings anyarray)
RETURNS bytea
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
AS $_plaid_digest$ SELECT pg_catalog.sha256(pg_catalog.substr(pg_catalog.array_send(embeddings), 13)) $_plaid_digest$;

COMMENT ON FUNCTION colbert._plaid_digest(anyarray) IS 'The SHA-256 of an array of token vectors.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_create.sql
-- The method plaid keeps no token: every document token is filed under its nearest centroid. After Santhanam et al.,
-- PLAID (2022), https://arxiv.org/abs/2205.09707. It has four tables.
--
--   centroids    points that stand for the tokens near them. Trained ones are means. The others are tokens that came in
--                since (_plaid_grow).
--   postings     under which centroids a document has tokens, each once
--   documents    what was filed: the document's ordinal, which stands for its key in the postings and is given out once;
--                the centroids of its postings; and a digest of its array, by which problems are found
--   nodes        the tree of the centroids, while the index is built (_plaid_build_tree)
--
-- A posting takes 40 bytes with its share of the index, whatever the type of the key. Postings as one array for each
-- centroid would take 3.5 bytes a token instead of 25 and save a millisecond of a search (SciFact), but every writer of a
-- document would have to change the arrays of a hundred centroids that other writers are changing.
--
-- A posting says nothing of where its tokens lie around the centroid. Their signs, relative to it, in sixteen bytes would rank better: in a
-- simulation with packages' descriptions (970,000 tokens), a search scored 109 documents instead of 221 for k = 10, and 465 instead
-- of 657 for k = 100, and found as much. But the index would be half as large again, and reading it would cost most of the millisecond or
-- two that a hundred documents less save. How near the tokens are to the centroid, alone, ranks worse than nothing.
--
-- Where the index is kept apart by tenant, a tenant with enough documents (_plaid_few_documents) has a part of the index:
-- centroids, postings and documents with its number, of its tokens alone. One index of pgvector's on the centroids of all
-- would answer one tenant by what others have. So the centroids of a part are in lists: a centroid is in the list whose
-- centre is nearest, and a search reads the lists nearest to it, as pgvector's ivfflat does.
--
--   tenants      which tenants have a part, and how much was in it when it was built
--   lists        the centres of the lists
CREATE OR REPLACE FUNCTION colbert._plaid_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_create$
DECLARE
  _tenant text := CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN colbert._tenant_type(index) END;
  _part text := CASE WHEN _tenant IS NOT NULL THEN ', part integer NOT NULL' END;
  _table regclass;
BEGIN
  IF index.dimensions > 4000 THEN
    RAISE EXCEPTION 'plaid takes vectors of at most 4000 dimensions, not %', index.dimensions
      USING ERRCODE = 'program_limit_exceeded',
            HINT = 'That is the limit of pgvector''s index on the centroids. Use the method exact.';
  END IF;
  IF _tenant IS NOT NULL THEN
    PERFORM colbert._create_derived(
      index, 'tenants',
      format('part integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant %s%s NOT NULL UNIQUE, '
             'documents integer NOT NULL DEFAULT 0, centroids integer NOT NULL DEFAULT 0, postings bigint NOT NULL DEFAULT 0',
             _tenant, colbert._tenant_collation_sql(index)),
      'tenants');
    _table := colbert._create_derived(
      index, 'lists',
      format('id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, part integer NOT NULL, centre %s NOT NULL',
             colbert._plaid_type(index)),
      'parts');
    EXECUTE format('CREATE INDEX ON %s (part)', _table);
  END IF;
  _table := colbert._create_derived(
    index, 'centroids',
    format('id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, centroid %s NOT NULL, trained boolean NOT NULL%s%s',
           colbert._plaid_type(index), _part, CASE WHEN _tenant IS NOT NULL THEN ', list_id integer NOT NULL' END),
    CASE WHEN _tenant IS NOT NULL THEN 'parts' END);
  IF _tenant IS NOT NULL THEN
    EXECUTE format('CREATE INDEX ON %s (list_id)', _table);
  END IF;
  _table := colbert._create_derived(
    index, 'postings', 'centroid_id integer NOT NULL, ordinal integer NOT NULL' || coalesce(_part, ''),
    CASE WHEN _tenant IS NOT NULL THEN 'parts' END);
  EXECUTE format('CREATE INDEX ON %s (centroid_id)', _table);
  PERFORM colbert._create_derived(
    index, 'documents',
    format('doc_id %s NOT NULL, ordinal integer GENERATED ALWAYS AS IDENTITY UNIQUE, '
           'tokens integer NOT NULL, centroid_ids integer[] NOT NULL, digest bytea NOT NULL%s, PRIMARY KEY (%s)',
           (colbert._source_types(index)).key_type, _part,
           CASE WHEN _tenant IS NOT NULL THEN 'part, doc_id' ELSE 'doc_id' END),
    CASE WHEN _tenant IS NOT NULL THEN 'parts' ELSE 'documents' END);
  PERFORM colbert._plaid_create_nodes(index);
END
$_plaid_create$;

COMMENT ON FUNCTION colbert._plaid_create(colbert._index) IS
  'Makes the tables of a plaid index, empty: centroids, postings, documents, nodes; and tenants and lists where it is kept apart.';

-- Points are not compressed: they would gain nothing.
CREATE OR REPLACE FUNCTION colbert._plaid_create_nodes(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_create_nodes$
DECLARE
  _table regclass;
BEGIN
  _table := colbert._create_derived(
    index, 'nodes',
    format('part integer NOT NULL, level smallint NOT NULL, id integer NOT NULL, '
           'ids integer[] NOT NULL, points %s[] NOT NULL, PRIMARY KEY (part, level, id)', colbert._plaid_type(index)));
  EXECUTE format('ALTER TABLE %s ALTER points SET STORAGE EXTERNAL', _table);
END
$_plaid_create_nodes$;

COMMENT ON FUNCTION colbert._plaid_create_nodes(colbert._index) IS
  'Makes the table of the tree of centroids, empty.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_few_centroids.sql
-- Fewer centroids than these have an index that grows with them; more are worth training lists for.
CREATE OR REPLACE FUNCTION colbert._plaid_few_centroids()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 1000;

COMMENT ON FUNCTION colbert._plaid_few_centroids() IS
  'The number of centroids below which they count as few.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_wanted_centroids.sql
-- How many centroids so many tokens should have: 16 * sqrt(tokens), or one for 150 tokens where that is more, which it is
-- from some six million on, but 26 * sqrt(tokens) from fifteen million on. A search of a large table has to read less then, for the
-- same recall. Measured on a hundred thousand documents of six million tokens, recall@10 and recall@100:
--
--   tokens a centroid     32,000 and 57,000     63,000 and 112,000 postings read
--   474                   .910     .873         .933     .916
--   152                   .970     .916         .983     .945
--   79                    1        .948         .993     .966
--
-- To file a token takes the longer, the more centroids there are: a million documents of sixty million tokens take 25 minutes with one for
-- 150, and 18 to 22 with 26 * sqrt(tokens), which find as much in the same time (benchmarks/results/centroids.txt).
--
-- More of them find more in small tables, too: of SciFact .980 of the best ten and .967 of the best hundred with 28 *
-- sqrt(tokens), .972 and .961 with 16. But its search is no faster, and building takes half as long again.
CREATE OR REPLACE FUNCTION colbert._plaid_wanted_centroids(tokens float8)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN greatest(16 * sqrt(tokens), least(tokens / 150, 26 * sqrt(tokens)));

COMMENT ON FUNCTION colbert._plaid_wanted_centroids(float8) IS
  'How many centroids a plaid index should have for so many tokens.';

-- The derivative by the number of tokens. That of 16 * sqrt(tokens) is 8 / sqrt(tokens), which is 128 / centroids, and that of
-- 26 * sqrt(tokens) is 338 / centroids. One for 150 tokens lies between them.
CREATE OR REPLACE FUNCTION colbert._plaid_centroid_chance(centroids integer)
RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN centroids < 38400 THEN 128.0 / greatest(1, centroids)
            WHEN centroids < 101400 THEN 1.0 / 150
            ELSE 338.0 / centroids
       END;

COMMENT ON FUNCTION colbert._plaid_centroid_chance(integer) IS
  'How likely a new token is to become a centroid, where there are so many; above 1 it is certain.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_few_documents.sql
-- A tenant with fewer documents than these has no part of the index. To score all of them takes as long as a search.
CREATE OR REPLACE FUNCTION colbert._plaid_few_documents()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 300;

COMMENT ON FUNCTION colbert._plaid_few_documents() IS
  'The number of documents of a tenant below which nothing is derived from them.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_size.sql
-- Of a part, as it was when it was built; of a whole index, as the planner estimates it.
CREATE OR REPLACE FUNCTION colbert._plaid_size(
  index colbert._index, OUT documents float8, OUT centroids float8, OUT postings float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_plaid_size$
BEGIN
  IF index.part > 0 THEN
    EXECUTE format('SELECT t.documents, t.centroids, t.postings FROM %s AS t WHERE t.part = $1 AND t.tenant = ANY ($2::%s[])',
                   colbert._derived_table(index, 'tenants'), colbert._tenant_type(index))
       INTO documents, centroids, postings
      USING index.part, index.tenants;
  ELSE
    documents := colbert._estimated_rows(colbert._registered_table(index, 'documents'));
    centroids := colbert._estimated_rows(colbert._registered_table(index, 'centroids'));
    postings := colbert._estimated_rows(colbert._registered_table(index, 'postings'));
  END IF;
  documents := greatest(1, documents);
  centroids := greatest(1, centroids);
  postings := greatest(1, postings);
END
$_plaid_size$;

COMMENT ON FUNCTION colbert._plaid_size(colbert._index) IS
  'About how many documents, centroids and postings a plaid index, or a part of one, has.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_few.sql
-- To score a document takes 26 µs, and 21 ns for each pair of a query token and a document token. A search takes 5 ms, .5
-- µs for each posting that it reads, and the scores of some hundred documents. Postings tell how many tokens a document
-- has: 1.3 for each, about.
CREATE OR REPLACE FUNCTION colbert._plaid_few(index colbert._index, query vector[], effort colbert._effort)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_few$
DECLARE
  _query_tokens integer := cardinality(query);
  _size record := colbert._plaid_size(index);
  _tokens float8 := 1.3 * _size.postings / _size.documents;
  _read float8 := _query_tokens * coalesce((colbert._plaid_reading(index, _query_tokens, effort)).postings, 0);
BEGIN
  RETURN 100 + (5000 + 0.5 * _read) / (26 + 0.021 * _query_tokens * _tokens);
END
$_plaid_few$;

COMMENT ON FUNCTION colbert._plaid_few(colbert._index, vector[], colbert._effort) IS
  'How many documents cost as much to score as a search through a plaid index.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_index_centroids.sql
-- Trained centroids get an ivfflat index, which finds the nearest more surely than hnsw does in the same time: of 123,000,
-- three lists had it for .86 of the tokens, hnsw with 8 neighbours for .75, with 16 for .82. Its lists are short, because
-- pgvector sorts all that it reads of them. Few centroids, of which there may be none yet, get an hnsw index, which grows
-- with them. Measured on SciFact, from an empty table: documents go in at .6 to .7 of the speed of a trained index, where
-- comparing grown centroids one by one took a thirtieth. With pgvector's own m and ef_construction, twice those here, it
-- takes twice as long.
--
-- pgvector refuses to learn lists in less memory than it needs: for each of 50 tokens a list the vector and a distance to
-- every list, and the distances between lists. That is more than maintenance_work_mem's default of 64 MB from four million
-- tokens on, and 800 MB for sixty million. So as much is allowed, whatever the setting is.
CREATE OR REPLACE FUNCTION colbert._plaid_index_centroids(centroids regclass, expected integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET maintenance_work_mem = '64MB'
AS $_plaid_index_centroids$
DECLARE
  _lists bigint := 3 * sqrt(expected);
  _sample bigint := greatest(10000, 50 * _lists);
  _vector bigint;
BEGIN
  IF expected >= colbert._plaid_few_centroids() THEN
    EXECUTE format('SELECT pg_column_size(c.centroid) FROM %s AS c LIMIT 1', centroids) INTO _vector;
    PERFORM set_config('maintenance_work_mem', greatest(65536, 1.1 * (
              _sample * (_vector + 16 + 4 * _lists) + _lists * (4 * _vector + 4 * _lists)) / 1024)::bigint || 'kB', true);
    EXECUTE format('CREATE INDEX ON %s USING ivfflat (centroid %I.halfvec_ip_ops) WITH (lists = %s)',
                   centroids, colbert._vector_schema(), _lists);
  ELSE
    EXECUTE format('CREATE INDEX ON %s USING hnsw (centroid %I.halfvec_ip_ops) WITH (m = 8, ef_construction = 32)', centroids, colbert._vector_schema());
  END IF;
  EXECUTE format('ANALYZE %s', centroids);
END
$_plaid_index_centroids$;

COMMENT ON FUNCTION colbert._plaid_index_centroids(regclass, integer) IS
  'Builds pgvector''s index on a table of centroids: ivfflat, or hnsw while they are few.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_near_sql.sql
-- SQL for the centroids c among which those nearest to q.token are, for a FROM clause whose ORDER BY says which those are:
-- all of an index, which pgvector's index on them finds; or of a part, those of its nearest lists.
--
-- The registry says which tables these are. Whether they are still there is for the caller to find out, once: this is called
-- for each document that is written.
CREATE OR REPLACE FUNCTION colbert._plaid_near_sql(index colbert._index, lists integer)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_near_sql$
BEGIN
  RETURN CASE
    WHEN index.part IS NULL THEN format('%s AS c', colbert._registered_table(index, 'centroids'))
    ELSE format('(SELECT l.id FROM %s AS l WHERE l.part OPERATOR(pg_catalog.=) %s'
                '  ORDER BY l.centre OPERATOR(%I.<#>) q.token LIMIT %s) AS l'
                ' JOIN %s AS c ON c.list_id OPERATOR(pg_catalog.=) l.id',
                colbert._registered_table(index, 'lists'), index.part, colbert._vector_schema(), lists,
                colbert._registered_table(index, 'centroids'))
  END;
END
$_plaid_near_sql$;

COMMENT ON FUNCTION colbert._plaid_near_sql(colbert._index, integer) IS
  'SQL for the centroids among which those nearest to a token are, of an index or of a part of it.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_nearest.sql
-- The nearest centroid of each token of a document, in the order of the tokens; a build finds those of many documents in
-- another way (_plaid_descend_sql). centroids is SQL for those that are looked at (_plaid_near_sql). Two lists of
-- pgvector's index, or of a part, hold the nearest for four tokens in five, and one almost as near for the fifth. Measured with 75,000 centroids:
--
--   lists       time of a token     nearest of all     similarity to the one found
--   1           36 us               .69                .794
--   2           54 us               .81                .808
--   3           72 us               .86                .814
--   5           109 us              .91                .819
--   all                             1                  .825
--
-- A search finds as much with two as with three (recall@100 .947 and .948 in the same time), and less with one (.929). Of
-- 8,000 centroids, three lists had the nearest for .84 of the tokens, hnsw with 8 neighbours for .89 in 1.3 times the
-- time, with 20 for .96 in 2.5 times.
CREATE OR REPLACE FUNCTION colbert._plaid_nearest(centroids text, tokens anyarray)
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000000
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off
SET enable_mergejoin = off
SET jit = off
SET max_parallel_workers_per_gather = 0
SET ivfflat.probes = 2
SET hnsw.ef_search = 10
AS $_plaid_nearest$
DECLARE
  _nearest integer[];
BEGIN
  EXECUTE format(
    'SELECT array_agg((SELECT c.id FROM %1$s ORDER BY c.centroid OPERATOR(%2$I.<#>) q.token LIMIT 1) ORDER BY q.position)'
    '  FROM (SELECT colbert._direction(u.token)::%2$I.halfvec AS token, u.position'
    '          FROM unnest($1) WITH ORDINALITY AS u (token, position) OFFSET 0) AS q',
    centroids, colbert._vector_schema())
     INTO _nearest
    USING tokens;
  RETURN _nearest;
END
$_plaid_nearest$;

COMMENT ON FUNCTION colbert._plaid_nearest(text, anyarray) IS
  'The id of the nearest centroid of each token.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_centroid_ids.sql
-- The centroids under which a document is filed.
CREATE OR REPLACE FUNCTION colbert._plaid_centroid_ids(index colbert._index, embeddings anyarray)
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000000
SET search_path = pg_catalog, pg_temp
AS $_plaid_centroid_ids$
BEGIN
  RETURN ARRAY(SELECT DISTINCT n.id
                 FROM unnest(colbert._plaid_nearest(colbert._plaid_near_sql(index, 2), embeddings)) AS n (id)
                ORDER BY n.id);
END
$_plaid_centroid_ids$;

COMMENT ON FUNCTION colbert._plaid_centroid_ids(colbert._index, anyarray) IS
  'The ids of the centroids under which a document is filed, each once.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_descend_sql.sql
-- SQL for the nearest centroid of many tokens: columns id and token, as tokens has them, and centroid_id. The tree
-- (_plaid_build_tree) is walked from its root, with all tokens at once, and so many levels down; less than all of them give
-- nodes in place of centroids.
--
-- What takes a hundred nanoseconds as two rows that a join brings together takes twenty as two columns of one row. So the
-- points of a node become columns, p1, p2 and so on, NULL where it has fewer than others. They are compared with the token
-- in d1, d2 and so on, LEAST says how far the nearest is, and CASE which one it is. (OFFSET 0 has each computed once, and
-- trim_array has an array read once, and not for each of its elements.)
CREATE OR REPLACE FUNCTION colbert._plaid_descend_sql(index colbert._index, tokens text, levels integer DEFAULT 3)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_descend_sql$
DECLARE
  _nodes regclass := colbert._registered_table(index, 'nodes');
  _reached text := format('SELECT t.id, t.token, 0 AS node FROM (%s) AS t', tokens);
  _width integer;
BEGIN
  FOR _level IN 0 .. levels - 1 LOOP
    EXECUTE format('SELECT coalesce(max(cardinality(n.ids)), 1) FROM %s AS n WHERE n.part = $1 AND n.level = $2', _nodes)
       INTO _width
      USING coalesce(index.part, 0), _level;
    SELECT format(
             'SELECT l.id, l.token, l.ids[CASE l.least %4$s END] AS node '
             '  FROM (SELECT d.*, LEAST(%3$s) AS least '
             '          FROM (SELECT t.id, t.token, n.ids, %2$s '
             '                  FROM (%5$s) AS t '
             '                  JOIN (SELECT r.id, r.ids, %1$s '
             '                          FROM (SELECT n.id, n.ids, trim_array(n.points, 0) AS points '
             '                                  FROM %6$s AS n WHERE n.part = %7$s AND n.level = %8$s ORDER BY n.id OFFSET 0) AS r '
             '                         ORDER BY r.id OFFSET 0) AS n ON n.id = t.node OFFSET 0) AS d OFFSET 0) AS l OFFSET 0',
             string_agg(format('r.points[%1$s] AS p%1$s', i), ', '),
             string_agg(format('n.p%1$s OPERATOR(%2$I.<#>) t.token AS d%1$s', i, colbert._vector_schema()), ', '),
             string_agg(format('d%s', i), ', '),
             string_agg(format('WHEN l.d%1$s THEN %1$s', i), ' '),
             _reached, _nodes, coalesce(index.part, 0), _level)
      INTO _reached
      FROM generate_series(1, _width) AS i;
  END LOOP;
  RETURN format('SELECT r.id, r.token, r.node AS centroid_id FROM (%s) AS r', _reached);
END
$_plaid_descend_sql$;

COMMENT ON FUNCTION colbert._plaid_descend_sql(colbert._index, text, integer) IS
  'SQL for the nearest centroid of many tokens at once, by the tree of the centroids.';

CREATE OR REPLACE FUNCTION colbert._plaid_failed(state text, message text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_failed$
BEGIN
  RAISE EXCEPTION '%', message
    USING ERRCODE = state,
          HINT = 'This happened while centroids were trained, or documents filed under them.';
END
$_plaid_failed$;

COMMENT ON FUNCTION colbert._plaid_failed(text, text) IS
  'Raises an error again, without the statement that it was in.';

-- Runs such a statement. The tokens are sorted by the node that they have come to, and merged with the nodes: so the points
-- of a node stay in the processor's cache until all its tokens are compared. (The planner knows neither how wide nodes are
-- nor how many tokens come to each.) The settings are for this statement alone: under them, PostgreSQL would find the plans
-- that it keeps for queries of other functions too dear, and make them anew in each search of the session.
--
-- An error tells what it says, and not where: that would be the statement, hundreds of kilobytes of it.
CREATE OR REPLACE FUNCTION colbert._plaid_run(statement text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_nestloop = off
SET enable_hashjoin = off
SET jit = off
AS $_plaid_run$
BEGIN
  EXECUTE statement;
EXCEPTION WHEN OTHERS OR query_canceled THEN
  PERFORM colbert._plaid_failed(SQLSTATE, SQLERRM);
END
$_plaid_run$;

COMMENT ON FUNCTION colbert._plaid_run(text) IS
  'Runs a statement that walks the tree of centroids.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_build_tree.sql
-- The tree by which a build finds the nearest of many centroids (_plaid_descend_sql), as in Nistér and Stewénius,
-- Scalable Recognition with a Vocabulary Tree (2006). Its root has a cube root of the centroids as nodes below it, each of
-- these has so many again, and each of those so many centroids. Nodes are drawn at random from the points below them, and
-- moved once to the mean of those that are nearest. A node or a centroid is below the eight nodes above that are nearest to
-- it (Liu et al., An Investigation of Practical Approximate Nearest Neighbor Algorithms, 2004): so it is found from the
-- other side of a border, too.
--
--   centroids   nodes above     nearest of all     similarity to the one found     points compared
--   17,800      8 and 8         .89                .807 (of .818)                  490
--               5 and 4         .81                .794                            300
--   200,000     8 and 8         .82                .840 (of .854)                  1,220
--               6 and 5         .77                .833                            850
--               5 and 4         .73                .828                            710
--
-- pgvector's two lists have .80 of the 200,000, and .835. With five and four, searches of a million documents found .975 of
-- the best ten where they had found .989. Nodes that are not moved have two thirds of the nearest, with five and four.
--
-- points is SQL for the ids and points of the centroids.
CREATE OR REPLACE FUNCTION colbert._plaid_build_tree(index colbert._index, points text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $_plaid_build_tree$
DECLARE
  _fan_out float8;
  _twigs integer;
  _operator text := format('OPERATOR(%I.<#>)', colbert._vector_schema());
BEGIN
  PERFORM colbert._plaid_fell_tree(index);
  EXECUTE format('SELECT cbrt(count(*)) FROM (%s) AS p', points) INTO _fan_out;
  _twigs := ceil(_fan_out * _fan_out);
  EXECUTE format('CREATE TEMPORARY TABLE colbert_twigs AS SELECT row_number() OVER ()::integer AS id, d.point '
                 '  FROM (SELECT p.point FROM (%s) AS p ORDER BY random() LIMIT $1) AS d', points)
    USING _twigs;
  EXECUTE 'CREATE TEMPORARY TABLE colbert_boughs AS SELECT row_number() OVER ()::integer AS id, d.point '
          '  FROM (SELECT t.point FROM pg_temp.colbert_twigs AS t ORDER BY random() LIMIT $1) AS d'
    USING ceil(_fan_out);
  PERFORM colbert._plaid_move_nodes(
    index, 'colbert_boughs',
    format('SELECT t.point AS token, '
           '       (SELECT b.id FROM pg_temp.colbert_boughs AS b ORDER BY b.point %s t.point LIMIT 1) AS centroid_id '
           '  FROM pg_temp.colbert_twigs AS t', _operator));
  PERFORM colbert._plaid_branch(index);
  PERFORM colbert._plaid_move_nodes(
    index, 'colbert_twigs',
    colbert._plaid_descend_sql(index, format('SELECT p.id, p.point AS token FROM (%s) AS p', points), 2));
  PERFORM colbert._plaid_branch(index);

  -- A twig below which there is no centroid would be the end of a token's way.
  PERFORM colbert._plaid_add_nodes(
    index, 2, _twigs,
    format('SELECT p.id, p.token AS point, t.id AS node, t.distance '
           '  FROM (%1$s) AS p '
           '  JOIN %2$s AS n ON n.part = %3$s AND n.level = 1 AND n.id = p.centroid_id '
           ' CROSS JOIN LATERAL (SELECT u.id, u.point %4$s p.token AS distance '
           '                       FROM unnest(n.ids, n.points) AS u (id, point) ORDER BY distance LIMIT 8) AS t',
           colbert._plaid_descend_sql(index, format('SELECT p.id, p.point AS token FROM (%s) AS p', points), 1),
           colbert._derived_table(index, 'nodes'), coalesce(index.part, 0), _operator));
  EXECUTE format('DELETE FROM pg_temp.colbert_twigs AS t '
                 ' WHERE NOT EXISTS (SELECT FROM %s AS n WHERE n.part = $1 AND n.level = 2 AND n.id = t.id)',
                 colbert._derived_table(index, 'nodes'))
    USING coalesce(index.part, 0);
  PERFORM colbert._plaid_branch(index);
  DROP TABLE pg_temp.colbert_twigs, pg_temp.colbert_boughs;
END
$_plaid_build_tree$;

COMMENT ON FUNCTION colbert._plaid_build_tree(colbert._index, text) IS
  'Puts centroids in a tree, by which a build finds the nearest.';

-- The root, and the nodes below it, from the temporary tables of boughs and twigs. A bough without twigs is not below the
-- root.
CREATE OR REPLACE FUNCTION colbert._plaid_branch(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_branch$
DECLARE
  _nodes regclass := colbert._derived_table(index, 'nodes');
  _boughs integer;
BEGIN
  EXECUTE format('DELETE FROM %s AS n WHERE n.part = $1 AND n.level < 2', _nodes) USING coalesce(index.part, 0);
  SELECT count(*) INTO _boughs FROM pg_temp.colbert_boughs;
  PERFORM colbert._plaid_add_nodes(
    index, 1, _boughs,
    format('SELECT t.id, t.point, b.id AS node, b.distance '
           '  FROM pg_temp.colbert_twigs AS t '
           ' CROSS JOIN LATERAL (SELECT b.id, b.point OPERATOR(%I.<#>) t.point AS distance '
           '                       FROM pg_temp.colbert_boughs AS b ORDER BY distance LIMIT 8) AS b',
           colbert._vector_schema()));
  PERFORM colbert._plaid_add_nodes(
    index, 0, 1,
    format('SELECT b.id, b.point, 0 AS node, 0 AS distance FROM pg_temp.colbert_boughs AS b '
           '  JOIN %s AS n ON n.part = %s AND n.level = 1 AND n.id = b.id', _nodes, coalesce(index.part, 0)));
END
$_plaid_branch$;

COMMENT ON FUNCTION colbert._plaid_branch(colbert._index) IS
  'Makes the upper nodes of the tree of centroids anew.';

-- below is SQL for points, with their ids, and the nodes above them, with their distances. A node gets the nearest ones, at most
-- twice as many as one of so many nodes has on average: the points of the largest would be columns of the others, too. A row
-- of a statement has at most 1,664 columns.
CREATE OR REPLACE FUNCTION colbert._plaid_add_nodes(index colbert._index, level integer, nodes integer, below text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_add_nodes$
BEGIN
  PERFORM colbert._plaid_run(format(
    'INSERT INTO %s (part, level, id, ids, points) '
    'SELECT %s, %s, b.node, array_agg(b.id), array_agg(b.point) '
    '  FROM (SELECT b.*, row_number() OVER (PARTITION BY b.node ORDER BY b.distance) AS rank, count(*) OVER () AS points '
    '          FROM (%s) AS b) AS b '
    ' WHERE b.rank <= least(1500, 1 + 2 * b.points / %s) GROUP BY b.node',
    colbert._derived_table(index, 'nodes'), coalesce(index.part, 0), level, below, nodes));
END
$_plaid_add_nodes$;

COMMENT ON FUNCTION colbert._plaid_add_nodes(colbert._index, integer, integer, text) IS
  'Makes the nodes of a level of the tree of centroids.';

-- Those that are nearest to no point stay where they are.
CREATE OR REPLACE FUNCTION colbert._plaid_move_nodes(index colbert._index, nodes text, below text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_move_nodes$
BEGIN
  PERFORM colbert._plaid_run(format('UPDATE pg_temp.%I AS n SET point = m.centroid FROM (%s) AS m WHERE m.id = n.id',
                                    nodes, colbert._plaid_means_sql(index, below)));
END
$_plaid_move_nodes$;

COMMENT ON FUNCTION colbert._plaid_move_nodes(colbert._index, text, text) IS
  'Moves nodes in a temporary table to the means of the points that are nearest to them.';

CREATE OR REPLACE FUNCTION colbert._plaid_fell_tree(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_fell_tree$
BEGIN
  EXECUTE format('DELETE FROM %s AS n WHERE n.part = $1', colbert._derived_table(index, 'nodes')) USING coalesce(index.part, 0);
END
$_plaid_fell_tree$;

COMMENT ON FUNCTION colbert._plaid_fell_tree(colbert._index) IS
  'Takes the tree of the centroids of an index away, or that of a part.';

-- When a build is done, the disk space of the trees goes, too, unless somebody is at work on the table, such as pg_dump.
CREATE OR REPLACE FUNCTION colbert._plaid_clear_trees(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $_plaid_clear_trees$
DECLARE
  _nodes regclass := colbert._derived_table(index, 'nodes');
BEGIN
  EXECUTE format('TRUNCATE %s', _nodes);
EXCEPTION WHEN lock_not_available THEN
  EXECUTE format('DELETE FROM %s', _nodes);
END
$_plaid_clear_trees$;

COMMENT ON FUNCTION colbert._plaid_clear_trees(colbert._index) IS
  'Takes the trees of centroids away, when a build is done.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_train.sql
-- The centroids: tokens drawn at random, each moved once to the mean of the tokens of a sample that are nearest to it
-- (a round of spherical k-means). Measured on SciFact: one round finds .96 of the true top ten among 75 candidates,
-- where unmoved tokens find .94; three rounds find no more than one.
CREATE OR REPLACE FUNCTION colbert._plaid_train(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $_plaid_train$
DECLARE
  _centroids regclass := colbert._derived_table(index, 'centroids');
  _sample_per_centroid constant integer := 4;
  _tokens bigint := colbert._plaid_estimated_tokens(index);
  _wanted integer := colbert._plaid_trained_centroids(index, _tokens);
BEGIN
  PERFORM colbert._report_progress(index, 'drawing tokens for centroids');
  EXECUTE format(
    'CREATE TEMPORARY TABLE colbert_sample AS '
    'SELECT row_number() OVER (ORDER BY random())::integer AS id, d.token '
    '  FROM (SELECT DISTINCT colbert._direction(u.token)::%s AS token '
    '          FROM %s AS s CROSS JOIN LATERAL unnest(s.%I) AS u (token) '
    '         WHERE random() * $1 < $2 '
    '           AND (colbert._document_problem(s.%3$I, $3, $4)).problem IS NULL) AS d',
    colbert._plaid_type(index), colbert._source_sql(index), index.embeddings)
    USING _tokens::float8, (_wanted * _sample_per_centroid)::float8, index.dimensions, colbert._normalized(index);

  PERFORM colbert._report_progress(index, 'training centroids'),
          colbert._plaid_build_tree(
            index, format('SELECT s.id, s.token AS point FROM pg_temp.colbert_sample AS s WHERE s.id <= %s', _wanted));
  PERFORM colbert._plaid_run(
    'CREATE TEMPORARY TABLE colbert_means AS '
    || colbert._plaid_means_sql(
         index, colbert._plaid_descend_sql(index, 'SELECT s.id, s.token FROM pg_temp.colbert_sample AS s')));
  -- Tokens that cancel each other out have no mean. Where there are no others, they are centroids themselves.
  INSERT INTO pg_temp.colbert_means
    SELECT s.id, s.token FROM pg_temp.colbert_sample AS s
     WHERE s.id <= _wanted AND NOT EXISTS (SELECT FROM pg_temp.colbert_means);
  IF index.part IS NULL THEN
    EXECUTE format('INSERT INTO %s (centroid, trained) SELECT m.centroid, true FROM pg_temp.colbert_means AS m', _centroids);
    PERFORM colbert._plaid_index_centroids(_centroids, _wanted);
  ELSE
    PERFORM colbert._plaid_list_centroids(index);
  END IF;
  DROP TABLE pg_temp.colbert_sample, pg_temp.colbert_means;
  PERFORM colbert._plaid_build_tree(index, format('SELECT c.id, c.centroid AS point FROM %s AS c%s',
                                                  _centroids, ' WHERE c.part = ' || index.part));
END
$_plaid_train$;

COMMENT ON FUNCTION colbert._plaid_train(colbert._index) IS
  'Adds trained centroids for the documents of the source, and builds pgvector''s index on them, or their lists, and their tree.';

-- SQL for the means of tokens, by their nearest centroids. filed is SQL for both.
CREATE OR REPLACE FUNCTION colbert._plaid_means_sql(index colbert._index, filed text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT f.centroid_id AS id, %1$I.l2_normalize(%1$I.avg(f.token))::%2$s AS centroid '
  '  FROM (%3$s) AS f GROUP BY f.centroid_id HAVING %1$I.l2_norm(%1$I.avg(f.token)) > 0',
  colbert._vector_schema(), colbert._plaid_type(index), filed);

COMMENT ON FUNCTION colbert._plaid_means_sql(colbert._index, text) IS
  'SQL for the means of tokens, by their nearest centroids.';

-- The centroids of a part, from the temporary table of means, and their lists: 3 * sqrt(centroids) of these, as pgvector's
-- index has for a whole index. Their centres are centroids drawn at random, each moved to the mean of those nearest to it.
CREATE OR REPLACE FUNCTION colbert._plaid_list_centroids(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_list_centroids$
DECLARE
  _lists regclass := colbert._derived_table(index, 'lists');
BEGIN
  CREATE TEMPORARY TABLE colbert_centres AS
    SELECT row_number() OVER ()::integer AS id, m.centroid
      FROM (SELECT d.centroid FROM pg_temp.colbert_means AS d ORDER BY random()
             LIMIT (SELECT ceil(3 * sqrt(count(*))) FROM pg_temp.colbert_means)) AS m;
  EXECUTE format('INSERT INTO %s (part, centre) SELECT %s, m.centroid FROM (%s) AS m',
                 _lists, index.part,
                 colbert._plaid_means_sql(index, format(
                   'SELECT m.centroid AS token, '
                   '       (SELECT c.id FROM pg_temp.colbert_centres AS c '
                   '         ORDER BY c.centroid OPERATOR(%I.<#>) m.centroid LIMIT 1) AS centroid_id '
                   '  FROM pg_temp.colbert_means AS m', colbert._vector_schema())));
  EXECUTE format('INSERT INTO %1$s (centroid, trained, part, list_id) '
                 'SELECT m.centroid, true, %2$s, '
                 '       (SELECT l.id FROM %3$s AS l WHERE l.part = %2$s ORDER BY l.centre OPERATOR(%4$I.<#>) m.centroid LIMIT 1)'
                 '  FROM pg_temp.colbert_means AS m',
                 colbert._derived_table(index, 'centroids'), index.part, _lists, colbert._vector_schema());
  DROP TABLE pg_temp.colbert_centres;
  -- The planner must know the lists before documents are filed by them.
  EXECUTE format('ANALYZE %s, %s', _lists, colbert._derived_table(index, 'centroids'));
END
$_plaid_list_centroids$;

COMMENT ON FUNCTION colbert._plaid_list_centroids(colbert._index) IS
  'Puts the trained centroids of a part of an index in lists.';

-- The size of the arrays tells, so that they need not be read.
CREATE OR REPLACE FUNCTION colbert._plaid_estimated_tokens(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_estimated_tokens$
DECLARE
  _element text := (colbert._source_types(index)).element;
  _tokens bigint;
BEGIN
  EXECUTE format('SELECT ceil(sum(pg_column_size(s.%I) - 24.0) / $1) FROM %s AS s '
                 ' WHERE pg_column_size(s.%1$I) > 24', index.embeddings, colbert._source_sql(index))
     INTO _tokens
    USING 8 + CASE WHEN _element = 'bit' THEN 4 * ceil(index.dimensions / 32.0)
                   WHEN _element LIKE '%halfvec' THEN 2 * index.dimensions
                   ELSE 4 * index.dimensions END;
  RETURN coalesce(_tokens, 0);
END
$_plaid_estimated_tokens$;

COMMENT ON FUNCTION colbert._plaid_estimated_tokens(colbert._index) IS
  'About how many tokens the documents of a source have.';

CREATE OR REPLACE FUNCTION colbert._plaid_trained_centroids(index colbert._index, tokens bigint)
RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(tokens, coalesce((index.options ->> 'centroids')::integer, colbert._plaid_wanted_centroids(tokens)));

COMMENT ON FUNCTION colbert._plaid_trained_centroids(colbert._index, bigint) IS
  'How many centroids are trained for so many tokens.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_post.sql
-- The postings of all documents, or of those of a part.
CREATE OR REPLACE FUNCTION colbert._plaid_post(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_post$
BEGIN
  EXECUTE format('INSERT INTO %1$s (centroid_id, ordinal%3$s) '
                 'SELECT unnest(d.centroid_ids) AS centroid_id, d.ordinal%3$s FROM %2$s AS d%4$s ORDER BY 1, 2',
                 colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'),
                 CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN ', part' END, ' WHERE d.part = ' || index.part);
END
$_plaid_post$;

COMMENT ON FUNCTION colbert._plaid_post(colbert._index) IS
  'Writes the postings of the documents that were filed.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_build_part_step.sql
-- The first step finds the tenants that get a part, the largest first. Each step after that makes one part. The last one
-- makes the planner see them.
--
-- A part is trained, and its documents are filed. A build that keeps what has not outgrown the index (_plaid_former) takes
-- such parts over as they are, with the ids of their centroids: this reads and writes rows, and compares no vectors.
CREATE OR REPLACE FUNCTION colbert._plaid_build_part_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_part_step$
DECLARE
  _tenants regclass := colbert._derived_table(index, 'tenants');
  _documents regclass := colbert._derived_table(index, 'documents');
  _former colbert._index := colbert._plaid_former(index);
  _tenant text;
  _kept boolean;
BEGIN
  IF step = 1 THEN
    PERFORM colbert._plaid_skip_numbers(index, _former);
    EXECUTE format('INSERT INTO %s (part, tenant, documents, centroids, postings) OVERRIDING SYSTEM VALUE '
                   'SELECT coalesce(t.part, nextval(%L)), t.tenant, coalesce(t.filed, 0), coalesce(t.centroids, 0), '
                   '       coalesce(t.postings, 0) '
                   '  FROM (%s) AS t ORDER BY t.documents DESC LIMIT $1',
                   _tenants, pg_get_serial_sequence(_tenants::text, 'part'),
                   colbert._plaid_tenants_sql(index, _former))
      USING steps - 2;
    EXECUTE format('ANALYZE %s', _tenants);
    RETURN;
  ELSIF step = steps THEN
    PERFORM colbert._plaid_clear_trees(index);
    EXECUTE format('ANALYZE %s, %s, %s, %s, %s', _tenants, _documents, colbert._derived_table(index, 'postings'),
                   colbert._derived_table(index, 'lists'), colbert._derived_table(index, 'centroids'));
    RETURN;
  END IF;

  EXECUTE format('SELECT t.tenant::text, t.documents > 0 AND EXISTS (SELECT FROM %s AS f WHERE f.part = t.part) '
                 '  FROM %s AS t ORDER BY t.part OFFSET $1 - 2 LIMIT 1',
                 colbert._derived_table(_former, 'tenants'), _tenants)
     INTO _tenant, _kept
    USING step;
  IF _kept THEN
    PERFORM colbert._plaid_keep_part(colbert._part_of(index, _tenant), _former);
  ELSIF _tenant IS NOT NULL THEN  -- there may be fewer than there were when the steps were counted
    PERFORM colbert._plaid_build_part(colbert._part_of(index, _tenant));
  END IF;
END
$_plaid_build_part_step$;

COMMENT ON FUNCTION colbert._plaid_build_part_step(colbert._index, integer, integer) IS
  'Finds the tenants that get a part of the index, or makes one part.';

CREATE OR REPLACE FUNCTION colbert._plaid_build_part(part colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_part$
DECLARE
  _documents regclass := colbert._derived_table(part, 'documents');
BEGIN
  PERFORM colbert._plaid_train(part);
  EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest, part) '
                 'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest, $2 FROM colbert._plaid_filed($1, 1, 1) AS a',
                 _documents, (colbert._source_types(part)).key_type)
    USING part, part.part;
  PERFORM colbert._plaid_post(part),
          colbert._plaid_fell_tree(part);
  EXECUTE format('UPDATE %s AS t '
                 '   SET documents = d.documents, postings = d.postings, '
                 '       centroids = (SELECT count(*) FROM %s AS c JOIN %s AS l ON l.id = c.list_id WHERE l.part = $1) '
                 '  FROM (SELECT count(*) AS documents, coalesce(sum(cardinality(d.centroid_ids)), 0) AS postings '
                 '          FROM %s AS d WHERE d.part = $1) AS d '
                 ' WHERE t.part = $1',
                 colbert._derived_table(part, 'tenants'), colbert._derived_table(part, 'centroids'),
                 colbert._derived_table(part, 'lists'), _documents)
    USING part.part;
END
$_plaid_build_part$;

COMMENT ON FUNCTION colbert._plaid_build_part(colbert._index) IS
  'Trains a part of an index, and files its documents.';

-- Documents get new ordinals: the former ones are given out further while this build goes on.
CREATE OR REPLACE FUNCTION colbert._plaid_keep_part(part colbert._index, former colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_keep_part$
DECLARE
  _lists regclass := colbert._derived_table(former, 'lists');
BEGIN
  EXECUTE format('INSERT INTO %s (id, part, centre) OVERRIDING SYSTEM VALUE '
                 'SELECT l.id, l.part, l.centre FROM %s AS l WHERE l.part = $1',
                 colbert._derived_table(part, 'lists'), _lists)
    USING part.part;
  EXECUTE format('INSERT INTO %s (id, centroid, trained, part, list_id) OVERRIDING SYSTEM VALUE '
                 'SELECT c.id, c.centroid, c.trained, c.part, c.list_id FROM %s AS l JOIN %s AS c ON c.list_id = l.id '
                 ' WHERE l.part = $1',
                 colbert._derived_table(part, 'centroids'), _lists, colbert._derived_table(former, 'centroids'))
    USING part.part;
  EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest, part) '
                 'SELECT d.doc_id, d.tokens, d.centroid_ids, d.digest, d.part FROM %s AS d WHERE d.part = $1',
                 colbert._derived_table(part, 'documents'), colbert._derived_table(former, 'documents'))
    USING part.part;
  PERFORM colbert._plaid_post(part);
END
$_plaid_keep_part$;

COMMENT ON FUNCTION colbert._plaid_keep_part(colbert._index, colbert._index) IS
  'Takes a part over from the tables that an index had before.';

-- Numbers of parts, lists and centroids that are taken over keep clear of new ones.
CREATE OR REPLACE FUNCTION colbert._plaid_skip_numbers(index colbert._index, former colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_skip_numbers$
DECLARE
  _name text;
  _column text;
BEGIN
  FOR _name, _column IN VALUES ('tenants', 'part'), ('lists', 'id'), ('centroids', 'id') LOOP
    EXECUTE format('SELECT setval(%L, max(f.%I)) FROM %s AS f HAVING count(*) > 0',
                   pg_get_serial_sequence(colbert._derived_table(index, _name)::text, _column), _column,
                   colbert._derived_table(former, _name));
  END LOOP;
END
$_plaid_skip_numbers$;

COMMENT ON FUNCTION colbert._plaid_skip_numbers(colbert._index, colbert._index) IS
  'Lets the new numbers of an index that is built begin after those of the tables that it had before.';

-- The index as it is searched while it is built anew, where the build keeps what has not outgrown it. Else the index
-- itself, which has nothing to take over yet.
CREATE OR REPLACE FUNCTION colbert._plaid_former(index colbert._index)
RETURNS colbert._index
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT coalesce((SELECT i
                     FROM colbert._index AS i
                     JOIN colbert._build AS b ON b.index_id = i.id
                    WHERE i.id = index.id AND b.keeps),
                  index);
END;

COMMENT ON FUNCTION colbert._plaid_former(colbert._index) IS
  'The index from which parts may be taken over.';

CREATE OR REPLACE FUNCTION colbert._plaid_large_tenants_sql(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT s.%1$I AS tenant, count(*) AS documents FROM %2$s AS s WHERE pg_column_size(s.%3$I) > 24 '
  ' GROUP BY s.%1$I HAVING count(*) >= %4$s',
  colbert._tenant_column(index), index.source, index.embeddings, colbert._plaid_few_documents());

COMMENT ON FUNCTION colbert._plaid_large_tenants_sql(colbert._index) IS
  'SQL for the tenants with enough documents for a part of the index, and how many they have.';

-- The tenants with enough documents for a part of the index, and how many these are; with the part that they have, and
-- how many documents were filed as that was built, unless there are more than twice as many by now.
CREATE OR REPLACE FUNCTION colbert._plaid_tenants_sql(index colbert._index, former colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT g.tenant, g.documents, t.part, t.documents AS filed, t.centroids, t.postings FROM (%s) AS g '
  '  LEFT JOIN %s AS t ON t.tenant = g.tenant AND g.documents <= 2 * t.documents',
  colbert._plaid_large_tenants_sql(index), colbert._derived_table(former, 'tenants'));

COMMENT ON FUNCTION colbert._plaid_tenants_sql(colbert._index, colbert._index) IS
  'SQL for the tenants with enough documents for a part of the index, and the parts that they have and have not outgrown.';

CREATE OR REPLACE FUNCTION colbert._plaid_large_tenants(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_large_tenants$
DECLARE
  _count integer;
BEGIN
  IF colbert._tenant_column(index) IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM (%s) AS t', colbert._plaid_large_tenants_sql(index)) INTO _count;
  END IF;
  RETURN _count;
END
$_plaid_large_tenants$;

COMMENT ON FUNCTION colbert._plaid_large_tenants(colbert._index) IS
  'How many tenants have enough documents for a part of the index; NULL where it is not kept apart.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_build_step.sql
-- The first step trains the centroids on what is in the source. Each step after that files a batch of documents, in
-- parallel workers where the server has them. The last one writes the postings of all. A build that keeps what was learned
-- takes centroids and documents over in the first step. An index that is kept apart is built part by part
-- (_plaid_build_part_step).
CREATE OR REPLACE FUNCTION colbert._plaid_build_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_step$
DECLARE
  _former colbert._index := colbert._plaid_former(index);
BEGIN
  IF colbert._tenant_column(index) IS NOT NULL THEN
    PERFORM colbert._plaid_build_part_step(index, step, steps);
  ELSIF step = 1 AND _former.tables <> index.tables THEN
    PERFORM colbert._plaid_keep(index, _former);
  ELSIF step = 1 THEN
    PERFORM colbert._plaid_train(index);
  ELSIF step < steps THEN
    EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest) '
                   'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest '
                   '  FROM colbert._plaid_filed($1, $2, $3) AS a',
                   colbert._derived_table(index, 'documents'), (colbert._source_types(index)).key_type)
      USING index, step - 1, steps - 2;
  ELSE
    PERFORM colbert._plaid_post(index),
            colbert._plaid_clear_trees(index);
    EXECUTE format('ANALYZE %s, %s', colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
  END IF;
END
$_plaid_build_step$;

COMMENT ON FUNCTION colbert._plaid_build_step(colbert._index, integer, integer) IS
  'Trains centroids, files a batch of the source''s documents, or writes the postings.';

-- Each batch reads the tree of centroids anew, which takes as long as filing one token for three or four centroids.
CREATE OR REPLACE FUNCTION colbert._plaid_batches(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT least(100, 1 + e.tokens / (10 * greatest(1, colbert._plaid_trained_centroids(index, e.tokens))))
    FROM (SELECT colbert._plaid_estimated_tokens(index)) AS e (tokens);
END;

COMMENT ON FUNCTION colbert._plaid_batches(colbert._index) IS
  'The number of batches in which documents are filed.';

CREATE OR REPLACE FUNCTION colbert._plaid_build_steps(index colbert._index)
RETURNS integer
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
RETURN 2 + coalesce(colbert._plaid_large_tenants(index),
                    CASE WHEN (colbert._plaid_former(index)).tables <> index.tables THEN 0 ELSE colbert._plaid_batches(index) END);

COMMENT ON FUNCTION colbert._plaid_build_steps(colbert._index) IS
  'In how many steps a plaid index is built.';

-- One statement copies both: they are of one snapshot, whatever is done to the former tables meanwhile. Documents that
-- change later are in the table of changes.
CREATE OR REPLACE FUNCTION colbert._plaid_keep(index colbert._index, former colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_keep$
DECLARE
  _centroids regclass := colbert._derived_table(index, 'centroids');
  _count record;
BEGIN
  EXECUTE format(
    'WITH centroid AS ('
    '  INSERT INTO %s (id, centroid, trained) OVERRIDING SYSTEM VALUE SELECT c.id, c.centroid, c.trained FROM %s AS c) '
    'INSERT INTO %s (doc_id, tokens, centroid_ids, digest) '
    'SELECT d.doc_id, d.tokens, d.centroid_ids, d.digest FROM %s AS d ORDER BY d.ordinal',
    _centroids, colbert._derived_table(former, 'centroids'),
    colbert._derived_table(index, 'documents'), colbert._derived_table(former, 'documents'));
  EXECUTE format('SELECT setval(%L, max(c.id)) FROM %s AS c HAVING count(*) > 0',
                 pg_get_serial_sequence(_centroids::text, 'id'), _centroids);
  _count := colbert._plaid_centroid_count(index);
  PERFORM colbert._plaid_index_centroids(_centroids, _count.trained + _count.grown);
END
$_plaid_keep$;

COMMENT ON FUNCTION colbert._plaid_keep(colbert._index, colbert._index) IS
  'Takes centroids and documents over from the tables that an index had before.';

-- One batch of the source's documents as they are filed, by as many processes as a statement may have: each files a part
-- of the batch by itself. (What the planner expects of each is too little, and would have it file all in one process.)
-- They sort three times, and share the memory that other builds get. Bad documents are left out.
CREATE OR REPLACE FUNCTION colbert._plaid_filed(index colbert._index, batch integer, batches integer)
RETURNS TABLE (doc_id text, tokens integer, centroid_ids integer[], digest bytea)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET parallel_setup_cost = 0
SET parallel_tuple_cost = 0
SET work_mem = '4MB'
AS $_plaid_filed$
DECLARE
  _processes integer := 1 + current_setting('max_parallel_workers_per_gather')::integer;
  _memory bigint := pg_size_bytes(current_setting('maintenance_work_mem')) / 1024;
  _statement text := format(
    'WITH document AS MATERIALIZED ('
    '  SELECT row_number() OVER () AS id, s.%1$I::text AS doc_id, s.%2$I AS embeddings '
    '    FROM %3$s AS s '
    '   WHERE %4$s '
    '     AND pg_column_size(s.%2$I) > 24 '
    '     AND (colbert._document_problem(s.%2$I, $4, $5)).problem IS NULL'
    '), filed AS ('
    '  SELECT n.id, array_agg(DISTINCT n.centroid_id) AS centroid_ids FROM (%5$s) AS n GROUP BY n.id) '
    'SELECT d.doc_id, cardinality(d.embeddings), f.centroid_ids, colbert._plaid_digest(d.embeddings) '
    '  FROM document AS d JOIN filed AS f ON f.id = d.id',
    index.key, index.embeddings, colbert._source_sql(index), colbert._in_batch_sql(index),
    colbert._plaid_descend_sql(
      index, format('SELECT d.id, colbert._direction(u.token)::%I.halfvec AS token '
                    '  FROM document AS d CROSS JOIN LATERAL unnest(d.embeddings) AS u (token)', colbert._vector_schema())));
BEGIN
  PERFORM set_config('work_mem', greatest(4096, _memory / (3 * _processes)) || 'kB', true);
  RETURN QUERY EXECUTE (
    SELECT string_agg(format('SELECT * FROM colbert._plaid_filed_alone($1, $2, %s, %s, $3, $4)',
                             (batch - 1) * _processes + i, batches * _processes), ' UNION ALL ')
      FROM generate_series(1, _processes) AS i)
    USING _statement, index, index.dimensions, colbert._normalized(index);
EXCEPTION WHEN OTHERS OR query_canceled THEN
  PERFORM colbert._plaid_failed(SQLSTATE, SQLERRM);
END
$_plaid_filed$;

COMMENT ON FUNCTION colbert._plaid_filed(colbert._index, integer, integer) IS
  'The documents of one of several batches of the source, with the centroids under which they are filed.';

-- In a process of its own, and under the settings of _plaid_run.
CREATE OR REPLACE FUNCTION colbert._plaid_filed_alone(
  statement text, index colbert._index, batch integer, batches integer, dimensions integer, normalized boolean)
RETURNS TABLE (doc_id text, tokens integer, centroid_ids integer[], digest bytea)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000000
SET search_path = pg_catalog, pg_temp
SET max_parallel_workers_per_gather = 0
SET enable_nestloop = off
SET enable_hashjoin = off
SET jit = off
AS $_plaid_filed_alone$
BEGIN
  RETURN QUERY EXECUTE statement USING index, batch, batches, dimensions, normalized;
END
$_plaid_filed_alone$;

COMMENT ON FUNCTION colbert._plaid_filed_alone(text, colbert._index, integer, integer, integer, boolean) IS
  'The documents of a batch, as a statement of _plaid_filed files them.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_rebuild.sql
-- Trains anew, on what is there now, or writes anew what is filed. Old rows are deleted and new ones inserted, so that every
-- search sees either the old ones or the new ones, whole. No search waits, except for the moment in which pgvector's old
-- index on the centroids goes. Ordinals begin at 1 again. The registry row is changed for the sake of _note_change.
CREATE OR REPLACE FUNCTION colbert._plaid_rebuild(index colbert._index, retrain boolean)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_rebuild$
DECLARE
  _old regclass := (colbert._pgvector_indexes(index, 'centroids', '{hnsw, ivfflat}'))[1];
  _name text;
BEGIN
  UPDATE colbert._index AS i SET tables = i.tables WHERE i.id = index.id;
  EXECUTE format('ALTER SEQUENCE %s RESTART',
                 pg_get_serial_sequence(colbert._derived_table(index, 'documents')::text, 'ordinal'));
  IF NOT retrain THEN
    PERFORM colbert._plaid_refile(index);
    RETURN;
  END IF;
  IF colbert._registered_table(index, 'nodes') IS NULL THEN  -- 0.2.0 made none
    PERFORM colbert._plaid_create_nodes(index);
    SELECT i.* INTO index FROM colbert._index AS i WHERE i.id = index.id;
  END IF;
  FOREACH _name IN ARRAY array_remove(array_remove(colbert._table_names(index), 'attempts'), 'changes') LOOP
    EXECUTE format('DELETE FROM %s', colbert._derived_table(index, _name));
  END LOOP;
  PERFORM colbert._method_build(index);
  IF _old IS NOT NULL THEN
    EXECUTE format('DROP INDEX %s', _old);
  END IF;
END
$_plaid_rebuild$;

COMMENT ON FUNCTION colbert._plaid_rebuild(colbert._index, boolean) IS
  'Trains centroids anew, unless they are to stay, and files every document under them, while searches go on.';

-- The sort takes all documents before the first one comes back: so no new ordinal meets an old one.
CREATE OR REPLACE FUNCTION colbert._plaid_refile(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_refile$
DECLARE
  _documents regclass := colbert._derived_table(index, 'documents');
  _postings regclass := colbert._derived_table(index, 'postings');
  _columns text := concat_ws(', ', 'doc_id', 'tokens', 'centroid_ids', 'digest',
                             CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN 'part' END);
BEGIN
  EXECUTE format('WITH filed AS (DELETE FROM %1$s RETURNING %2$s, ordinal) '
                 'INSERT INTO %1$s (%2$s) SELECT %2$s FROM filed ORDER BY ordinal', _documents, _columns);
  EXECUTE format('DELETE FROM %s', _postings);
  PERFORM colbert._plaid_post(index);
  EXECUTE format('ANALYZE %s, %s', _documents, _postings);
END
$_plaid_refile$;

COMMENT ON FUNCTION colbert._plaid_refile(colbert._index) IS
  'Files the documents anew under the centroids under which they are.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_last_ordinal.sql
-- A million less than an integer can be (_plaid_put).
CREATE OR REPLACE FUNCTION colbert._plaid_last_ordinal()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 2146483647;

COMMENT ON FUNCTION colbert._plaid_last_ordinal() IS
  'The last ordinal that a document may get.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_put.sql
-- Ordinals are integers, which end. Beyond the last one that is taken, a million are left: so many writes are told what
-- to do before the sequence says that it has none.
CREATE OR REPLACE FUNCTION colbert._plaid_put(index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_put$
DECLARE
  _ordinal integer;
BEGIN
  PERFORM colbert._plaid_grow(index, embeddings);
  EXECUTE format(
    'WITH document AS ('
    '  INSERT INTO %1$s (doc_id, tokens, centroid_ids, digest%4$s) '
    '  VALUES ($2::%2$s, cardinality($3), colbert._plaid_centroid_ids($1, $3), colbert._plaid_digest($3)%5$s) '
    '  RETURNING ordinal, centroid_ids'
    '), posting AS ('
    '  INSERT INTO %3$s (centroid_id, ordinal%4$s) SELECT unnest(d.centroid_ids), d.ordinal%5$s FROM document AS d) '
    'SELECT d.ordinal FROM document AS d',
    colbert._derived_table(index, 'documents'), (colbert._source_types(index)).key_type,
    colbert._derived_table(index, 'postings'),
    CASE WHEN index.part IS NOT NULL THEN ', part' END, ', ' || index.part)
     INTO _ordinal
    USING index, doc_id, embeddings;
  IF _ordinal > colbert._plaid_last_ordinal() THEN
    RAISE EXCEPTION 'the index on "%" has taken as many writes as it can count', index.source
      USING ERRCODE = 'program_limit_exceeded',
            HINT = format('CALL colbert.reindex_concurrently(%L, %L, retrain => false) counts from 1 again.',
                          index.source, index.embeddings);
  END IF;
END
$_plaid_put$;

COMMENT ON FUNCTION colbert._plaid_put(colbert._index, text, anyarray) IS
  'Files a new document under the centroids of its tokens.';

-- Lets the centroids grow with the tokens, from an empty table on. A token becomes a centroid with the probability that
-- keeps their number at what is wanted (_plaid_centroid_chance). The number of centroids is taken from their ids, which
-- are given out one after the other: nothing has to be counted. The part of a tenant does not grow. It is built anew when
-- it has twice as many documents.
CREATE OR REPLACE FUNCTION colbert._plaid_grow(index colbert._index, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_grow$
DECLARE
  _centroids regclass := colbert._derived_table(index, 'centroids');
  _count integer;
BEGIN
  IF index.part IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT max(c.id) - min(c.id) + 1 FROM %s AS c', _centroids) INTO _count;
  IF _count >= (index.options ->> 'centroids')::integer THEN
    RETURN;
  END IF;
  EXECUTE format(
    'INSERT INTO %1$s (centroid, trained) '
    'SELECT DISTINCT d.token, false '
    '  FROM unnest($1) AS u (token) CROSS JOIN LATERAL (SELECT colbert._direction(u.token)::%2$s AS token) AS d '
    ' WHERE random() < colbert._plaid_centroid_chance($2) '
    '   AND (SELECT c.centroid OPERATOR(%3$I.=) d.token FROM %1$s AS c '
    '         ORDER BY c.centroid OPERATOR(%3$I.<#>) d.token LIMIT 1) IS NOT TRUE',
    _centroids, colbert._plaid_type(index), colbert._vector_schema())
    USING embeddings, coalesce(_count, 0);
END
$_plaid_grow$;

COMMENT ON FUNCTION colbert._plaid_grow(colbert._index, anyarray) IS
  'Makes centroids of some tokens of a new document: the more centroids there are, the fewer.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_remove.sql
CREATE OR REPLACE FUNCTION colbert._plaid_remove(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_remove$
BEGIN
  EXECUTE format(
    'WITH document AS ('
    '  DELETE FROM %s AS d WHERE d.doc_id = $1::%s%s RETURNING d.ordinal, d.centroid_ids) '
    'DELETE FROM %s AS p USING document AS d '
    ' WHERE p.centroid_id = ANY (d.centroid_ids) AND p.ordinal = d.ordinal',
    colbert._derived_table(index, 'documents'), (colbert._source_types(index)).key_type, ' AND d.part = ' || index.part,
    colbert._derived_table(index, 'postings'))
    USING doc_id;
END
$_plaid_remove$;

COMMENT ON FUNCTION colbert._plaid_remove(colbert._index, text) IS
  'Takes a document and its postings out.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_clear.sql
CREATE OR REPLACE FUNCTION colbert._plaid_clear(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_clear$
BEGIN
  EXECUTE format('TRUNCATE %s, %s RESTART IDENTITY', colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
END
$_plaid_clear$;

COMMENT ON FUNCTION colbert._plaid_clear(colbert._index) IS 'Takes all documents out; the centroids stay.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_candidates.sql
-- The candidate stage of plaid. Each query token reads the postings of its nearest centroids, nearest first, until it
-- has read its share (_plaid_reading), or all postings of as many centroids as nprobe names. A document that it has
-- come to gains about the similarity of the nearest of those centroids. Documents are ranked by their gains.
--
-- About: the document may have tokens under several of them. The more it has, the nearer the best of those is likely to
-- be. So it gains the soft maximum ln(sum(exp(20 * similarity))) / 20, of which a centroid's part is computed once for
-- all of its postings (evidence). Measured on SciFact grown to 12,000 documents, with claims and with keywords for
-- queries, .95 of the best hundred are among a twentieth fewer candidates so than with the maximum.
--
-- A document that a query token has not come to has tokens, too, somewhere farther away. It counts as if at
-- 0.9 of the similarity of the last centroid that the token might read. Since every document gets that, it is taken
-- from the gains instead. Measured there with keywords, .97 of the best ten are among 220 candidates so, among 250 with
-- 0.8, and among 330 with 0.8 of the similarity of the last centroid that was read, which takes another look at all
-- postings to know. The window that finds the last one is ordered, as centroids already are: with max() over an unordered one
-- the planner no longer knows their order, reads the postings of all of them, and sorts those (36 ms where it is 12).
--
-- Reading ends before that last centroid, since those near a query's token are large. A full stop has dozens of centroids as
-- near as each other, and then none for long. Where the list ends among those behind, documents that were left out for want of
-- postings would count as if they had no full stop. So they count as if at 0.75 of the similarity of a centroid at three fifths of
-- the list, about where reading ends, if that is more. Measured on source code, k = 100 and twice the effort, .984 of the
-- best hundred are found so, and .960 otherwise; where lists end among their like, as many as before (results/reference.txt).
-- The last centroid of which postings were read would tell better: of a thousand documents .994 of the best hundred were found so, .978
-- otherwise. But it is known only when all documents that a token has come to are counted, which takes a tenth more time or two.
--
-- Why a share of postings and not a number of centroids: centroids differ in size, and collections in how many tokens a
-- centroid has. Measured, the same number of postings finds more when it is shared evenly.
--
-- Where the scope is restricted to a part of the documents, postings of others are passed over while they are read. Where
-- it is restricted to so many that they would be long to list, the ranked documents are looked up in it one by one,
-- until there are enough. With 460 candidates, 7,500 of fifty thousand documents cost the same both ways, and 42,000 of a million:
-- about 2 * sqrt(candidates * documents).
--
-- Some hundred bytes of memory are needed for each document that is reached, more than work_mem's default of 4 MB from
-- about a hundred thousand on.
--
-- The part of a tenant is read like an index of its own.
CREATE OR REPLACE FUNCTION colbert._plaid_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET enable_hashjoin = off
SET enable_mergejoin = off
SET enable_seqscan = on
SET jit = off
SET work_mem = '32MB'
SET ivfflat.probes = 4
SET hnsw.ef_search = 40
SET hnsw.iterative_scan = relaxed_order
AS $_plaid_candidates$
DECLARE
  _reading record := colbert._plaid_reading(index, cardinality(query), effort);
  _ordinals integer[] := colbert._plaid_ordinals(index, scope, (2 * sqrt(effort.candidates * effort.documents))::bigint);
  _statement text := format(
    $candidates$
    WITH query_token AS MATERIALIZED (
      SELECT colbert._unit(u.token)::%1$s AS token, colbert._norm(u.token) AS weight
        FROM pg_catalog.unnest($1) AS u (token)
    ), ranked AS (
      SELECT g.ordinal, sum(q.weight * g.gain) AS gain
        FROM query_token AS q
       CROSS JOIN LATERAL (
             SELECT r.ordinal, pg_catalog.ln(sum(r.evidence)) / 20::pg_catalog.float8 AS gain
               FROM (SELECT p.ordinal, c.evidence
                       FROM (SELECT c.id, c.distance,
                                    pg_catalog.exp(20::pg_catalog.float8 * (
                                      LEAST(0.9::pg_catalog.float8 * pg_catalog.last_value(c.distance) OVER by_distance,
                                            0.75::pg_catalog.float8 * pg_catalog.nth_value(c.distance, $7) OVER by_distance)
                                      - c.distance)) AS evidence
                               FROM (SELECT c.id, c.centroid OPERATOR(%2$I.<#>) q.token AS distance
                                       FROM %3$s
                                      ORDER BY c.centroid OPERATOR(%2$I.<#>) q.token
                                      LIMIT $3) AS c
                             WINDOW by_distance AS (ORDER BY c.distance ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)) AS c
                       JOIN %4$s AS p ON p.centroid_id = c.id %8$s
                      ORDER BY c.distance
                      LIMIT $4) AS r
              GROUP BY r.ordinal) AS g
       GROUP BY g.ordinal
       ORDER BY gain DESC, g.ordinal
       %6$s
    )
    SELECT d.doc_id::pg_catalog.text, r.gain
      FROM ranked AS r
      JOIN %5$s AS d ON d.ordinal = r.ordinal
     %7$s
     ORDER BY r.gain DESC, r.ordinal
     LIMIT $5
    $candidates$,
    colbert._plaid_type(index), colbert._vector_schema(), colbert._plaid_near_sql(index, _reading.lists),
    colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'),
    CASE WHEN NOT scope.restricted OR _ordinals IS NOT NULL THEN 'LIMIT $5' END,
    CASE WHEN _ordinals IS NULL THEN colbert._in_scope_sql(scope, 'd.doc_id') END,
    CASE WHEN _ordinals IS NOT NULL THEN 'AND p.ordinal OPERATOR(pg_catalog.=) ANY ($6)' END);
BEGIN
  PERFORM colbert._derived_table(index, 'centroids'),
          CASE WHEN index.part > 0 THEN colbert._derived_table(index, 'lists') END,
          set_config('enable_seqscan', (index.part IS NULL)::text, true),
          set_config('ivfflat.probes', _reading.lists::text, true),
          set_config('hnsw.ef_search', least(1000, greatest(40, _reading.centroids))::text, true),
          set_config('search_path', scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query, scope.params, _reading.centroids, _reading.postings, effort.candidates, _ordinals,
                                        ceil(0.6 * _reading.centroids)::integer;
END
$_plaid_candidates$;

COMMENT ON FUNCTION colbert._plaid_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents filed under the centroids nearest to the query''s tokens, as text, best first, with their gains.';

-- How much each query token reads: how many postings, of at most how many centroids, in how many lists of pgvector's
-- index. Postings: 5 * sqrt(documents * sqrt(k)), and from five thousand documents to fifty thousand a little more, with the
-- power of .65 instead of .5 of their number. Measured on fifty thousand: recall@10 .972, where the square root alone found .967
-- with the same margin, and in the same time but for a tenth. Beyond, more candidates find more in the same time (_effort),
-- and reading grows with the power of .375. With that of .5, a search of a million took 118 ms and found .977 of the best ten; with .4, 97
-- ms and .970; with .375, 94 ms and .965; with .33, 83 ms and .962. Fifty thousand took 27. Through a filter that leaves a twentieth, for
-- which there are no more candidates, it took twice as long as one without and found .960 with .5, and 1.4 to 1.8 times as
-- long and .947 with .375.
--
-- The fewer tokens a query has, the more each reads, so that what a search reads grows with the square root of their
-- number: where there are twenty, as above.
--
-- A list holds sqrt(centroids) / 3 centroids (_plaid_index_centroids).
-- So many are read that they hold sixteen times as many centroids as are wanted: the nearest ones are in more lists than would
-- hold them. Of fifty thousand documents of 60 tokens, lists that hold as many found .965 of the best ten and .924 of the
-- best hundred, these .973 and .947, in a tenth more time; and with twice the reading more instead of hardly more. Half of these
-- lists found as much of a thousand documents in a twentieth less time, but of a million .981 and .976 for .989 and .985 in the same.
CREATE OR REPLACE FUNCTION colbert._plaid_reading(
  index colbert._index, query_tokens integer, effort colbert._effort,
  OUT postings bigint, OUT centroids integer, OUT lists integer)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_reading$
DECLARE
  _nprobe integer := colbert._knob('nprobe', NULL, index.options, NULL);
  _size record := colbert._plaid_size(index);
BEGIN
  postings := CASE WHEN _nprobe IS NULL THEN ceil(effort.factor * 5 * sqrt(effort.documents * sqrt(effort.k))
                                              * power(least(10, greatest(1, effort.documents / 5000)), 0.15)
                                              * power(greatest(1, effort.documents / 50000), -0.125)
                                              * sqrt(20.0 / query_tokens)) END;
  -- Where all are as large as their mean, these hold the postings. Those near a query's token are mostly larger.
  centroids := coalesce(_nprobe, colbert._to_count(8 + postings * _size.centroids / _size.postings));
  lists := least(32768, greatest(4, ceil(48 * centroids / sqrt(_size.centroids))));
END
$_plaid_reading$;

COMMENT ON FUNCTION colbert._plaid_reading(colbert._index, integer, colbert._effort) IS
  'How many postings each query token reads, of at most how many centroids, in how many lists.';

-- A filter is run on the source's rows one by one. To find that it leaves more than so many takes as long as to list them,
-- 110 to 180 ms of a million documents. So where that is long, a share of the documents tells it first. What it tells may be a
-- third too low: up to twice as many are listed then, rather than that so many were listed for nothing.
CREATE OR REPLACE FUNCTION colbert._plaid_ordinals(index colbert._index, scope colbert._scope, at_most bigint)
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = on
AS $_plaid_ordinals$
DECLARE
  _documents regclass := colbert._derived_table(index, 'documents');
  _told boolean := at_most >= 1000 AND (index.part > 0) IS NOT TRUE;
  _limit bigint := CASE WHEN _told THEN 2 * at_most ELSE at_most END;
  _ordinals integer[];
BEGIN
  IF scope.restricted AND (NOT _told OR colbert._plaid_in_scope(index, scope) <= at_most) THEN
    PERFORM set_config('enable_seqscan', (index.part IS NULL)::text, true),
            set_config('search_path', scope.search_path, true);
    EXECUTE pg_catalog.format(
      'SELECT pg_catalog.array_agg(d.ordinal) FROM (SELECT s.doc_id FROM %s AS s LIMIT $1) AS s'
      '  JOIN %s AS d ON d.doc_id OPERATOR(pg_catalog.=) s.doc_id%s',
      scope.documents, _documents, ' AND d.part OPERATOR(pg_catalog.=) ' || index.part)
       INTO _ordinals
      USING _limit + 1, scope.params;
  END IF;
  RETURN CASE WHEN pg_catalog.cardinality(_ordinals) <= _limit THEN _ordinals END;
END
$_plaid_ordinals$;

COMMENT ON FUNCTION colbert._plaid_ordinals(colbert._index, colbert._scope, bigint) IS
  'The ordinals of the documents of a restricted scope; NULL where they are about more than so many, or the scope is not restricted.';

-- Two hundred documents are looked up in the scope. Their ordinals are spread evenly, but by the golden ratio, so that they do not keep
-- step with what a filter counts by. An ordinal may be that of a version of a document that is gone: the next one stands for it.
CREATE OR REPLACE FUNCTION colbert._plaid_in_scope(index colbert._index, scope colbert._scope)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_plaid_in_scope$
DECLARE
  _keys text[];
BEGIN
  EXECUTE format('SELECT array_agg(DISTINCT d.doc_id::text)'
                 '  FROM (SELECT max(d.ordinal)::bigint AS last FROM %1$s AS d) AS m'
                 ' CROSS JOIN generate_series(1, 200::bigint) AS i (i)'
                 ' CROSS JOIN LATERAL (SELECT d.doc_id FROM %1$s AS d'
                 '                      WHERE d.ordinal >= (i.i * 618033989 %% 1000000000 * m.last / 1000000000)::integer'
                 '                      ORDER BY d.ordinal LIMIT 1) AS d',
                 colbert._derived_table(index, 'documents'))
     INTO _keys;
  RETURN (colbert._plaid_size(index)).documents * colbert._count_visible(index, scope, _keys) / cardinality(_keys);
END
$_plaid_in_scope$;

COMMENT ON FUNCTION colbert._plaid_in_scope(colbert._index, colbert._scope) IS
  'About how many documents of an index are in a scope.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_problems.sql
-- How a plaid index differs from its source: documents that are not filed, filed documents that are gone, arrays that
-- have changed since (by their digests), documents whose postings or centroids are not those that they were filed with,
-- and postings of no document.
CREATE OR REPLACE FUNCTION colbert._plaid_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_problems$
BEGIN
  RETURN QUERY EXECUTE format(
    $problems$
    WITH document AS MATERIALIZED (
      SELECT s.%1$I AS doc_id, colbert._plaid_digest(s.%2$I) AS digest
        FROM %3$s AS s
       CROSS JOIN LATERAL colbert._document_problem(s.%2$I, $1, $2) AS p
       WHERE %7$s
         AND cardinality(s.%2$I) > 0
         AND p.problem IS NULL
    ), posted AS MATERIALIZED (
      SELECT p.ordinal, array_agg(p.centroid_id ORDER BY p.centroid_id) AS centroid_ids,
             count(c.id) = count(*) AS known
        FROM %5$s AS p
        LEFT JOIN %4$s AS c ON c.id = p.centroid_id
       WHERE true%11$s%10$s
       GROUP BY p.ordinal
    ), filed AS MATERIALIZED (
      SELECT d.doc_id, d.digest, p.known AND p.centroid_ids = d.centroid_ids AS complete
        FROM %6$s AS d
        LEFT JOIN posted AS p ON p.ordinal = d.ordinal
       WHERE %8$s%12$s
    )
    SELECT CASE WHEN f.doc_id IS NULL THEN 'missing document'
                WHEN d.doc_id IS NULL THEN 'orphaned document'
                ELSE 'stale document'
           END,
           coalesce(d.doc_id, f.doc_id)::text,
           CASE WHEN f.doc_id IS NULL THEN 'in the table, not in the index'
                WHEN d.doc_id IS NULL THEN 'in the index, not in the table'
                WHEN d.digest <> f.digest THEN 'the array has changed since it was filed'
                ELSE 'postings or centroids are gone or changed'
           END
      FROM document AS d
      FULL JOIN filed AS f ON f.doc_id = d.doc_id
     WHERE d.doc_id IS NULL
        OR f.doc_id IS NULL
        OR d.digest <> f.digest
        OR f.complete IS NOT TRUE
    UNION ALL
    SELECT 'orphaned postings', NULL, format('%%s postings of no document', count(*))
      FROM %5$s AS p
     WHERE %9$L::boolean%11$s
       AND NOT EXISTS (SELECT FROM %6$s AS d WHERE d.ordinal = p.ordinal)
    HAVING count(*) > 0
    $problems$,
    index.key, index.embeddings, colbert._source_sql(index), colbert._derived_table(index, 'centroids'),
    colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'),
    colbert._in_sample_sql(format('s.%I', index.key), sample, seed), colbert._in_sample_sql('d.doc_id', sample, seed),
    sample >= 1,
    CASE WHEN sample < 1 THEN format(' AND p.ordinal IN (SELECT d.ordinal FROM %s AS d WHERE %s)',
                                     colbert._derived_table(index, 'documents'),
                                     colbert._in_sample_sql('d.doc_id', sample, seed)) END,
    ' AND p.part = ' || index.part, ' AND d.part = ' || index.part)
    USING index.dimensions, colbert._normalized(index);
END
$_plaid_problems$;

COMMENT ON FUNCTION colbert._plaid_problems(colbert._index, float8, text) IS
  'The documents that are not filed as their arrays are, and postings of no document.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_centroid_count.sql
CREATE OR REPLACE FUNCTION colbert._plaid_centroid_count(
  index colbert._index, OUT trained integer, OUT grown integer)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_centroid_count$
BEGIN
  EXECUTE format('SELECT count(*) FILTER (WHERE c.trained), count(*) FILTER (WHERE NOT c.trained) FROM %s AS c',
                 colbert._derived_table(index, 'centroids'))
     INTO trained, grown;
END
$_plaid_centroid_count$;

COMMENT ON FUNCTION colbert._plaid_centroid_count(colbert._index) IS
  'How many centroids were trained, and how many have come in since.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_readable.sql
-- colbert.indexes is for everybody, and for every state that an index may be in: it reads the tables of an index only
-- when they are there, belong to the reader, and have no policy that would have to be asked.
CREATE OR REPLACE FUNCTION colbert._plaid_readable(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT count(*) = 3 AND bool_and(colbert._is_own(t))
         AND colbert._is_own(index.source) AND NOT pg_catalog.row_security_active(index.source)
    FROM colbert._derived_tables(index) AS t
   WHERE t IN (colbert._registered_table(index, 'centroids'), colbert._registered_table(index, 'postings'),
               colbert._registered_table(index, 'documents'));
END;

COMMENT ON FUNCTION colbert._plaid_readable(colbert._index) IS
  'Whether the tables of a plaid index are there and the caller''s own.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_count.sql
-- The planner's number of documents, times the mean of a hundred pages of them.
CREATE OR REPLACE FUNCTION colbert._plaid_count(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_count$
DECLARE
  _documents pg_class := (SELECT c FROM pg_class AS c WHERE c.oid = colbert._registered_table(index, 'documents'));
  _tokens float8;
BEGIN
  IF NOT colbert._plaid_readable(index) THEN
    RETURN NULL;
  END IF;
  EXECUTE format('SELECT avg(d.tokens) FROM %s AS d TABLESAMPLE SYSTEM (least(100, 10000.0 / $1))',
                 colbert._derived_table(index, 'documents'))
     INTO _tokens
    USING greatest(1, _documents.relpages);
  RETURN nullif(_documents.reltuples, -1) * coalesce(_tokens, 0);
END
$_plaid_count$;

COMMENT ON FUNCTION colbert._plaid_count(colbert._index) IS
  'About how many document tokens are filed, as of the last ANALYZE.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_state.sql
-- Training is due anew when as many centroids have come in since the last one as it made, which is when there are four
-- times as many tokens, or twice as many where a centroid stands for 150 (_plaid_wanted_centroids). It is never due for fewer than a few
-- thousand centroids. Without it, an index is due to be built anew when three quarters of the ordinals have been given out.
CREATE OR REPLACE FUNCTION colbert._plaid_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_state$
DECLARE
  _count record;
  _ordinal bigint;
BEGIN
  IF NOT colbert._plaid_readable(index) THEN
    RETURN;
  END IF;
  EXECUTE format('SELECT max(d.ordinal) FROM %s AS d', colbert._derived_table(index, 'documents')) INTO _ordinal;
  IF _ordinal > 0.75 * colbert._plaid_last_ordinal() THEN
    state := 'stale';
    advice := format('%s of %s ordinals have been given out, run reindex with retrain => false',
                     _ordinal, colbert._plaid_last_ordinal());
    RETURN;
  ELSIF colbert._tenant_column(index) IS NOT NULL THEN
    SELECT s.state, s.advice INTO state, advice FROM colbert._plaid_state_of_parts(index) AS s;
    RETURN;
  END IF;
  _count := colbert._plaid_centroid_count(index);
  IF _count.trained >= colbert._plaid_few_centroids() AND colbert._pgvector_indexes(index, 'centroids', '{hnsw, ivfflat}') IS NULL THEN
    state := 'broken';
    advice := format('%s has no index of pgvector''s, run repair_index', colbert._registered_table(index, 'centroids'));
  ELSIF colbert._plaid_outgrown(_count.trained, _count.grown) THEN
    state := 'stale';
    advice := format('%s of %s centroids have come in since the training, run reindex',
                     _count.grown, _count.grown + _count.trained);
  END IF;
END
$_plaid_state$;

COMMENT ON FUNCTION colbert._plaid_state(colbert._index) IS
  'Whether pgvector''s index on the centroids is there, and whether retraining is due; NULL when all is well.';

CREATE OR REPLACE FUNCTION colbert._plaid_outgrown(trained integer, grown integer)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN grown > greatest(trained, 4 * colbert._plaid_few_centroids());

COMMENT ON FUNCTION colbert._plaid_outgrown(integer, integer) IS
  'Whether so many centroids have come in since the training that it is due anew.';

-- The parts of tenants judge for themselves.
CREATE OR REPLACE FUNCTION colbert._plaid_keeps(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN colbert._tenant_column(index) IS NOT NULL
       OR (SELECT NOT colbert._plaid_outgrown(c.trained, c.grown) FROM colbert._plaid_centroid_count(index) AS c);

COMMENT ON FUNCTION colbert._plaid_keeps(colbert._index) IS
  'Whether a stale index is built anew from the centroids that are there.';

-- Parts are due anew when they have twice as many documents as they were built from, and when tenants without a part have
-- enough for one: together a twentieth of all of these.
CREATE OR REPLACE FUNCTION colbert._plaid_state_of_parts(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_state_of_parts$
DECLARE
  _outgrown bigint;
  _documents bigint;
  _all bigint;
BEGIN
  EXECUTE format(
    'SELECT count(*) FILTER (WHERE t.part IS NULL), sum(t.documents) FILTER (WHERE t.part IS NULL), sum(t.documents) '
    '  FROM (%s) AS t', colbert._plaid_tenants_sql(index, index))
     INTO _outgrown, _documents, _all;
  IF _documents > _all / 20 THEN
    state := 'stale';
    advice := format('%s of %s documents are of %s tenants that have outgrown the index, run reindex',
                     _documents, _all, _outgrown);
  END IF;
END
$_plaid_state_of_parts$;

COMMENT ON FUNCTION colbert._plaid_state_of_parts(colbert._index) IS
  'Whether parts of an index are due to be built anew; NULL when all is well.';
$part$;

EXECUTE $part$
-- sql/functions/methods/plaid/_plaid_mend.sql
-- The documents were mended before. Postings of no document go, and pgvector's index comes back.
CREATE OR REPLACE FUNCTION colbert._plaid_mend(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_mend$
BEGIN
  EXECUTE format('DELETE FROM %s AS p WHERE NOT EXISTS (SELECT FROM %s AS d WHERE d.ordinal = p.ordinal)',
                 colbert._derived_table(index, 'postings'), colbert._derived_table(index, 'documents'));
  IF (colbert._plaid_state(index)).state = 'broken' THEN
    PERFORM colbert._plaid_index_centroids(
      colbert._derived_table(index, 'centroids'), (colbert._plaid_centroid_count(index)).trained);
  END IF;
END
$_plaid_mend$;

COMMENT ON FUNCTION colbert._plaid_mend(colbert._index) IS
  'Takes out postings of no document; builds pgvector''s index on the centroids where it is gone.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_staged_options.sql
-- The option of staged:
--
--   first_stage   the column of the source whose index names the candidates
CREATE OR REPLACE FUNCTION colbert._staged_options()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{"first_stage": "string"}'::jsonb;

COMMENT ON FUNCTION colbert._staged_options() IS 'The options of the method staged.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_stage_column.sql
-- The column of the first stage, where writers fill it: PostgreSQL fills generated columns.
CREATE OR REPLACE FUNCTION colbert._stage_column(index colbert._index)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT a.attname
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = index.source
     AND a.attname = (index.options ->> 'first_stage')::name
     AND a.attgenerated = '';
END;

COMMENT ON FUNCTION colbert._stage_column(colbert._index) IS
  'The column of the first stage that writers fill; NULL without one, and for a generated column.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_first_stage.sql
-- The method staged: candidates come from the index of another column of the source, which is smaller (pooled vectors,
-- fewer dimensions, bits), and scores from the column itself. That other index is the first stage. It has triggers and
-- tables of its own, and may be of any method. So nothing is derived here.
CREATE OR REPLACE FUNCTION colbert._first_stage(index colbert._index)
RETURNS colbert._index
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i
    FROM colbert._index AS i
   WHERE i.source = index.source
     AND i.embeddings = (index.options ->> 'first_stage')::name;
END;

COMMENT ON FUNCTION colbert._first_stage(colbert._index) IS
  'The index of the column that option "first_stage" names; NULL when there is none.';

CREATE OR REPLACE FUNCTION colbert._first_stage_problem(index colbert._index, first colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN first.id IS NULL THEN 'it has no index'
         WHEN colbert._element_type(first.source, first.embeddings) IS NULL THEN 'it is gone or of another type'
         WHEN first.method = 'staged' THEN 'it has a first stage itself'
         WHEN first.key <> index.key THEN format('its index has the key "%s", not "%s"', first.key, index.key)
         WHEN colbert._is_encoded(first) THEN 'its index has texts or pictures of its own for workers'
         WHEN colbert._tenant_column(first) IS NOT NULL THEN 'its index is kept apart by tenant'
         WHEN first.dimensions > index.dimensions
           THEN format('it has %s dimensions, more than %s', first.dimensions, index.dimensions)
       END;

COMMENT ON FUNCTION colbert._first_stage_problem(colbert._index, colbert._index) IS
  'Why an index cannot be the first stage of another; NULL when it can.';

CREATE OR REPLACE FUNCTION colbert._find_first_stage(index colbert._index)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_first_stage$
DECLARE
  _first colbert._index := colbert._first_stage(index);
  _problem text := colbert._first_stage_problem(index, _first);
BEGIN
  IF _problem IS NOT NULL THEN
    RAISE EXCEPTION 'column "%" of table "%" cannot be a first stage: %',
                    index.options ->> 'first_stage', index.source, _problem
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = format('Create an index on it first: SELECT colbert.create_index(%L, %L, key => %L).',
                          index.source, index.options ->> 'first_stage', index.key);
  END IF;
  RETURN _first;
END
$_find_first_stage$;

COMMENT ON FUNCTION colbert._find_first_stage(colbert._index) IS
  'The index that is the first stage of another, or an error that says why there is none.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_staged_problems.sql
-- Documents that no search would find: they have nothing in the column of the first stage. How the first stage differs
-- from its column, a check of its own index tells.
CREATE OR REPLACE FUNCTION colbert._staged_problems(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_problems$
BEGIN
  IF colbert._first_stage_problem(index, colbert._first_stage(index)) IS NULL THEN
    RETURN QUERY EXECUTE format(
      'SELECT ''missing first stage'', s.%I::text, %L FROM %s AS s WHERE %s AND NOT (%s)',
      index.key, format('nothing in column "%s"', index.options ->> 'first_stage'), index.source,
      colbert._in_sample_sql(format('s.%I', index.key), sample, seed), colbert._staged_sql(index));
  END IF;
END
$_staged_problems$;

COMMENT ON FUNCTION colbert._staged_problems(colbert._index, float8, text) IS
  'The documents that have no first stage.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_staged_create.sql
-- What staged has instead of tables: a CHECK constraint on the source, so that no document is without a first stage,
-- where no search would find it. PostgreSQL holds it under every way of writing, also where triggers do not fire. Arrays
-- are told from empty ones by their size, as in _scope: to add the constraint reads no array.
CREATE OR REPLACE FUNCTION colbert._staged_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_create$
DECLARE
  _doc_id text;
  _name name := colbert._derived_name(index.source, index.embeddings, 'first_stage');
BEGIN
  PERFORM colbert._find_first_stage(index);
  IF colbert._staged_constraint(index) IS NOT NULL THEN
    RETURN;
  END IF;
  SELECT p.doc_id INTO _doc_id FROM colbert._staged_problems(index, 1, '') AS p LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'document % of table "%" has nothing in column "%", its first stage', _doc_id, index.source,
                    index.options ->> 'first_stage'
      USING ERRCODE = 'not_null_violation',
            HINT = 'Fill the column for every document that has an array, or make it a generated column.';
  END IF;
  EXECUTE format(
    'ALTER TABLE %s ADD CONSTRAINT %I CHECK (%s)', index.source, _name,
    colbert._staged_sql(index));
  EXECUTE format('COMMENT ON CONSTRAINT %I ON %s IS %L', _name, index.source, colbert._derived_comment(index));
END
$_staged_create$;

COMMENT ON FUNCTION colbert._staged_create(colbert._index) IS
  'Makes the constraint by which every document has a first stage.';

CREATE OR REPLACE FUNCTION colbert._staged_sql(index colbert._index)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('coalesce(pg_catalog.pg_column_size(%I) > 24, false) OR coalesce(pg_catalog.pg_column_size(%I) <= 24, true)',
              index.options ->> 'first_stage', index.embeddings);

COMMENT ON FUNCTION colbert._staged_sql(colbert._index) IS
  'SQL for whether a row has a first stage, or needs none: it has no document tokens.';

CREATE OR REPLACE FUNCTION colbert._staged_constraint(index colbert._index)
RETURNS name
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT c.conname
    FROM pg_catalog.pg_constraint AS c
   WHERE c.conrelid = index.source
     AND c.contype = 'c'
     AND obj_description(c.oid, 'pg_constraint') = colbert._derived_comment(index);
END;

COMMENT ON FUNCTION colbert._staged_constraint(colbert._index) IS
  'The constraint by which every document has a first stage; NULL when it is gone.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_staged_candidates.sql
-- The candidates of the first stage. Where its index can name none to this caller (method exact; plaid under row-level
-- security), all of the scope is scored by the first stage's column: still less work than by the column of the index.
--
-- Its query has the first stage's dimensions: of a query token the first ones, at the same weight, as models that are
-- trained for fewer dimensions have it (Matryoshka). Where the first stage has bits, their signs are compared.
CREATE OR REPLACE FUNCTION colbert._staged_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_staged_candidates$
DECLARE
  _first colbert._index := colbert._find_first_stage(index);
BEGIN
  query := colbert._first_stage_query(query, _first.dimensions);
  IF colbert._method_finds(_first) THEN
    RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._method_candidates(_first, query, scope, effort) AS c;
  ELSE
    RETURN QUERY SELECT c.doc_id, c.gain FROM colbert._scored_candidates(_first, query, scope, effort) AS c;
  END IF;
END
$_staged_candidates$;

COMMENT ON FUNCTION colbert._staged_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents that the first stage ranks first, as text, best first, with their gains.';

CREATE OR REPLACE FUNCTION colbert._first_stage_query(query vector[], dimensions integer)
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_first_stage_query$
BEGIN
  RETURN CASE
           WHEN colbert._dimensions((query[:])[1]) = dimensions THEN query
           ELSE ARRAY(SELECT colbert._scaled(colbert._unit(colbert._first_dimensions(u.token, dimensions)),
                                             colbert._weight(u.token))
                        FROM unnest(query) WITH ORDINALITY AS u (token, position)
                       ORDER BY u.position)
         END;
END
$_first_stage_query$;

COMMENT ON FUNCTION colbert._first_stage_query(vector[], integer) IS
  'A query in fewer dimensions: the first ones of each token, with its weight.';

-- The documents of a scope that score best by the array of an index, all of them scored.
CREATE OR REPLACE FUNCTION colbert._scored_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort)
RETURNS TABLE (doc_id text, gain float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
SET min_parallel_table_scan_size = '8MB'
SET parallel_setup_cost = 1000
SET parallel_tuple_cost = 0.1
SET work_mem = '32MB'
AS $_scored_candidates$
DECLARE
  _documents text := format(
    '(SELECT d.doc_id, d.embeddings'
    '   FROM (SELECT d.doc_id, d.embeddings FROM %s AS d WHERE pg_catalog.pg_column_size(d.embeddings) > 24) AS d %s)',
    colbert._documents_sql(index), colbert._in_scope_sql(scope, 'd.doc_id'));
  _statement text := format(
    'SELECT r.doc_id::pg_catalog.text, r.score FROM (%s) AS r ORDER BY r.score DESC, r.doc_id LIMIT $3',
    colbert._scoring_sql(query, (colbert._source_types(index)).element, _documents,
                         colbert._begin_pass(index, query, scope)));
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query[:], scope.params, effort.candidates;
END
$_scored_candidates$;

COMMENT ON FUNCTION colbert._scored_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents of a scope that score best by the array of an index, with their scores.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_staged_few.sql
-- As many as the first stage would rather score. Where it scores all of the scope, that costs less than to score the
-- column of the index, but for a few documents.
CREATE OR REPLACE FUNCTION colbert._staged_few(index colbert._index, query vector[], effort colbert._effort)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_few$
DECLARE
  _first colbert._index := colbert._find_first_stage(index);
BEGIN
  RETURN CASE WHEN colbert._method_finds(_first)
              THEN colbert._method_few(_first, query, effort)
              ELSE 50 END;
END
$_staged_few$;

COMMENT ON FUNCTION colbert._staged_few(colbert._index, vector[], colbert._effort) IS
  'How many documents cost as much to score as a search through the first stage.';
$part$;

EXECUTE $part$
-- sql/functions/methods/staged/_staged_state.sql
CREATE OR REPLACE FUNCTION colbert._staged_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_staged_state$
DECLARE
  _problem text := colbert._first_stage_problem(index, colbert._first_stage(index));
BEGIN
  IF _problem IS NOT NULL THEN
    state := 'broken';
    advice := format('column "%s" cannot be a first stage: %s', index.options ->> 'first_stage', _problem);
  ELSIF colbert._staged_constraint(index) IS NULL THEN
    state := 'broken';
    advice := 'the constraint by which every document has a first stage is gone, run repair_index';
  END IF;
END
$_staged_state$;

COMMENT ON FUNCTION colbert._staged_state(colbert._index) IS
  'Whether the first stage of an index is there, and its constraint; NULL when all is well.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_index_of_trigger.sql
-- A trigger names its index by number. The row may be gone, or newer than the snapshot of the transaction.
CREATE OR REPLACE FUNCTION colbert._index_of_trigger(index_id integer)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_index_of_trigger$
DECLARE
  _index colbert._index;
BEGIN
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = index_id;
  IF FOUND THEN
    RETURN _index;
  ELSIF colbert._keeps_snapshot() THEN
    RAISE EXCEPTION 'late-interaction index % is not in the registry', index_id
      USING ERRCODE = 'serialization_failure',
            HINT = 'It was created after this transaction began: run the transaction again.';
  ELSE
    RAISE EXCEPTION 'late-interaction index % is not in the registry', index_id
      USING ERRCODE = 'undefined_object',
            HINT = 'Drop the triggers that colbert_pg left on the table, and create the index anew.';
  END IF;
END
$_index_of_trigger$;

COMMENT ON FUNCTION colbert._index_of_trigger(integer) IS
  'The registry row of the index whose trigger calls, or an error.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_forget_attempts.sql
-- A document that is encoded, gone, or has another text or picture starts afresh. The triggers call this under the lock of
-- the source row, as every change of an attempt is made.
CREATE OR REPLACE FUNCTION colbert._forget_attempts(
  index colbert._index, doc_id text DEFAULT NULL, tenant text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_forget_attempts$
BEGIN
  IF colbert._is_encoded(index) THEN
    EXECUTE format('DELETE FROM %s AS a WHERE ($1 IS NULL OR a.doc_id = $1::%s)%s',
                   colbert._derived_table(index, 'attempts'), (colbert._source_types(index)).key_type,
                   CASE WHEN tenant IS NOT NULL THEN ' AND a.tenant = $2' END)
      USING doc_id, tenant;
  END IF;
END
$_forget_attempts$;

COMMENT ON FUNCTION colbert._forget_attempts(colbert._index, text, text) IS
  'Forgets the attempts at encoding one document, or all; nothing for an index that workers do not encode.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_put.sql
-- What the index already has under the key goes first: the array before this one, or what a write left behind that the
-- triggers did not see.
CREATE OR REPLACE FUNCTION colbert._put(index colbert._index, doc_id text, embeddings anyarray)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_put$
BEGIN
  PERFORM colbert._refuse_document(index, doc_id, embeddings),
          colbert._method_remove(index, doc_id);
  IF cardinality(embeddings) > 0 THEN
    PERFORM colbert._method_put(index, doc_id, embeddings);
  END IF;
END
$_put$;

COMMENT ON FUNCTION colbert._put(colbert._index, text, anyarray) IS
  'Replaces a document in an index by an array; refuses a bad one. NULL and empty arrays leave nothing.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_put_current.sql
-- The source's row as it is now, not as a trigger or a check saw it.
CREATE OR REPLACE FUNCTION colbert._put_current(index colbert._index, doc_id text)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_put_current$
DECLARE
  _found bigint;
BEGIN
  EXECUTE format('SELECT count(colbert._put($1, $2, s.%I)) FROM %s AS s WHERE s.%I = $2::%s',
                 index.embeddings, colbert._source_sql(index), index.key, (colbert._source_types(index)).key_type)
     INTO _found
    USING index, doc_id;
  IF _found = 0 THEN
    PERFORM colbert._method_remove(index, doc_id);
  END IF;
END
$_put_current$;

COMMENT ON FUNCTION colbert._put_current(colbert._index, text) IS
  'Replaces a document in an index by the source''s row, or takes it out where there is none.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_sync.sql
-- Brings an index in step with one row of its source. The triggers call it after the row has changed, while the lock of
-- the row orders the writers of the document.
--
-- What goes in is what the source holds at this moment. The row of the event may be older: the events of a statement's
-- rows wait for its end, and a trigger on the first of them may have changed the others again.
--
-- Where the index is kept apart by tenant, the old row is of the old tenant's part, and the new one of the new tenant's.
CREATE OR REPLACE FUNCTION colbert._sync(
  index_id integer, old_key text, old_embeddings anyarray, new_key text, new_embeddings anyarray,
  old_tenant text DEFAULT NULL, new_tenant text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_sync$
DECLARE
  _index colbert._index;
  _old colbert._index;
  _new colbert._index;
  _moved boolean := old_key <> new_key OR old_tenant <> new_tenant;
BEGIN
  -- pgvector takes 0 and -0 for equal: array_send tells them apart.
  IF old_key = new_key AND _moved IS NOT TRUE AND old_embeddings IS NOT DISTINCT FROM new_embeddings
     AND array_send(old_embeddings) IS NOT DISTINCT FROM array_send(new_embeddings) THEN
    RETURN;
  END IF;

  _index := colbert._index_of_trigger(index_id);
  IF old_key IS NOT NULL THEN
    PERFORM colbert._forget_attempts(_index, old_key, old_tenant);
  END IF;
  IF _moved OR new_key IS NULL THEN
    _old := colbert._part_of(_index, old_tenant);
    IF row_security_active(_index.source) THEN  -- FORCE: even the owner may not see the row
      PERFORM colbert._method_remove(_old, old_key);
    ELSE
      PERFORM colbert._put_current(_old, old_key);
    END IF;
  END IF;
  IF new_key IS NOT NULL THEN
    _new := colbert._part_of(_index, new_tenant);
    IF row_security_active(_index.source) THEN
      PERFORM colbert._put(_new, new_key, new_embeddings);
    ELSE
      PERFORM colbert._put_current(_new, new_key);
    END IF;
  END IF;
END
$_sync$;

COMMENT ON FUNCTION colbert._sync(integer, text, anyarray, text, anyarray, text, text) IS
  'Takes the old row out of an index and puts the new one in: what the row triggers call.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_sync_truncate.sql
-- After TRUNCATE of the source.
CREATE OR REPLACE FUNCTION colbert._sync_truncate(index_id integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_sync_truncate$
DECLARE
  _index colbert._index := colbert._index_of_trigger(index_id);
BEGIN
  PERFORM colbert._method_clear(_index),
          colbert._forget_attempts(_index);
END
$_sync_truncate$;

COMMENT ON FUNCTION colbert._sync_truncate(integer) IS
  'Empties an index: what the TRUNCATE trigger calls.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_sync_text.sql
-- A changed text or picture is a new one. The trigger calls this under the lock of the row.
CREATE OR REPLACE FUNCTION colbert._sync_text(index_id integer, doc_id text, tenant text DEFAULT NULL)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._forget_attempts(i, doc_id, tenant) FROM colbert._index AS i WHERE i.id = index_id;
END;

COMMENT ON FUNCTION colbert._sync_text(integer, text, text) IS
  'Forgets the attempts at encoding what has changed: what the trigger on the column that workers encode calls.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_notify_workers.sql
-- Tells the workers that listen that there is something to encode: once for each transaction and index, when it
-- commits.
CREATE OR REPLACE FUNCTION colbert._notify_workers(index_id integer)
RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_notify('colbert_pending', index_id::text);
END;

COMMENT ON FUNCTION colbert._notify_workers(integer) IS
  'NOTIFY colbert_pending, with the number of an index.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_sync_names.sql
-- The names of an index's trigger function, which lives beside the source, and of its triggers. Triggers of one event
-- fire in the order of their names. Those that fire after the change have names that sort first. The one that fires
-- before the change has a name that sorts last, except for names beyond ASCII, so that it sees what other triggers have
-- made of the row.
CREATE OR REPLACE FUNCTION colbert._sync_names(
  index colbert._index, OUT sync_function text, OUT row_trigger name, OUT truncate_trigger name,
  OUT text_trigger name)
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('%s.colbert_sync_%s', c.relnamespace::regnamespace, index.id),
         format('!colbert_sync_%s', index.id),
         format('!colbert_truncate_%s', index.id),
         format('~colbert_text_%s', index.id)
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = index.source;
END;

COMMENT ON FUNCTION colbert._sync_names(colbert._index) IS
  'The names of the trigger function of an index, with its schema, and of its triggers.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_pending_index.sql
-- The partial index on the source that holds the keys of its pending documents.
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

-- Workers take them in this order. Where the index is kept apart, a role that sees one tenant reads what belongs to that
-- one alone.
CREATE OR REPLACE FUNCTION colbert._pending_order_sql(index colbert._index, prefix text DEFAULT '')
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN concat_ws(', ', prefix || quote_ident(colbert._tenant_column(index)), prefix || quote_ident(index.key));

COMMENT ON FUNCTION colbert._pending_order_sql(colbert._index, text) IS
  'SQL for the columns of the source by which its pending documents are ordered.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_create_pending_index.sql
-- Makes the index in which workers find pending documents, where it is missing. It holds the expression, if the text is
-- one: see _text_expression.
--
-- typed is the expression as the caller has just given it. Otherwise it comes from the registry, which the owner of the
-- source can write. Nobody else parses what is there, since that runs it.
CREATE OR REPLACE FUNCTION colbert._create_pending_index(index colbert._index, typed text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_pending_index$
DECLARE
  _pending name := colbert._derived_name(index.source, index.embeddings, 'pending');
  _expression text;
BEGIN
  IF colbert._pending_index(index) IS NOT NULL THEN
    RETURN;
  ELSIF NOT colbert._names_column(index.source, index.options) THEN
    IF typed IS NULL THEN
      PERFORM colbert._refuse_other_than_owner(index.source);
    END IF;
    _expression := colbert._parse_text(index.source, index.embeddings, coalesce(typed, index.options ->> 'text'));
  END IF;
  EXECUTE format('CREATE INDEX %I ON %s (%s%s) WHERE %I IS NULL AND %s IS NOT NULL',
                 _pending, index.source, colbert._pending_order_sql(index), ', ((' || _expression || ') IS NULL)',
                 index.embeddings,
                 coalesce('(' || _expression || ')', quote_ident(colbert._encoded_column(index))));
  EXECUTE format('COMMENT ON INDEX %s.%I IS %L',
                 (SELECT c.relnamespace::regnamespace FROM pg_class AS c WHERE c.oid = index.source),
                 _pending, colbert._derived_comment(index));
END
$_create_pending_index$;

COMMENT ON FUNCTION colbert._create_pending_index(colbert._index, text) IS
  'Makes the index of pending documents where it is missing.';

CREATE OR REPLACE FUNCTION colbert._refuse_other_than_owner(source regclass)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_other_than_owner$
BEGIN
  IF NOT colbert._is_own(source) THEN
    RAISE EXCEPTION 'the text of an index on table "%" is an expression, which the owner alone takes from the registry', source
      USING ERRCODE = 'insufficient_privilege',
            HINT = format('SET ROLE %s, and do it again.', colbert._owner(source));
  END IF;
END
$_refuse_other_than_owner$;

COMMENT ON FUNCTION colbert._refuse_other_than_owner(regclass) IS
  'Raises unless the current role is the owner of a table: for what not even members and superusers should run.';

-- Whether the option "text" or "pictures" names a column: one that is there, or a name that cannot be anything else.
CREATE OR REPLACE FUNCTION colbert._names_column(source regclass, options jsonb)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN NOT options ? 'text'
       OR options ->> 'text' ~ '^[[:alpha:]_][[:alnum:]_$]*$'
       OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                   WHERE a.attrelid = source AND a.attnum > 0 AND NOT a.attisdropped
                     AND a.attname = options ->> 'text');

COMMENT ON FUNCTION colbert._names_column(regclass, jsonb) IS
  'Whether options name a column to encode, and not an expression.';
$part$;

EXECUTE $part$
-- sql/functions/sync/_create_sync.sql
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
$part$;

EXECUTE $part$
-- sql/functions/sync/_sync_problem.sql
-- What keeps an index from being kept in step: a trigger that is gone, disabled, or runs with the rights of a former
-- owner; or pending documents that cannot be found.
CREATE OR REPLACE FUNCTION colbert._sync_problem(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT format('trigger "%s" %s', expected.name,
                CASE WHEN t.tgname IS NULL THEN 'is gone'
                     WHEN t.tgenabled IN ('D', 'R') THEN 'is disabled'
                     ELSE 'belongs to a former owner of the table' END)
    FROM colbert._sync_names(index) AS names
   CROSS JOIN LATERAL (VALUES (names.row_trigger), (names.truncate_trigger),
                              (CASE WHEN colbert._is_encoded(index)
                                    THEN names.text_trigger END)) AS expected (name)
    LEFT JOIN pg_catalog.pg_trigger AS t
           ON t.tgrelid = index.source AND t.tgname = expected.name
    LEFT JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
   WHERE colbert._triggers(index)
     AND expected.name IS NOT NULL
     AND (t.tgenabled IS NULL OR t.tgenabled IN ('D', 'R')
          OR pg_catalog.pg_get_userbyid(p.proowner) <> colbert._owner(index.source))
  UNION ALL
  SELECT 'the index of pending documents is gone'
   WHERE colbert._is_encoded(index) AND colbert._pending_index(index) IS NULL
   LIMIT 1;
END;

COMMENT ON FUNCTION colbert._sync_problem(colbert._index) IS
  'What keeps an index from being kept in step; NULL when nothing does.';
$part$;

EXECUTE $part$
-- sql/functions/sync/upsert.sql
-- Stores the token vectors of a document and brings the index in step in the same statement. It is for engines that
-- restrict triggers, with an index whose option "triggers" is false. Where there are triggers they do the work. The row
-- is updated, or inserted with nothing but key and array. NULL takes the document out of the index. Only roles that may
-- write the index's tables can call it, which is the owner of the table.
CREATE OR REPLACE FUNCTION colbert.upsert(
  source regclass, doc_id anynonarray, vectors vector[], embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $upsert$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _stored text := colbert._stored_sql(_types.element, '$2');
  _whole boolean;
  _updated bigint;
BEGIN
  IF doc_id IS NULL THEN
    RAISE EXCEPTION 'doc_id must not be NULL'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the key of the document.';
  END IF;
  EXECUTE format('SELECT ($1::%s)::text = $1::text', _types.key_type) INTO _whole USING doc_id;
  IF NOT _whole THEN
    RAISE EXCEPTION 'doc_id "%" is no %', doc_id, _types.key_type
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Pass the key as the table has it.';
  END IF;
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id::text]);
  EXECUTE format('UPDATE %s SET %I = %s WHERE %I = $1::%s',
                 _index.source, _index.embeddings, _stored, _index.key, _types.key_type)
    USING doc_id, vectors;
  GET DIAGNOSTICS _updated = ROW_COUNT;
  IF _updated = 0 AND colbert._key_within_tenant(_index) THEN
    RAISE EXCEPTION 'document "%" is not in table "%"', doc_id, _index.source
      USING ERRCODE = 'no_data_found',
            HINT = format('INSERT it with its "%s", which belongs to its key.', colbert._tenant_column(_index));
  ELSIF _updated = 0 THEN
    EXECUTE format('INSERT INTO %s (%I, %I) VALUES ($1::%s, %s) '
                   'ON CONFLICT (%2$I) DO UPDATE SET %3$I = EXCLUDED.%3$I',
                   _index.source, _index.key, _index.embeddings, _types.key_type, _stored)
      USING doc_id, vectors;
  END IF;

  IF NOT colbert._triggers(_index) THEN
    EXECUTE format('SELECT colbert._put($1, $3::text, %s)', _stored)
      USING colbert._part_of_document(_index, doc_id::text), vectors, doc_id;
  END IF;
END
$upsert$;

COMMENT ON FUNCTION colbert.upsert(regclass, anynonarray, vector[], name) IS
  'Stores the token vectors of a document, by its key, and brings an index without triggers in step.';
$part$;

EXECUTE $part$
-- sql/functions/index/_default_method.sql
-- The method of an index for which none is named. It is staged where a first stage is named, and else plaid: the fastest,
-- the smallest, and it works from an empty table on. It is hnsw where plaid is weak:
--
--   * row-level security: readers to whom it applies may not see centroids, so plaid scores all that they may see, unless
--     the index is kept apart by tenant
--   * vectors that are not normalised: a centroid stands for directions, and says nothing of lengths
CREATE OR REPLACE FUNCTION colbert._default_method(source regclass, options jsonb)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT CASE WHEN options ? 'first_stage' THEN 'staged'
              WHEN options ? 'tenant' THEN 'plaid'
              WHEN c.relrowsecurity OR options -> 'normalized' = 'false'::jsonb THEN 'hnsw'
              ELSE 'plaid' END
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = source;
END;

COMMENT ON FUNCTION colbert._default_method(regclass, jsonb) IS
  'The method of an index for which none is named.';
$part$;

EXECUTE $part$
-- sql/functions/index/_refuse_source.sql
-- Refuses what cannot be indexed: a view, a table of another owner, a table that the caller does not see whole, and a
-- column that is no array of vectors.
CREATE OR REPLACE FUNCTION colbert._refuse_source(source regclass, embeddings name)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_source$
DECLARE
  _table pg_class;
  _type text;
BEGIN
  IF source IS NULL OR embeddings IS NULL THEN
    RAISE EXCEPTION '% must not be NULL', CASE WHEN source IS NULL THEN 'source' ELSE 'embeddings' END
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Name the table and its column of token vectors.';
  END IF;
  SELECT c.* INTO _table FROM pg_class AS c WHERE c.oid = source;
  IF _table.relkind NOT IN ('r', 'p') OR _table.relpersistence = 't' THEN
    RAISE EXCEPTION '"%" is not a table that can be indexed', source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Index a table or a partitioned table, not a temporary one.';
  END IF;
  IF _table.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhparent = source) THEN
    RAISE EXCEPTION 'table "%" has child tables', source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Neither a key nor a trigger holds for the rows of tables that inherit from it.',
            HINT = 'Index each of them, or make it a partitioned table.';
  END IF;
  PERFORM colbert._refuse_stranger(source),
          colbert._refuse_partial_view(source),
          colbert._refuse_old_snapshot();

  SELECT format_type(a.atttypid, a.atttypmod)
    INTO _type
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = embeddings AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'column "%" of table "%" does not exist', embeddings, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column of token vectors: embeddings => ''column''.';
  ELSIF colbert._element_type(source, embeddings) IS NULL THEN
    RAISE EXCEPTION 'column "%" of table "%" is of type %', embeddings, source, _type
      USING ERRCODE = 'datatype_mismatch',
            HINT = 'It must be an array of vectors: vector(128)[], halfvec(128)[] or bit(128)[].';
  END IF;
END
$_refuse_source$;

COMMENT ON FUNCTION colbert._refuse_source(regclass, name) IS
  'Raises unless the table and its column can be indexed by the caller.';
$part$;

EXECUTE $part$
-- sql/functions/index/_refuse_options.sql
-- Refuses options that nobody would read, and values of the wrong type. types is a jsonb object: name -> "integer",
-- "number", "boolean", "string", "any", or an array of the strings allowed.
CREATE OR REPLACE FUNCTION colbert._refuse_options(options jsonb, types jsonb)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_options$
DECLARE
  _type jsonb;
  _option record;
BEGIN
  IF options IS NULL OR jsonb_typeof(options) <> 'object' THEN
    RAISE EXCEPTION 'options must be a JSON object'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example options => ''{"candidates": 200}''.';
  END IF;

  FOR _option IN SELECT o.key AS name, o.value FROM jsonb_each(options) AS o LOOP
    _type := types -> _option.name;
    IF _type IS NULL THEN
      RAISE EXCEPTION 'unknown option "%"', _option.name
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('Options of this method: %s.',
                            (SELECT string_agg(r, ', ' ORDER BY r) FROM jsonb_object_keys(types) AS r));
    ELSIF (CASE _type #>> '{}'
             WHEN 'any' THEN true
             WHEN 'boolean' THEN jsonb_typeof(_option.value) = 'boolean'
             WHEN 'string' THEN jsonb_typeof(_option.value) = 'string'
             WHEN 'number' THEN jsonb_typeof(_option.value) = 'number'
                                AND _option.value #>> '{}' ~ '^[0-9]{1,9}([.][0-9]*)?$' AND _option.value <> '0'
             WHEN 'integer' THEN jsonb_typeof(_option.value) = 'number'
                                 AND _option.value #>> '{}' ~ '^[1-9][0-9]{0,8}$'
             ELSE jsonb_typeof(_option.value) = 'string' AND _type ? (_option.value #>> '{}')
           END) IS NOT TRUE THEN
      RAISE EXCEPTION 'option "%" must not be %', _option.name, _option.value
        USING ERRCODE = 'invalid_parameter_value',
              HINT = format('It takes %s.',
                            CASE _type #>> '{}'
                              WHEN 'boolean' THEN 'true or false'
                              WHEN 'integer' THEN 'a whole number of at least 1'
                              WHEN 'number' THEN 'a positive number'
                              WHEN 'string' THEN 'a string'
                              ELSE 'one of ' || (_type #>> '{}')
                            END);
    END IF;
  END LOOP;
END
$_refuse_options$;

COMMENT ON FUNCTION colbert._refuse_options(jsonb, jsonb) IS
  'Raises for an option that is unknown, or has a value of another type.';
$part$;

EXECUTE $part$
-- sql/functions/index/_option_types.sql
-- The options of every index; a method adds its own (methods/*/*_options.sql).
--
--   normalized   true: vectors have unit length, and others are refused (default true)
--   dimensions   of every vector, for a column declared without: vector[] instead of vector(128)[]
--   model        whatever names the model of the vectors: the Python client keeps a fingerprint here
--   text         the column of texts that workers encode, or an expression: a row with a text and no array is pending
--   pictures     the column of pictures that workers encode instead: bytea, or text for the paths of files
--   tenant       the column of the source by which derived data is kept apart (tenants/)
--   triggers     false: no triggers; writers call colbert.upsert (default true)
--   effort       how much of the index a search reads, in times of what it reads by itself (search/_effort.sql)
--   margin       by how many standard deviations the next candidate must fall short before a search stops
--   candidates   how many documents a search scores exactly, instead of judging for itself
--   patience     how many in a row may change nothing before it stops, instead of judging for itself
CREATE OR REPLACE FUNCTION colbert._option_types(method text)
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN colbert._method_options(method)
       || '{"normalized": "boolean", "dimensions": "integer", "model": "any", "effort": "number", "margin": "number",
            "candidates": "integer", "patience": "integer", "tenant": "string", "triggers": "boolean", "text": "string",
            "pictures": "string"}'::jsonb;

COMMENT ON FUNCTION colbert._option_types(text) IS
  'The options that an index of a method takes, and their types.';
$part$;

EXECUTE $part$
-- sql/functions/index/_refuse_bit_options.sql
-- Refuses options that say nothing of bits.
CREATE OR REPLACE FUNCTION colbert._refuse_bit_options(source regclass, embeddings name, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_bit_options$
BEGIN
  IF colbert._element_type(source, embeddings) <> 'bit'::regtype THEN
    RETURN;
  END IF;
  IF options ? 'normalized' THEN
    RAISE EXCEPTION 'option "normalized" has no meaning for column "%" of table "%"', embeddings, source
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Bits have a direction and no length.',
            HINT = 'Leave the option out.';
  ELSIF options ->> 'token_type' <> 'bit' THEN
    RAISE EXCEPTION 'tokens of column "%" of table "%" cannot be kept as %', embeddings, source,
                    options ->> 'token_type'
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'The column has bits, which are kept as they are.',
            HINT = 'Leave option "token_type" out.';
  END IF;
END
$_refuse_bit_options$;

COMMENT ON FUNCTION colbert._refuse_bit_options(regclass, name, jsonb) IS
  'Raises for options that say nothing of bits, where the column has bits.';
$part$;

EXECUTE $part$
-- sql/functions/index/_refuse_encoded_column.sql
-- Refuses a column that workers cannot encode, or whose changes could not be seen. A generated column has no value yet
-- where a BEFORE trigger looks at it. A changed text or picture loses its array, which a column that is NOT NULL would not
-- allow. An expression is checked by _parse_text.
CREATE OR REPLACE FUNCTION colbert._refuse_encoded_column(source regclass, embeddings name, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_encoded_column$
DECLARE
  _option text := CASE WHEN options ? 'pictures' THEN 'pictures' ELSE 'text' END;
  _what text := CASE WHEN options ? 'pictures' THEN 'picture' ELSE 'text' END;
  _name text := options ->> _option;
  _column pg_attribute;
BEGIN
  IF _name IS NULL THEN
    RETURN;
  ELSIF options ?& ARRAY['text', 'pictures'] THEN
    RAISE EXCEPTION 'options "text" and "pictures" exclude each other'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Workers encode one column of an index: name it in one of them.';
  END IF;
  SELECT a.* INTO _column
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = _name AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND AND colbert._names_column(source, options) THEN
    RAISE EXCEPTION '% column "%" of table "%" does not exist', _what, _name, source
      USING ERRCODE = 'undefined_column',
            HINT = format('Name the column that is to be encoded: options => ''{"%s": "column"}''.', _option);
  ELSIF (SELECT t.typcategory <> 'S' FROM pg_type AS t WHERE t.oid = _column.atttypid)
        AND NOT (_option = 'pictures' AND colbert._base_type(_column.atttypid) = 'bytea'::regtype) THEN
    RAISE EXCEPTION '% column "%" of table "%" is of type %', _what, _name, source,
                    format_type(_column.atttypid, _column.atttypmod)
      USING ERRCODE = 'datatype_mismatch',
            HINT = CASE _option WHEN 'text' THEN 'It must be text, varchar, char or the like.'
                                ELSE 'It must be bytea, for the bytes of picture files, or text, for their paths.' END;
  ELSIF _column.attgenerated <> '' THEN
    RAISE EXCEPTION '% column "%" of table "%" is a generated column', _what, _name, source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'Its value is computed after the triggers that see whether it has changed.',
            HINT = 'Write its expression in its place, options => ''{"text": "title || body"}'', or let a trigger of your own, '
                   'BEFORE INSERT OR UPDATE, put the value together in an ordinary column.';
  ELSIF options -> 'triggers' = 'false'::jsonb THEN
    RAISE EXCEPTION 'option "%" needs triggers', _option
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Leave out the option "triggers", or write vectors with colbert.upsert and no option "%s".',
                          _option);
  ELSIF (SELECT a.attnotnull FROM pg_attribute AS a WHERE a.attrelid = source AND a.attname = embeddings) THEN
    RAISE EXCEPTION 'column "%" of table "%" is NOT NULL, so that no % could change', embeddings, source, _what
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = format('A document whose %s has changed has no array until it is encoded again.', _what),
            HINT = format('ALTER TABLE %s ALTER %I DROP NOT NULL', source, embeddings);
  END IF;
END
$_refuse_encoded_column$;

COMMENT ON FUNCTION colbert._refuse_encoded_column(regclass, name, jsonb) IS
  'Raises unless the column that option "text" or "pictures" names can be encoded; does nothing without them.';
$part$;

EXECUTE $part$
-- sql/functions/index/_parse_text.sql
-- Turns the expression of option "text" into what PostgreSQL prints of it, or raises. It is checked as the expression of
-- an index is, on an empty table of the same columns that is dropped again: it must be of a string type, and made of
-- columns, constants and immutable functions. Names are looked up in pg_catalog. All others need their schema.
CREATE OR REPLACE FUNCTION colbert._parse_text(source regclass, embeddings name, expression text)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_parse_text$
DECLARE
  _schema regnamespace := (SELECT c.relnamespace FROM pg_class AS c WHERE c.oid = source);
  _table text := format('%s.%I', _schema, colbert._derived_name(source, embeddings, 'text'));
  _view text := format('%s.%I', _schema, colbert._derived_name(source, embeddings, 'text_type'));
  _index regclass;
  _type regtype;
  _computed name;
  _parsed text;
BEGIN
  EXECUTE format('CREATE TABLE %s (LIKE %s)', _table, source);
  BEGIN
    EXECUTE format(E'CREATE VIEW %s AS SELECT (%s\n) AS content FROM %s', _view, expression, _table);
    _type := (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = _view::regclass AND a.attname = 'content');
    EXECUTE format('DROP VIEW %s', _view);
    EXECUTE format(E'CREATE INDEX ON %1$s ((1)) WHERE (%2$s\n) IS NOT NULL', _table, expression);
  EXCEPTION WHEN syntax_error_or_access_rule_violation OR feature_not_supported OR data_exception THEN
    RAISE EXCEPTION 'option "text": %', SQLERRM
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('It is no column of table "%s", and no expression over its columns: %s', source, expression),
            HINT = 'Functions must be immutable, as in an index, and those of extensions and your own need their schema: '
                   '{"text": "title || '' '' || public.f(body)"}.';
  END;
  SELECT i.indexrelid, pg_get_expr(i.indpred, i.indrelid)
    INTO _index, _parsed
    FROM pg_index AS i
   WHERE i.indrelid = _table::regclass;
  _computed := (SELECT a.attname
                  FROM pg_depend AS d
                  JOIN pg_attribute AS t ON t.attrelid = d.refobjid AND t.attnum = d.refobjsubid
                  JOIN pg_attribute AS a ON a.attrelid = source AND a.attname = t.attname
                 WHERE d.objid = _index AND d.classid = 'pg_class'::regclass
                   AND (a.attgenerated <> '' OR a.attname = embeddings)
                 LIMIT 1);
  EXECUTE format('DROP TABLE %s', _table);
  IF (SELECT t.typcategory <> 'S' FROM pg_type AS t WHERE t.oid = _type) THEN
    RAISE EXCEPTION 'the expression of option "text" is of type %', _type
      USING ERRCODE = 'datatype_mismatch',
            DETAIL = expression,
            HINT = 'Cast it: {"text": "(…)::text"}.';
  ELSIF _computed IS NOT NULL THEN
    RAISE EXCEPTION 'the expression of option "text" needs column "%" of table "%"', _computed, source
      USING ERRCODE = 'wrong_object_type',
            DETAIL = 'The array is made of the text, and a generated column has no value yet when a trigger looks.',
            HINT = 'Use ordinary columns: write the expression of a generated column in its place.';
  END IF;
  RETURN substring(_parsed FROM '^\((.*) IS NOT NULL\)$');
END
$_parse_text$;

COMMENT ON FUNCTION colbert._parse_text(regclass, name, text) IS
  'What PostgreSQL prints of the expression of option "text"; raises for what cannot be one.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_refuse_tenant_column.sql
-- Refuses a tenant column that cannot keep an index apart; a hint where searches would be slow.
CREATE OR REPLACE FUNCTION colbert._refuse_tenant_column(source regclass, method text, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_tenant_column$
DECLARE
  _name name := options ->> 'tenant';
  _column pg_attribute;
BEGIN
  IF _name IS NULL THEN
    RETURN;
  END IF;
  SELECT a.* INTO _column
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = _name AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant column "%" of table "%" does not exist', _name, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column that says whose a document is: options => ''{"tenant": "tenant_id"}''.';
  ELSIF _column.atttypid NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype, 'text'::regtype,
                                 'varchar'::regtype)
        OR (SELECT NOT c.collisdeterministic FROM pg_collation AS c WHERE c.oid = _column.attcollation) THEN
    RAISE EXCEPTION 'tenant column "%" of table "%" is of type %', _name, source,
                    format_type(_column.atttypid, _column.atttypmod)
      USING ERRCODE = 'datatype_mismatch',
            HINT = 'It must be bigint, integer, smallint, uuid, text or varchar, of a deterministic collation.';
  ELSIF NOT _column.attnotnull THEN
    RAISE EXCEPTION 'tenant column "%" of table "%" may be NULL', _name, source
      USING ERRCODE = 'not_null_violation',
            DETAIL = 'A document without a tenant would belong to nobody.',
            HINT = format('ALTER TABLE %s ALTER %I SET NOT NULL', source, _name);
  ELSIF method NOT IN ('exact', 'plaid') THEN
    RAISE EXCEPTION 'method % does not keep tenants apart', method
      USING ERRCODE = 'feature_not_supported',
            DETAIL = CASE method WHEN 'staged' THEN 'Its first stage is one index of the documents of all.'
                                 ELSE 'Its index is one graph, or one set of lists, of the tokens of all.' END,
            HINT = 'Use the method plaid with the option "tenant", or leave the option out: row-level security holds then, too.';
  END IF;
END
$_refuse_tenant_column$;

COMMENT ON FUNCTION colbert._refuse_tenant_column(regclass, text, jsonb) IS
  'Raises unless the column that option "tenant" names can keep an index apart; does nothing without the option.';
$part$;

EXECUTE $part$
-- sql/functions/index/_key_column.sql
-- Whether a column names a document: it is NOT NULL, no array, and has a unique index, by itself or with the tenant.
CREATE OR REPLACE FUNCTION colbert._names_documents(source regclass, key name, tenant name)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT
                   FROM pg_catalog.pg_index AS i
                   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attname = key
                   JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
                   LEFT JOIN pg_catalog.pg_attribute AS b ON b.attrelid = i.indrelid AND b.attname = tenant
                  WHERE i.indrelid = source
                    AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL
                    AND a.attnotnull
                    AND t.typcategory <> 'A'
                    AND (i.indnkeyatts = 1 AND i.indkey[0] = a.attnum
                         OR i.indnkeyatts = 2 AND b.attnotnull
                            AND (i.indkey[0], i.indkey[1]) IN ((a.attnum, b.attnum), (b.attnum, a.attnum))));
END;

COMMENT ON FUNCTION colbert._names_documents(regclass, name, name) IS
  'Whether a column names a document, by itself or together with the tenant.';

-- The column that names a document: the one that is asked for, or else the primary key, of which the tenant may be a part.
-- It has to be NOT NULL, and unique by itself or within a tenant.
CREATE OR REPLACE FUNCTION colbert._key_column(source regclass, key name, tenant name)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_key_column$
DECLARE
  _found name;
BEGIN
  SELECT a.attname
    INTO _found
    FROM pg_attribute AS a
   WHERE a.attrelid = source
     AND a.attnum > 0
     AND colbert._names_documents(source, a.attname, tenant)
     AND CASE WHEN key IS NOT NULL THEN a.attname = key
              ELSE EXISTS (SELECT FROM pg_index AS i
                            WHERE i.indrelid = source AND i.indisprimary AND a.attnum = ANY (i.indkey)
                              AND (i.indnkeyatts = 1 OR a.attname <> tenant)) END
   ORDER BY a.attnum
   LIMIT 1;

  IF FOUND THEN
    RETURN _found;
  ELSIF key IS NULL THEN
    RAISE EXCEPTION 'table "%" has no single-column primary key', source
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name a column that is unique and NOT NULL: key => ''column''.';
  ELSIF NOT EXISTS (SELECT FROM pg_attribute AS a
                     WHERE a.attrelid = source AND a.attname = key AND a.attnum > 0) THEN
    RAISE EXCEPTION 'column "%" of table "%" does not exist', key, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name a column that is unique and NOT NULL: key => ''column''.';
  ELSE
    RAISE EXCEPTION 'column "%" of table "%" does not name a document', key, source
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'It needs NOT NULL and a unique index of its own, not partial and not deferrable, and must not be an array.',
            HINT = format('ALTER TABLE %s ALTER %I SET NOT NULL, ADD UNIQUE (%2$I)', source, key);
  END IF;
END
$_key_column$;

COMMENT ON FUNCTION colbert._key_column(regclass, name, name) IS
  'The column that names a document: NOT NULL, and unique by itself or within a tenant; the primary key when none is asked for.';
$part$;

EXECUTE $part$
-- sql/functions/index/_bad_documents.sql
-- Arrays that may not be indexed: written while the triggers were off.
CREATE OR REPLACE FUNCTION colbert._bad_documents(index colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_bad_documents$
BEGIN
  RETURN QUERY EXECUTE format(
    'SELECT %L, s.%2$I::text, p.problem FROM %3$s AS s '
    ' CROSS JOIN LATERAL colbert._document_problem(s.%4$I, $1, $2) AS p '
    ' WHERE %5$s AND p.problem IS NOT NULL ORDER BY s.%2$I',
    'bad document', index.key, colbert._source_sql(index), index.embeddings,
    colbert._in_sample_sql(format('s.%I', index.key), sample, seed))
    USING index.dimensions, colbert._normalized(index);
END
$_bad_documents$;

COMMENT ON FUNCTION colbert._bad_documents(colbert._index, float8, text) IS
  'The documents of the source, or of a part of it, that may not be indexed.';
$part$;

EXECUTE $part$
-- sql/functions/index/_vector_dimensions.sql
-- The length of the vectors in a column: as declared (vector(128)[]), as the options say, or that of the first vector
-- there is.
CREATE OR REPLACE FUNCTION colbert._vector_dimensions(source regclass, embeddings name, options jsonb)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_vector_dimensions$
DECLARE
  _declared integer;
  _dimensions integer := (options ->> 'dimensions')::integer;
BEGIN
  SELECT nullif(a.atttypmod, -1)
    INTO _declared
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = embeddings;

  IF _declared <> _dimensions THEN
    RAISE EXCEPTION 'column "%" of table "%" is declared with % dimensions, options say %',
                    embeddings, source, _declared, _dimensions
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave option "dimensions" out.';
  END IF;

  _dimensions := coalesce(_declared, _dimensions);
  IF _dimensions IS NULL THEN
    EXECUTE format('SELECT colbert._dimensions((SELECT t FROM unnest(s.%1$I) AS t LIMIT 1)) '
                   '  FROM %2$s AS s WHERE cardinality(s.%1$I) > 0 LIMIT 1', embeddings, source)
       INTO _dimensions;
  END IF;
  IF _dimensions IS NULL THEN
    RAISE EXCEPTION 'the dimensions of column "%" of table "%" are not known', embeddings, source
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Declare it as vector(128)[], or pass options => ''{"dimensions": 128}''.';
  END IF;
  RETURN _dimensions;
END
$_vector_dimensions$;

COMMENT ON FUNCTION colbert._vector_dimensions(regclass, name, jsonb) IS
  'The dimensions of a column''s vectors: declared, given as an option, or read from the first vector.';
$part$;

EXECUTE $part$
-- sql/functions/index/_refuse_documents.sql
-- Raises for the first document, in the order of the keys, that may not be indexed.
CREATE OR REPLACE FUNCTION colbert._refuse_documents(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_documents$
BEGIN
  EXECUTE format('SELECT colbert._refuse_document($1, s.%1$I::text, s.%2$I) '
                 '  FROM %3$s AS s ORDER BY s.%1$I',
                 index.key, index.embeddings, index.source)
    USING index;
END
$_refuse_documents$;

COMMENT ON FUNCTION colbert._refuse_documents(colbert._index) IS
  'Raises for the first document of the source that may not be indexed.';
$part$;

EXECUTE $part$
-- sql/functions/index/_derived_objects.sql
-- What an index has beside its source and its triggers: the trigger function, the tables, and the index of pending
-- documents.
CREATE OR REPLACE FUNCTION colbert._derived_objects(index colbert._index)
RETURNS TABLE (kind text, name text, owner oid)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_derived_objects$
BEGIN
  RETURN QUERY
    SELECT 'FUNCTION', p.oid::regprocedure::text, p.proowner
      FROM pg_proc AS p
     WHERE p.proname = format('colbert_sync_%s', index.id)
       AND p.pronargs = 0
       AND obj_description(p.oid, 'pg_proc') = colbert._derived_comment(index)
    UNION ALL
    SELECT 'TABLE', t::text, c.relowner
      FROM colbert._derived_tables(index) AS t
      JOIN pg_class AS c ON c.oid = t
    UNION ALL
    SELECT 'TABLE', t::text, c.relowner
      FROM colbert._build_tables(index) AS t
      JOIN pg_class AS c ON c.oid = t
    UNION ALL
    SELECT 'INDEX', p::text, c.relowner
      FROM colbert._pending_index(index) AS p
      JOIN pg_class AS c ON c.oid = p;
END
$_derived_objects$;

COMMENT ON FUNCTION colbert._derived_objects(colbert._index) IS
  'The trigger function, the tables and the index of pending documents that are there, and their owners.';
$part$;

EXECUTE $part$
-- sql/functions/index/_drop_derived.sql
-- Drops what an index has beside its source, and forgets it.
CREATE OR REPLACE FUNCTION colbert._drop_derived(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_derived$
DECLARE
  _object text;
BEGIN
  FOR _object IN
    SELECT format('DROP %s %s', o.kind, o.name) FROM colbert._derived_objects(index) AS o
  LOOP
    EXECUTE _object;
  END LOOP;
  DELETE FROM colbert._index AS i WHERE i.id = index.id;
END
$_drop_derived$;

COMMENT ON FUNCTION colbert._drop_derived(colbert._index) IS
  'Drops the tables and the trigger function of an index, and its place in the registry.';
$part$;

EXECUTE $part$
-- sql/functions/index/_forget_dropped_sources.sql
-- DROP TABLE … CASCADE takes a source away and leaves what was derived from it. The next create_index clears that away,
-- where it belongs to the caller and nothing else depends on it.
CREATE OR REPLACE FUNCTION colbert._forget_dropped_sources()
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_forget_dropped_sources$
DECLARE
  _index colbert._index;
BEGIN
  FOR _index IN
    SELECT i.*
      FROM colbert._index AS i
     WHERE NOT colbert._is_there(i.source)
       AND NOT EXISTS (SELECT FROM colbert._derived_objects(i) AS o
                        WHERE pg_get_userbyid(o.owner) <> current_user)
       FOR UPDATE SKIP LOCKED
  LOOP
    BEGIN
      PERFORM colbert._drop_derived(_index);
    EXCEPTION WHEN dependent_objects_still_exist THEN
      CONTINUE;
    END;
  END LOOP;
END
$_forget_dropped_sources$;

COMMENT ON FUNCTION colbert._forget_dropped_sources() IS
  'Clears away what was derived from tables that have since been dropped, where it belongs to the caller.';

-- To look into pg_class would not do: Citus hides the shards on a node from it.
CREATE OR REPLACE FUNCTION colbert._is_there(relation regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN pg_catalog.pg_table_is_visible(relation) IS NOT NULL;

COMMENT ON FUNCTION colbert._is_there(regclass) IS 'Whether a table has not been dropped.';
$part$;

EXECUTE $part$
-- sql/functions/index/_register_index.sql
-- Checks what an index is asked for, and enters it in the registry. It has no tables yet.
CREATE OR REPLACE FUNCTION colbert._register_index(
  source regclass, embeddings name, method text, options jsonb, key name)
RETURNS colbert._index
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_register_index$
DECLARE
  _index colbert._index;
  _method text := coalesce(method, colbert._default_method(source, options));
BEGIN
  PERFORM colbert._refuse_options(options, colbert._option_types(_method)),
          colbert._refuse_tenant_column(source, _method, options),
          colbert._refuse_bit_options(source, embeddings, options),
          colbert._refuse_encoded_column(source, embeddings, options);
  IF NOT colbert._names_column(source, options) THEN
    PERFORM colbert._parse_text(source, embeddings, options ->> 'text');
  END IF;
  PERFORM colbert._forget_dropped_sources(),
          colbert._refuse_second_index(source, embeddings);

  INSERT INTO colbert._index (source, embeddings, key, method, options, dimensions, table_names)
  VALUES (source, embeddings, colbert._key_column(source, key, options ->> 'tenant'), _method, options,
          colbert._vector_dimensions(source, embeddings, options), '{}')
  RETURNING * INTO _index;
  PERFORM colbert._refuse_first_stage(_index);
  IF colbert._tenant_column(_index) IS NOT NULL AND NOT colbert._leads_with_tenant(_index) THEN
    RAISE NOTICE 'no index of table "%" begins with "%": every search would read all rows to find its tenants',
                 source, options ->> 'tenant'
      USING HINT = format('CREATE INDEX ON %s (%I)', source, options ->> 'tenant');
  END IF;
  RETURN _index;
END
$_register_index$;

COMMENT ON FUNCTION colbert._register_index(regclass, name, text, jsonb, name) IS
  'Enters an index in the registry, after checking what is asked for.';

CREATE OR REPLACE FUNCTION colbert._refuse_first_stage(index colbert._index)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_first_stage$
BEGIN
  IF index.method <> 'staged' THEN
    RETURN;
  ELSIF NOT index.options ? 'first_stage' THEN
    RAISE EXCEPTION 'an index of method staged needs a first stage'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Name a column that has an index of its own: options => ''{"first_stage": "pooled"}''.';
  END IF;
  PERFORM colbert._find_first_stage(index);
  IF colbert._is_encoded(index)
     AND (SELECT a.attnotnull FROM pg_attribute AS a
           WHERE a.attrelid = index.source AND a.attname = colbert._stage_column(index)) THEN
    RAISE EXCEPTION 'column "%" of table "%" is NOT NULL, so that nothing could be pending', colbert._stage_column(index),
                    index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = 'A document has no first stage until a worker has encoded it.',
            HINT = format('ALTER TABLE %s ALTER %I DROP NOT NULL', index.source, colbert._stage_column(index));
  END IF;
END
$_refuse_first_stage$;

COMMENT ON FUNCTION colbert._refuse_first_stage(colbert._index) IS
  'Raises for an index of method staged that has no first stage; does nothing for other methods.';

CREATE OR REPLACE FUNCTION colbert._refuse_second_index(source regclass, embeddings name)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_second_index$
BEGIN
  IF EXISTS (SELECT FROM colbert._index AS i
              WHERE i.source = _refuse_second_index.source AND i.embeddings = _refuse_second_index.embeddings) THEN
    RAISE EXCEPTION 'column "%" of table "%" has a late-interaction index already', embeddings, source
      USING ERRCODE = 'duplicate_object',
            HINT = format('Drop it first: SELECT colbert.drop_index(%L, %L).', source, embeddings);
  END IF;
END
$_refuse_second_index$;

COMMENT ON FUNCTION colbert._refuse_second_index(regclass, name) IS 'Raises for a column that has an index.';
$part$;

EXECUTE $part$
-- sql/functions/index/create_index.sql
-- Creates an index on a column of token vectors, and keeps it in step from then on. Like CREATE INDEX it blocks writers
-- of the table, not readers, until the transaction ends.
--
-- Errors: every document that is there is checked before anything is built, and the first bad one is named with its key
-- and token. Cost: a scan of the arrays, and the build of the method.
CREATE OR REPLACE FUNCTION colbert.create_index(
  source regclass,
  embeddings name DEFAULT 'embeddings',
  method text DEFAULT NULL,
  options jsonb DEFAULT '{}',
  key name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $create_index$
DECLARE
  _index colbert._index;
BEGIN
  PERFORM colbert._refuse_source(source, embeddings);
  IF colbert._has_shards(source) THEN
    PERFORM colbert._create_over_shards(source, embeddings, method, options, key);
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  _index := colbert._register_index(source, embeddings, method, options, key);
  PERFORM colbert._refuse_documents(_index);
  IF colbert._is_encoded(_index) THEN
    PERFORM colbert._create_pending_index(_index, options ->> 'text');
  END IF;
  _index := colbert._create_tables(_index);
  IF colbert._triggers(_index) THEN
    PERFORM colbert._create_sync(_index);
  END IF;
  PERFORM colbert._method_build(_index);
  EXECUTE format('ANALYZE %s (%I)', source, _index.key);
  IF colbert._is_encoded(_index) THEN
    PERFORM colbert._notify_workers(_index.id);
  END IF;
END
$create_index$;

COMMENT ON FUNCTION colbert.create_index(regclass, name, text, jsonb, name) IS
  'Creates an index (exact, hnsw, ivfflat, plaid or staged; chosen for the table when no method is named) on a column of token-vector arrays and keeps it in step with triggers. For the owner of the table.';
$part$;

EXECUTE $part$
-- sql/functions/index/drop_index.sql
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
$part$;

EXECUTE $part$
-- sql/functions/index/check_index.sql
-- Compares an index with the arrays, document by document, and returns every difference. There are no rows for an index
-- that is right. Reads only. It is for the owner of the table, who sees all of it.
--
--   trigger            the index is not kept in step
--   missing table, missing index    a part of the index was dropped
--   bad document       an array that may not be indexed, written while the triggers were off
--   missing, orphaned, stale document    the index knows less, more, or other than the array
--   missing first stage    the document has an array, and nothing in the column that names the candidates
--
-- Over shards, each checks its own, and keys that several hold are found, too (_check_shards).
--
-- With a sample, a share of the documents is compared, others each time. Then only that of each document is found: not
-- what belongs to none.
CREATE OR REPLACE FUNCTION colbert.check_index(
  source regclass, embeddings name DEFAULT NULL, sample float8 DEFAULT 1)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $check_index$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _state record;
  _seed text := random()::text;
BEGIN
  IF (sample > 0 AND sample <= 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'sample must be a share from 0 to 1, not %', coalesce(sample::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example sample => 0.01 for one document in a hundred.';
  END IF;
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._source_types(_index);
  IF _index.method = 'shards' THEN
    RETURN QUERY SELECT s.problem, s.doc_id, s.detail FROM colbert._check_shards(_index, sample) AS s;
    RETURN;
  END IF;

  detail := colbert._sync_problem(_index);
  IF detail IS NOT NULL THEN
    problem := 'trigger';
    RETURN NEXT;
  END IF;

  IF colbert._lacks_tables(_index) THEN
    RETURN QUERY SELECT d.problem, d.doc_id, d.detail FROM colbert._bad_documents(_index, sample, _seed) AS d;
    problem := 'missing table';
    detail := 'a table of the index was dropped';
    RETURN NEXT;
  ELSE
    _state := colbert._method_state(_index);
    IF _state.state = 'broken' THEN
      problem := 'missing index';
      detail := _state.advice;
      RETURN NEXT;
    END IF;
    RETURN QUERY
      SELECT p.problem, p.doc_id, p.detail
        FROM colbert._parts(_index) AS i
       CROSS JOIN LATERAL colbert._part_problems(i, sample, _seed) AS p
       ORDER BY p.problem <> 'bad document', p.problem, p.doc_id;
  END IF;
END
$check_index$;

COMMENT ON FUNCTION colbert.check_index(regclass, name, float8) IS
  'Every way in which an index differs from the arrays: no rows when there is none. Over shards, those of all shards, and the keys that several hold. For the owner of the table.';

-- The problems of the documents of an index, or of a part of it.
CREATE OR REPLACE FUNCTION colbert._part_problems(part colbert._index, sample float8, seed text)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT b.problem, b.doc_id, b.detail FROM colbert._bad_documents(part, sample, seed) AS b
  UNION ALL
  SELECT p.problem, p.doc_id, p.detail FROM colbert._method_problems(part, sample, seed) AS p;
END;

COMMENT ON FUNCTION colbert._part_problems(colbert._index, float8, text) IS
  'What is the matter with the documents of an index, or of a part of it.';
$part$;

EXECUTE $part$
-- sql/functions/index/repair_index.sql
-- Mends what check_index finds. Bad documents can be mended by their writer alone: they are taken out of the index.
-- Documents are mended one by one under their row locks, beside other writers. Only a missing table or trigger takes a
-- lock on the whole table. Returns how many documents were mended. Over shards, each mends its own. Of a table that Citus
-- has distributed, a shard that was moved or split gets its index first.
CREATE OR REPLACE FUNCTION colbert.repair_index(source regclass, embeddings name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $repair_index$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _part colbert._index;
  _mended bigint := 0;
  _doc_id text;
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot();
  IF _index.method = 'shards' THEN
    PERFORM colbert._give_shards_their_index(_index);
    RETURN (SELECT coalesce(sum(s.answer::bigint), 0)
              FROM colbert._call_shards(
                     _index, ARRAY(SELECT o FROM colbert._shards_of(_index.source) AS o), 'repair_index') AS s);
  END IF;

  IF colbert._sync_problem(_index) IS NOT NULL THEN
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', _index.source);
    _index := colbert._find_index(_index.source, _index.embeddings);
    PERFORM colbert._create_sync(_index);
  END IF;
  IF colbert._lacks_tables(_index) THEN
    RETURN colbert._recreate_derived(_index);
  END IF;

  PERFORM colbert._give_to_owner(_index, 'TABLE ' || t)
     FROM colbert._derived_tables(_index) AS t
    WHERE colbert._owner(t) <> colbert._owner(_index.source);

  FOR _part IN SELECT p.* FROM colbert._parts(_index) AS p WHERE colbert._method_table_names(p.method) <> '{}' LOOP
    FOR _doc_id IN
      SELECT DISTINCT p.doc_id FROM colbert._part_problems(_part, 1, '') AS p WHERE p.doc_id IS NOT NULL
    LOOP
      _mended := _mended + colbert._mend_document(_part, _doc_id);
    END LOOP;
  END LOOP;
  PERFORM colbert._method_mend(_index);
  RETURN _mended;
END
$repair_index$;

COMMENT ON FUNCTION colbert.repair_index(regclass, name) IS
  'Mends every difference between an index and the arrays; returns the number of documents mended. For the owner of the table.';

-- Puts one document into an index as its array is now. Returns 1 when it is in step after that, and 0 for a bad
-- document, which is taken out. The row is locked first, as a writer does, so that the two never wait for each other. A
-- document that is gone has no row to lock: it is looked for once more after it was taken out, and put in should it
-- have come back.
CREATE OR REPLACE FUNCTION colbert._mend_document(index colbert._index, doc_id text)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_mend_document$
DECLARE
  _bad boolean;
  _gone boolean := false;
BEGIN
  LOOP
    EXECUTE format(
      'WITH document AS MATERIALIZED (SELECT s.%1$I AS embeddings FROM %2$s AS s WHERE s.%3$I = $1::%4$s FOR UPDATE) '
      'SELECT p.problem IS NOT NULL '
      '  FROM document AS d CROSS JOIN LATERAL colbert._document_problem(d.embeddings, $2, $3) AS p',
      index.embeddings, colbert._source_sql(index), index.key, (colbert._source_types(index)).key_type)
       INTO _bad
      USING doc_id, index.dimensions, colbert._normalized(index);
    EXIT WHEN _gone AND _bad IS NULL;
    IF _bad IS FALSE THEN
      PERFORM colbert._put_current(index, doc_id);
    ELSE
      PERFORM colbert._method_remove(index, doc_id);
    END IF;
    EXIT WHEN _bad IS NOT NULL;
    _gone := true;
  END LOOP;
  RETURN CASE WHEN _bad THEN 0 ELSE 1 END;
END
$_mend_document$;

COMMENT ON FUNCTION colbert._mend_document(colbert._index, text) IS
  'Brings one document of an index in step with its array; 1 when it is, 0 for a bad document.';

-- Makes the tables of an index anew, from nothing, when some of them are gone. A build that was begun is given up.
CREATE OR REPLACE FUNCTION colbert._recreate_derived(index colbert._index)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_recreate_derived$
DECLARE
  _table regclass;
  _mended bigint;
BEGIN
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', index.source);
  index := colbert._find_index(index.source, index.embeddings);
  IF NOT colbert._lacks_tables(index) THEN
    RETURN 0;  -- another session has mended it meanwhile
  END IF;
  PERFORM colbert._drop_build(index);
  FOR _table IN SELECT t FROM colbert._derived_tables(index) AS t LOOP
    EXECUTE format('DROP TABLE %s', _table);
  END LOOP;
  index := colbert._create_tables(index);
  PERFORM colbert._method_build(index);
  EXECUTE format('SELECT count(*) FROM %s AS s WHERE cardinality(s.%I) > 0 '
                 '   AND (colbert._document_problem(s.%2$I, $1, $2)).problem IS NULL',
                 index.source, index.embeddings)
     INTO _mended
    USING index.dimensions, colbert._normalized(index);
  RETURN _mended;
END
$_recreate_derived$;

COMMENT ON FUNCTION colbert._recreate_derived(colbert._index) IS
  'Makes the tables of an index anew and fills them; returns the number of documents in them.';
$part$;

EXECUTE $part$
-- sql/functions/index/reindex.sql
-- Mends an index and builds anew what ages in it. Searches use the old build until the new one is ready, and wait only
-- for the moment of the change. Writers of the table wait until it is done. Over shards, all build theirs at once.
--
-- Without retrain, plaid keeps its centroids, and what documents were filed under. Documents get ordinals from 1 on, and
-- postings are written anew in their order. The other methods have nothing to keep: they do the same either way.
CREATE OR REPLACE FUNCTION colbert.reindex(source regclass, embeddings name DEFAULT NULL, retrain boolean DEFAULT true)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $reindex$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot();
  IF _index.method = 'shards' THEN
    PERFORM FROM colbert._call_shards(_index, ARRAY(SELECT s FROM colbert._shards_of(_index.source) AS s), 'reindex',
                                         CASE WHEN retrain IS FALSE THEN jsonb '{"retrain": false}' ELSE '{}' END);
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', _index.source);
  PERFORM colbert.repair_index(_index.source, _index.embeddings);
  PERFORM colbert._method_rebuild(colbert._find_index(_index.source, _index.embeddings), retrain IS NOT FALSE);
  EXECUTE format('ANALYZE %s (%I)', _index.source, _index.key);
END
$reindex$;

COMMENT ON FUNCTION colbert.reindex(regclass, name, boolean) IS
  'Mends an index and builds it anew while searches go on; with retrain => false, from the centroids that are there. For the owner of the table.';
$part$;

EXECUTE $part$
-- sql/functions/index/_index_state.sql
-- The state of an index, which is one word, and advice for people: what is the matter and what to do about it. The
-- catalogs tell it. check_index looks at the data.
--
--   ready       advice is NULL, or says what makes searches slow
--   stale       the data has outgrown what the index learned
--   building    an index is made or built anew beside its writers, or that was interrupted
--   broken      searches or writes may fail, or miss documents
CREATE OR REPLACE FUNCTION colbert._index_state(index colbert._index, OUT state text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_index_state$
DECLARE
  _build colbert._build := (SELECT b FROM colbert._build AS b WHERE b.index_id = index.id);
BEGIN
  IF _build.phase IS DISTINCT FROM 'starting' THEN  -- which makes the triggers
    advice := colbert._index_damage(index);
  END IF;
  IF advice IS NOT NULL THEN
    state := 'broken';
  ELSIF _build.phase IS NOT NULL THEN
    state := 'building';
    advice := colbert._build_advice(index, _build);
  ELSE
    SELECT coalesce(s.state, 'ready'), coalesce(s.advice, colbert._slowness(index))
      INTO state, advice
      FROM colbert._method_state(index) AS s;
  END IF;
END
$_index_state$;

COMMENT ON FUNCTION colbert._index_state(colbert._index) IS
  'ready, stale, building or broken, and advice: what is the matter and what to do about it.';

CREATE OR REPLACE FUNCTION colbert._index_damage(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_index_damage$
DECLARE
  _declared integer := (SELECT a.atttypmod FROM pg_attribute AS a
                         WHERE a.attrelid = index.source AND a.attname = index.embeddings);
  _gone name := (SELECT n.name
                   FROM unnest(ARRAY[index.key,
                                     CASE WHEN NOT colbert._lacks_expression(index) THEN colbert._encoded_column(index) END,
                                     colbert._tenant_column(index)])
                        WITH ORDINALITY AS n (name, rank)
                  WHERE NOT EXISTS (SELECT FROM pg_attribute AS a
                                     WHERE a.attrelid = index.source AND a.attname = n.name)
                    AND n.name IS NOT NULL
                  ORDER BY n.rank LIMIT 1);
BEGIN
  IF NOT colbert._is_there(index.source) THEN
    RETURN 'the table was dropped, the next create_index clears this away';
  ELSIF colbert._element_type(index.source, index.embeddings) IS NULL THEN
    RETURN format('column "%s" is gone or of another type', index.embeddings);
  ELSIF _declared NOT IN (-1, index.dimensions) THEN
    RETURN format('column "%s" has vectors of %s dimensions now, drop the index and create it anew',
                  index.embeddings, _declared);
  ELSIF _gone IS NOT NULL THEN
    RETURN format('column "%s" is gone or of another type', _gone);
  ELSIF colbert._lacks_tables(index) THEN
    RETURN 'a table of the index was dropped, run repair_index';
  ELSIF EXISTS (SELECT FROM colbert._derived_tables(index) AS t
                 WHERE colbert._owner(t) <> colbert._owner(index.source)) THEN
    RETURN 'the table has a new owner, run repair_index as a superuser';
  ELSE
    RETURN colbert._sync_problem(index) || ', run repair_index';
  END IF;
END
$_index_damage$;

COMMENT ON FUNCTION colbert._index_damage(colbert._index) IS
  'What is damaged about an index, beyond its method''s tables, and what to do about it; NULL when nothing is.';

-- The catalogs tell whether row-level security is on, and which indexes there are. What a policy asks for, explain_search
-- tells.
CREATE OR REPLACE FUNCTION colbert._slowness(index colbert._index)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_slowness$
BEGIN
  IF index.method <> 'plaid' THEN
    RETURN NULL;
  ELSIF colbert._tenant_column(index) IS NULL
        AND (SELECT c.relrowsecurity FROM pg_class AS c WHERE c.oid = index.source) THEN
    RETURN 'row-level security is on, and all documents that it leaves are scored; to search them by the index, create it with '
           'the option "tenant", or with the method hnsw';
  ELSIF colbert._tenant_column(index) IS NOT NULL AND NOT colbert._leads_with_tenant(index) THEN
    RETURN format('every search reads all rows to find its tenants, CREATE INDEX ON %s (%I)',
                  index.source, colbert._tenant_column(index));
  END IF;
  RETURN NULL;
END
$_slowness$;

COMMENT ON FUNCTION colbert._slowness(colbert._index) IS
  'What makes searches of an index slow that is in order, and what to do about it; NULL when nothing does.';
$part$;

EXECUTE $part$
-- sql/functions/index/indexes.sql
-- Every index, as a psql user wants to see it. Counts are the planner's, as of the last ANALYZE, and NULL before the
-- first one. Row-level security hides rows from a search. It does not hide their estimated number from this view, which
-- pg_class tells anybody.
CREATE OR REPLACE VIEW colbert.indexes WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       i.key,
       i.method,
       i.dimensions,
       i.options,
       (SELECT nullif(c.reltuples, -1)::bigint FROM pg_catalog.pg_class AS c WHERE c.oid = i.source) AS documents,
       colbert._method_count(i) AS tokens,
       size.bytes AS index_bytes,
       pg_catalog.pg_size_pretty(size.bytes) AS index_size,
       condition.state,
       condition.advice
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._index_state(i) AS condition
 CROSS JOIN LATERAL (SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t)), 0)::bigint AS bytes
                       FROM colbert._derived_tables(i) AS t) AS size;

COMMENT ON VIEW colbert.indexes IS
  'Every late-interaction index: what it is on, its method and options, its size, and whether it is ready, stale, building or broken.';

COMMENT ON COLUMN colbert.indexes.source IS 'The table that is indexed.';
COMMENT ON COLUMN colbert.indexes.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.indexes.key IS 'Its column that names a document.';
COMMENT ON COLUMN colbert.indexes.method IS 'exact, hnsw, ivfflat, plaid, staged, or shards.';
COMMENT ON COLUMN colbert.indexes.dimensions IS 'The length of every vector.';
COMMENT ON COLUMN colbert.indexes.options IS 'As given to create_index.';
COMMENT ON COLUMN colbert.indexes.documents IS 'About how many rows the table has, as of its last ANALYZE.';
COMMENT ON COLUMN colbert.indexes.tokens IS
  'About how many document tokens the index holds, as of its last ANALYZE; NULL where nothing is derived, and of a plaid index for who does not own it.';
COMMENT ON COLUMN colbert.indexes.index_bytes IS 'The size of all that was derived.';
COMMENT ON COLUMN colbert.indexes.index_size IS 'The same for people.';
COMMENT ON COLUMN colbert.indexes.state IS 'ready, stale, building or broken.';
COMMENT ON COLUMN colbert.indexes.advice IS 'What is the matter, or what makes searches slow, and what to do about it; NULL when nothing is.';

GRANT SELECT ON colbert.indexes TO PUBLIC;
$part$;

EXECUTE $part$
-- sql/functions/building/_built_index.sql
-- The registry row as it will be when a build is done, but for the tables that no method makes. All that fills tables
-- and brings them in step takes it in place of the row of today.
CREATE OR REPLACE FUNCTION colbert._built_index(index colbert._index, build colbert._build)
RETURNS colbert._index
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_built_index$
BEGIN
  index.method := build.method;
  index.tables := build.tables;
  index.table_names := build.table_names;
  RETURN index;
END
$_built_index$;

COMMENT ON FUNCTION colbert._built_index(colbert._index, colbert._build) IS
  'An index with the method and the tables of its build.';
$part$;

EXECUTE $part$
-- sql/functions/building/_build_tables.sql
-- The tables of a build that are there and belong to the index.
CREATE OR REPLACE FUNCTION colbert._build_tables(index colbert._index)
RETURNS SETOF regclass
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT t
    FROM colbert._build AS b
   CROSS JOIN LATERAL colbert._derived_tables(colbert._built_index(index, b)) AS t
   WHERE b.index_id = index.id;
END;

COMMENT ON FUNCTION colbert._build_tables(colbert._index) IS
  'The tables that are being filled for an index, or that it had before; none where nothing is being built.';
$part$;

EXECUTE $part$
-- sql/functions/building/_lock_briefly.sql
-- Keeps writers away from a table, or says that it cannot. Whoever waits for a lock makes all writers wait that come
-- after: so a lock that is not to be had at once is asked for again later.
CREATE OR REPLACE FUNCTION colbert._lock_briefly(source regclass)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $_lock_briefly$
BEGIN
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', source);
  RETURN true;
EXCEPTION WHEN lock_not_available THEN
  RETURN false;
END
$_lock_briefly$;

COMMENT ON FUNCTION colbert._lock_briefly(regclass) IS
  'Locks a table against writers, to the end of the transaction; false when others hold it for longer than 0.2 s.';
$part$;

EXECUTE $part$
-- sql/functions/building/_at_work.sql
CREATE OR REPLACE FUNCTION colbert._at_work(build colbert._build)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN build.pid <> pg_backend_pid()
       AND EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid = build.pid);

COMMENT ON FUNCTION colbert._at_work(colbert._build) IS
  'Whether the process that worked on a build last is another one, and still there.';
$part$;

EXECUTE $part$
-- sql/functions/building/_build_advice.sql
CREATE OR REPLACE FUNCTION colbert._build_advice(index colbert._index, build colbert._build)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN build.method || ' is being built (' || build.phase
       || CASE WHEN build.phase = 'filling' AND build.steps > 0
               THEN format(', step %s of %s', build.step, build.steps) ELSE '' END
       || CASE WHEN colbert._at_work(build) THEN format(') by process %s', build.pid)
               ELSE ') unless it was interrupted, then CALL colbert.maintain() goes on' END
       || CASE WHEN build.checks AND build.phase <> 'retiring' THEN ', searches score all documents until then' ELSE '' END;

COMMENT ON FUNCTION colbert._build_advice(colbert._index, colbert._build) IS
  'How far the build of an index is, and who works on it.';
$part$;

EXECUTE $part$
-- sql/functions/building/_build_step.sql
-- Building beside writers, in steps. Each is one transaction, which reads how far the build is from its row in
-- colbert._build, does what is next, and says so in the row. A step that is not committed has not happened: whoever is
-- interrupted, or killed, is followed by whoever calls the next step. Two callers take turns.
--
--   starting       a moment in which no writer is at work: the triggers, and a table of changes, which all writers fill
--                  from then on; the new tables, empty; the first step of all
--   checking       the documents of a new index: a bad one is an error
--   filling        the new tables, from the source, in batches
--   catching up    the documents in the table of changes are put in anew, until none is left in another moment without
--                  writers, in which the new tables take the place of the old ones
--   retiring       the old tables go when no transaction is left that may read them
--
-- Until the new tables are in place, searches use the old ones, and writers keep them in step. An index that is new has
-- the method exact until then: searches score all documents.
--
-- Returns for how many seconds to wait before the next step; NULL when there is none.
CREATE OR REPLACE FUNCTION colbert._build_step(index_id integer)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET application_name = 'colbert_pg'
AS $_build_step$
DECLARE
  _index colbert._index;
  _build colbert._build;
BEGIN
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = _build_step.index_id;
  PERFORM colbert._refuse_stranger(_index.source);
  -- drop_index locks the source first, too. In another order they could wait for each other.
  IF EXISTS (SELECT FROM pg_class AS c WHERE c.oid = _index.source) THEN
    EXECUTE format('SELECT FROM %s LIMIT 0', _index.source);
  END IF;
  UPDATE colbert._build AS b SET pid = pg_backend_pid() WHERE b.index_id = _build_step.index_id RETURNING b.* INTO _build;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  SELECT i.* INTO _index FROM colbert._index AS i WHERE i.id = _build_step.index_id;
  PERFORM colbert._source_types(_index),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot(),
          colbert._report_progress(_index, _build.phase);
  RETURN CASE _build.phase
    WHEN 'starting' THEN colbert._start_build(_index, _build)
    WHEN 'checking' THEN colbert._check_build(_index)
    WHEN 'filling' THEN colbert._fill_build(_index, _build)
    WHEN 'catching up' THEN colbert._catch_up_build(_index, _build)
    WHEN 'retiring' THEN colbert._retire_build(_index, _build)
  END;
END
$_build_step$;

COMMENT ON FUNCTION colbert._build_step(integer) IS
  'Does the next step of a build; returns for how many seconds to wait before the one after it, NULL when it is done.';

-- The triggers are there: a bad document that this does not see is refused by them.
CREATE OR REPLACE FUNCTION colbert._check_build(index colbert._index)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_check_build$
BEGIN
  PERFORM colbert._refuse_documents(index);
  UPDATE colbert._build AS b SET phase = 'filling' WHERE b.index_id = index.id;
  RETURN 0;
END
$_check_build$;

COMMENT ON FUNCTION colbert._check_build(colbert._index) IS
  'The step of a build that refuses bad documents.';
$part$;

EXECUTE $part$
-- sql/functions/building/_start_build.sql
-- Nobody writes while this runs, so that every change from now on is in the table of changes, and every change before
-- is in the source. The new tables are entered in the registry row as they are made: their names go to the build.
CREATE OR REPLACE FUNCTION colbert._start_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_start_build$
BEGIN
  IF NOT colbert._lock_briefly(index.source) THEN
    RETURN 0.5;
  END IF;
  IF colbert._triggers(index) AND colbert._sync_problem(index) IS NOT NULL THEN
    PERFORM colbert._create_sync(index);
  END IF;

  UPDATE colbert._index AS i SET tables = '{}', table_names = '{}' WHERE i.id = index.id;
  PERFORM colbert._method_create(colbert._built_index(index, build));
  UPDATE colbert._build AS b
     SET tables = i.tables, table_names = i.table_names,
         phase = CASE WHEN b.checks THEN 'checking' ELSE 'filling' END
    FROM colbert._index AS i
   WHERE b.index_id = index.id AND i.id = index.id;

  UPDATE colbert._index AS i
     SET tables = index.tables, table_names = colbert._table_names(index)
   WHERE i.id = index.id;
  IF build.checks AND colbert._is_encoded(index) THEN
    PERFORM colbert._create_attempts(index);
  END IF;
  PERFORM colbert._create_derived(
    index, 'changes', format('doc_id %s, tenant text', (colbert._source_types(index)).key_type), 'documents');
  RETURN 0;
END
$_start_build$;

COMMENT ON FUNCTION colbert._start_build(colbert._index, colbert._build) IS
  'The step of a build that makes its tables, and has writers note what they change.';
$part$;

EXECUTE $part$
-- sql/functions/building/_fill_build.sql
CREATE OR REPLACE FUNCTION colbert._fill_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_fill_build$
DECLARE
  _built colbert._index := colbert._built_index(index, build);
BEGIN
  IF build.step = 0 THEN
    build.steps := colbert._method_build_steps(_built);
  END IF;
  IF build.step < build.steps THEN
    build.step := build.step + 1;
    PERFORM colbert._method_build_step(_built, build.step, build.steps);
  END IF;
  UPDATE colbert._build AS b
     SET step = build.step, steps = build.steps,
         phase = CASE WHEN build.step = build.steps THEN 'catching up' ELSE 'filling' END
   WHERE b.index_id = index.id;
  RETURN 0;
END
$_fill_build$;

COMMENT ON FUNCTION colbert._fill_build(colbert._index, colbert._build) IS
  'The step of a build that fills its tables, a batch at a time.';
$part$;

EXECUTE $part$
-- sql/functions/building/_catch_up_build.sql
-- Brings the new tables in step, for a second, and then, while writers wait, for half a second at most. When nothing is
-- left by then, the new tables are put in place. Writers who stay faster than this for a minute are held back: they get
-- a tenth of a second in between.
CREATE OR REPLACE FUNCTION colbert._catch_up_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_catch_up_build$
DECLARE
  _built colbert._index := colbert._built_index(index, build);
  _changes regclass := colbert._derived_table(index, 'changes');
  _step integer := least(build.step, 0) - 1;  -- the steps of catching up are counted below 0
BEGIN
  UPDATE colbert._build AS b SET step = _step WHERE b.index_id = index.id;
  IF _step % 2 <> 0 THEN
    PERFORM colbert._apply_changes(_built, _changes, CASE WHEN _step > -80 THEN 1.0 ELSE 0.1 END);
  ELSIF NOT colbert._lock_briefly(index.source) THEN
    RETURN 0.5;
  ELSIF colbert._apply_changes(_built, _changes, 0.5) THEN
    PERFORM colbert._swap_build(index, build);
  END IF;
  RETURN 0;
END
$_catch_up_build$;

COMMENT ON FUNCTION colbert._catch_up_build(colbert._index, colbert._build) IS
  'The step of a build that puts in the documents that have changed meanwhile, and ends when none is left.';

-- Brings the new tables in step with what the source holds now of the documents in the table of changes. Whether all of
-- those were taken before the time was up.
--
-- The changes are listed before a change of all documents (TRUNCATE) is looked for, which goes first. So no document is
-- taken out that was put in after it: its change is in the list, and is made after that, or it is not, and stays.
CREATE OR REPLACE FUNCTION colbert._apply_changes(built colbert._index, changes regclass, seconds float8)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_apply_changes$
DECLARE
  _until timestamptz := clock_timestamp() + make_interval(secs => seconds);
  _listed refcursor;
  _truncated bigint;
  _doc_id text;
  _tenant text;
  _rows tid[];
BEGIN
  OPEN _listed FOR EXECUTE format(
    'SELECT c.doc_id::text, c.tenant, array_agg(c.ctid) FROM %s AS c WHERE c.doc_id IS NOT NULL GROUP BY c.doc_id, c.tenant', changes);
  EXECUTE format('DELETE FROM %s AS c WHERE c.doc_id IS NULL', changes);
  GET DIAGNOSTICS _truncated = ROW_COUNT;
  IF _truncated > 0 THEN
    PERFORM colbert._method_clear(built);
  END IF;
  LOOP
    FETCH _listed INTO _doc_id, _tenant, _rows;
    EXIT WHEN NOT FOUND OR clock_timestamp() > _until;
    EXECUTE format('DELETE FROM %s AS c WHERE c.ctid = ANY ($1)', changes) USING _rows;
    PERFORM colbert._put_current(colbert._part_of(built, _tenant), _doc_id);
  END LOOP;
  CLOSE _listed;
  RETURN _doc_id IS NULL;
END
$_apply_changes$;

COMMENT ON FUNCTION colbert._apply_changes(colbert._index, regclass, float8) IS
  'Brings the tables of a build in step with the documents in the table of changes, for some seconds; true when all were done.';
$part$;

EXECUTE $part$
-- sql/functions/building/_swap_build.sql
-- The moment in which an index changes over, while the caller keeps writers away. Searches that run see the registry as
-- it was, and the old tables, which stay for them.
CREATE OR REPLACE FUNCTION colbert._swap_build(index colbert._index, build colbert._build)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_swap_build$
DECLARE
  _former text[] := array_remove(index.table_names, 'attempts');
BEGIN
  UPDATE colbert._index AS i
     SET method = build.method,
         tables = build.tables || ARRAY(SELECT t.id FROM unnest(index.tables, index.table_names) AS t (id, name)
                                         WHERE t.name <> ALL (_former)),
         table_names = build.table_names || ARRAY(SELECT n FROM unnest(index.table_names) AS n WHERE n <> ALL (_former))
   WHERE i.id = index.id;
  UPDATE colbert._build AS b
     SET phase = 'retiring', transactions = NULL,
         tables = ARRAY(SELECT t.id FROM unnest(index.tables, index.table_names) AS t (id, name)
                         WHERE t.name = ANY (_former)),
         table_names = ARRAY(SELECT n FROM unnest(index.table_names) AS n WHERE n = ANY (_former))
   WHERE b.index_id = index.id;
END
$_swap_build$;

COMMENT ON FUNCTION colbert._swap_build(colbert._index, colbert._build) IS
  'Puts the tables of a build in place of those that the index had.';
$part$;

EXECUTE $part$
-- sql/functions/building/_retire_build.sql
-- Drops the old tables. Transactions that began before the new ones were in place may read them still. They are listed
-- when the change over is committed, and waited for. The new tables keep their names: who renamed them would pull them away
-- from under statements that have just been put together.
CREATE OR REPLACE FUNCTION colbert._retire_build(index colbert._index, build colbert._build)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '200ms'
AS $_retire_build$
DECLARE
  _table regclass;
BEGIN
  IF build.transactions IS NULL THEN
    UPDATE colbert._build AS b SET transactions = colbert._transactions() WHERE b.index_id = index.id;
    EXECUTE format('ANALYZE %s (%I)', index.source, index.key);
    RETURN 0;
  ELSIF build.transactions && colbert._transactions() THEN
    RETURN 0.2;
  END IF;

  FOR _table IN SELECT t FROM colbert._build_tables(index) AS t LOOP
    EXECUTE format('DROP TABLE %s', _table);
  END LOOP;
  DELETE FROM colbert._build AS b WHERE b.index_id = index.id;
  RETURN NULL;
EXCEPTION WHEN lock_not_available THEN
  RETURN 0.5;
END
$_retire_build$;

COMMENT ON FUNCTION colbert._retire_build(colbert._index, colbert._build) IS
  'The step of a build that drops the tables that the index had before, when nobody can read them any more.';

-- The transactions of other sessions in this database, all that may hold a snapshot.
CREATE OR REPLACE FUNCTION colbert._transactions()
RETURNS text[]
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT coalesce(array_agg(l.virtualxid), '{}')
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
   WHERE l.locktype = 'virtualxid'
     AND l.granted
     AND l.virtualxid = l.virtualtransaction
     AND l.pid <> pg_backend_pid()
     AND a.usesysid IS NOT NULL
     AND a.datname = current_database();
END;

COMMENT ON FUNCTION colbert._transactions() IS
  'The virtual ids of the transactions of other sessions in this database.';
$part$;

EXECUTE $part$
-- sql/functions/building/_drop_build.sql
-- Takes a build away, with its tables. Writers must not be at work, and the table of changes must go out of the registry
-- row, which is left to the caller.
CREATE OR REPLACE FUNCTION colbert._drop_build(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_build$
DECLARE
  _table regclass;
BEGIN
  FOR _table IN SELECT t FROM colbert._build_tables(index) AS t LOOP
    EXECUTE format('DROP TABLE %s', _table);
  END LOOP;
  DELETE FROM colbert._build AS b WHERE b.index_id = index.id;
END
$_drop_build$;

COMMENT ON FUNCTION colbert._drop_build(colbert._index) IS
  'Drops the tables of a build, and its row.';
$part$;

EXECUTE $part$
-- sql/functions/building/_begin_rebuild.sql
-- Enters a build of an index that is there, or finds the one that was begun. Returns the id of the index; NULL when there
-- is nothing to build. keeps: whether centroids, or parts that have not outgrown the index, are taken over as they
-- are.
CREATE OR REPLACE FUNCTION colbert._begin_rebuild(source regclass, embeddings name, keeps boolean DEFAULT false)
RETURNS integer
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_begin_rebuild$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_partial_view(_index.source),
          colbert._refuse_old_snapshot();
  INSERT INTO colbert._build (index_id, method, checks, keeps)
  VALUES (_index.id, _index.method, false, keeps)
      ON CONFLICT (index_id) DO NOTHING;
  RETURN _index.id;
END
$_begin_rebuild$;

COMMENT ON FUNCTION colbert._begin_rebuild(regclass, name, boolean) IS
  'Enters a build of an index, unless one was begun; returns the id of the index.';
$part$;

EXECUTE $part$
-- sql/functions/building/_run_build.sql
-- Does what is left of a build, step by step, with a commit after each. A procedure that commits may have no SET clause:
-- all that needs one is in _build_step.
CREATE OR REPLACE PROCEDURE colbert._run_build(index_id integer)
LANGUAGE plpgsql SECURITY INVOKER
AS $_run_build$
DECLARE
  _pause pg_catalog.float8;
BEGIN
  LOOP
    COMMIT;
    _pause := colbert._build_step(index_id);
    EXIT WHEN _pause IS NULL;
    COMMIT;
    PERFORM pg_catalog.pg_sleep(_pause);
  END LOOP;
END
$_run_build$;

COMMENT ON PROCEDURE colbert._run_build(integer) IS
  'Does all steps of a build that are left, with a commit after each.';
$part$;

EXECUTE $part$
-- sql/functions/building/create_index_concurrently.sql
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
$part$;

EXECUTE $part$
-- sql/functions/building/reindex_concurrently.sql
-- Builds an index anew while others read and write the table: new tables beside the old ones, in steps, with a commit
-- after each. Searches use the old tables until the new ones take their place. Writers and readers wait for no more than
-- a moment, and it waits for them as create_index_concurrently does. There has to be room for both sets of tables.
--
-- Without retrain, plaid copies its centroids, and what documents were filed under, instead of training and filing anew.
-- Documents get ordinals from 1 on. Where the index is kept apart, parts that have outgrown it are trained all the same.
--
-- It cannot run inside a transaction block ("invalid transaction termination"). When it is interrupted, call it again,
-- or abandon it with abandon_reindex.
CREATE OR REPLACE PROCEDURE colbert.reindex_concurrently(source regclass, embeddings name DEFAULT NULL, retrain boolean DEFAULT true)
LANGUAGE plpgsql SECURITY INVOKER
AS $reindex_concurrently$
DECLARE
  _id pg_catalog.int4;
BEGIN
  COMMIT;
  _id := colbert._begin_rebuild(source, embeddings, retrain IS FALSE);
  CALL colbert._run_build(_id);
END
$reindex_concurrently$;

COMMENT ON PROCEDURE colbert.reindex_concurrently(regclass, name, boolean) IS
  'Builds an index anew while others write the table, with a commit after each step; with retrain => false, from the centroids that are there. Not inside a transaction block. For the owner of the table.';
$part$;

EXECUTE $part$
-- sql/functions/building/abandon_reindex.sql
-- Gives up a reindex_concurrently that was interrupted: the index stays as it is, and what was built goes. It waits for
-- a step that runs.
CREATE OR REPLACE FUNCTION colbert.abandon_reindex(source regclass, embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $abandon_reindex$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _build colbert._build;
BEGIN
  PERFORM colbert._refuse_stranger(_index.source),
          colbert._refuse_old_snapshot();
  SELECT b.* INTO _build FROM colbert._build AS b WHERE b.index_id = _index.id FOR UPDATE;
  IF _build.checks OR _build.phase IS NULL OR _build.phase = 'retiring' THEN
    RAISE EXCEPTION 'the index on "%" is not being built anew', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = CASE WHEN _build.checks
                        THEN format('SELECT colbert.drop_index(%L, %L) drops an index that is not finished.',
                                    _index.source, _index.embeddings)
                        WHEN _build.phase = 'retiring'
                        THEN format('It is done but for old tables: CALL colbert.reindex_concurrently(%L, %L) drops them.',
                                    _index.source, _index.embeddings)
                        ELSE 'There is nothing to abandon.' END;
  END IF;
  IF NOT colbert._lock_briefly(_index.source) THEN
    RAISE EXCEPTION 'other transactions are writing "%"', _index.source
      USING ERRCODE = 'lock_not_available',
            HINT = 'Try again when they have ended.';
  END IF;
  _index := colbert._find_index(_index.source, _index.embeddings);
  PERFORM colbert._drop_build(_index);
  PERFORM colbert._drop_changes(_index);
END
$abandon_reindex$;

COMMENT ON FUNCTION colbert.abandon_reindex(regclass, name) IS
  'Gives up a reindex_concurrently that was interrupted; the index stays as it is. For the owner of the table.';

CREATE OR REPLACE FUNCTION colbert._drop_changes(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_drop_changes$
DECLARE
  _changes regclass := colbert._registered_table(index, 'changes');
BEGIN
  IF EXISTS (SELECT FROM colbert._derived_tables(index) AS t WHERE t = _changes) THEN
    EXECUTE format('DROP TABLE %s', _changes);
  END IF;
  UPDATE colbert._index AS i
     SET tables = array_remove(i.tables, _changes), table_names = array_remove(i.table_names, 'changes')
   WHERE i.id = index.id;
END
$_drop_changes$;

COMMENT ON FUNCTION colbert._drop_changes(colbert._index) IS
  'Takes the table of changes away from an index.';
$part$;

EXECUTE $part$
-- sql/functions/building/maintain.sql
-- Does what is due for the indexes on the caller's own tables, one after the other: what the state of an index in
-- colbert.indexes asks for. A stale index is built anew beside its writers, as reindex_concurrently does. A build that was
-- interrupted goes on. A broken index is mended. For pg_cron, cron, the worker, or by hand.
--
-- It commits as it goes, so that no lock outlives the work that needs it. So it cannot run inside a transaction block. An
-- index that cannot be maintained is named in a warning, and the others go on. Those of other owners are skipped with a
-- notice.
--
-- A procedure that commits may have no SET clause. All that needs one is in the functions that it calls.
CREATE OR REPLACE PROCEDURE colbert.maintain()
LANGUAGE plpgsql SECURITY INVOKER
AS $maintain$
DECLARE
  _id pg_catalog.int4;
  _pause pg_catalog.float8;
BEGIN
  COMMIT;
  FOREACH _id IN ARRAY colbert._due_indexes() LOOP
    PERFORM colbert._maintain(_id);
    LOOP
      COMMIT;
      _pause := colbert._maintain_step(_id);
      EXIT WHEN _pause IS NULL;
      COMMIT;
      PERFORM pg_catalog.pg_sleep(_pause);
    END LOOP;
    COMMIT;
  END LOOP;
END
$maintain$;

COMMENT ON PROCEDURE colbert.maintain() IS
  'Builds stale indexes anew and mends broken ones, on the caller''s own tables, beside their writers, with a commit after each step.';

-- The ids of the indexes for which something is due, the caller's own.
CREATE OR REPLACE FUNCTION colbert._due_indexes()
RETURNS integer[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_due_indexes$
DECLARE
  _index colbert._index;
  _due integer[] := ARRAY[]::integer[];
BEGIN
  FOR _index IN
    SELECT i.*
      FROM colbert._index AS i
     WHERE NOT EXISTS (SELECT FROM colbert._build AS b WHERE b.index_id = i.id AND colbert._at_work(b))
     ORDER BY i.id
  LOOP
    IF NOT colbert._is_own(_index.source) THEN
      RAISE NOTICE 'skipping the index on "%": only the owner of the table can maintain it', _index.source;
    ELSIF (colbert._index_state(_index)).state <> 'ready' THEN
      _due := _due || _index.id;
    END IF;
  END LOOP;
  RETURN _due;
END
$_due_indexes$;

COMMENT ON FUNCTION colbert._due_indexes() IS
  'The ids of the indexes on the caller''s own tables for which something is due.';

-- Mends a broken index, and enters a build of a stale one. It may have been done or dropped by somebody else meanwhile.
CREATE OR REPLACE FUNCTION colbert._maintain(id integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_maintain$
DECLARE
  _index colbert._index := (SELECT i FROM colbert._index AS i WHERE i.id = _maintain.id);
BEGIN
  CASE (colbert._index_state(_index)).state
    WHEN 'stale' THEN PERFORM colbert._begin_rebuild(_index.source, _index.embeddings, colbert._method_keeps(_index));
    WHEN 'broken' THEN PERFORM colbert.repair_index(_index.source, _index.embeddings);
    ELSE NULL;
  END CASE;
EXCEPTION WHEN others THEN
  RAISE WARNING 'the index on "%" is not maintained: %', _index.source, SQLERRM
    USING ERRCODE = SQLSTATE;
END
$_maintain$;

COMMENT ON FUNCTION colbert._maintain(integer) IS
  'Does what is due for one index, or begins with it; an error becomes a warning.';

-- The next step of a build. NULL when there is none, and after an error.
CREATE OR REPLACE FUNCTION colbert._maintain_step(id integer)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_maintain_step$
BEGIN
  RETURN colbert._build_step(id);
EXCEPTION WHEN others THEN
  RAISE WARNING 'the index on "%" is not maintained: %',
                (SELECT i.source FROM colbert._index AS i WHERE i.id = _maintain_step.id), SQLERRM
    USING ERRCODE = SQLSTATE;
  RETURN NULL;
END
$_maintain_step$;

COMMENT ON FUNCTION colbert._maintain_step(integer) IS
  'Does the next step of a build, as _build_step does; an error becomes a warning.';
$part$;

EXECUTE $part$
-- sql/functions/search/_refuse_query.sql
-- Refuses a query that cannot be compared with the documents of an index. Its vectors may have any length but 0: a
-- longer one weighs more (_query_weights).
CREATE OR REPLACE FUNCTION colbert._refuse_query(index colbert._index, query vector[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_query$
DECLARE
  _found record;
BEGIN
  PERFORM colbert._refuse_malformed(query, 'query');
  _found := colbert._document_problem(query, index.dimensions, false);
  IF _found.problem IS NOT NULL THEN
    RAISE EXCEPTION 'query: %', _found.problem
      USING ERRCODE = _found.code,
            DETAIL = format('The index is on column "%s" of table "%s".', index.embeddings, index.source),
            HINT = CASE WHEN _found.kind = 'dimensions' THEN 'Encode the query with the model of the documents.'
                        ELSE _found.hint END;
  END IF;
END
$_refuse_query$;

COMMENT ON FUNCTION colbert._refuse_query(colbert._index, vector[]) IS
  'Raises for a query with a bad token, with its position and a hint.';
$part$;

EXECUTE $part$
-- sql/functions/search/_refuse_count.sql
-- A count that must be at least 1, such as k.
CREATE OR REPLACE FUNCTION colbert._refuse_count(name text, value integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_count$
BEGIN
  IF value IS NULL OR value < 1 THEN
    RAISE EXCEPTION '% must be at least 1, not %', name, coalesce(value::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Pass how many documents you want: %s => 10.', name);
  END IF;
END
$_refuse_count$;

COMMENT ON FUNCTION colbert._refuse_count(text, integer) IS 'Raises unless a count is at least 1.';
$part$;

EXECUTE $part$
-- sql/functions/search/_refuse_key_type.sql
-- Keys come and go as text, whatever their own type, or as their own type. Integers of any size come as bigint. key is
-- the key's type, without domains.
CREATE OR REPLACE FUNCTION colbert._refuse_key_type(source regclass, key regtype, given regtype)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_key_type$
DECLARE
  _own regtype := CASE WHEN key IN ('int2'::regtype, 'int4'::regtype) THEN 'int8'::regtype ELSE key END;
BEGIN
  IF given NOT IN (_own, 'text'::regtype) THEN
    RAISE EXCEPTION 'keys of table "%" are of type %, not %', source, key, given
      USING ERRCODE = 'datatype_mismatch',
            HINT = CASE _own
                     WHEN 'int8'::regtype THEN 'Leave key out of a search; pass ids of type bigint[] to rerank.'
                     WHEN 'uuid'::regtype THEN 'Pass key => NULL::uuid to a search, ids of type uuid[] to rerank.'
                     ELSE 'Pass key => NULL::text to a search, ids of type text[] to rerank.' END;
  END IF;
END
$_refuse_key_type$;

COMMENT ON FUNCTION colbert._refuse_key_type(regclass, regtype, regtype) IS
  'Raises when keys cannot be given or returned as the type that the caller uses.';
$part$;

EXECUTE $part$
-- sql/functions/search/_refuse_search.sql
CREATE OR REPLACE FUNCTION colbert._refuse_search(index colbert._index, query vector[], k integer, key anyelement)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_search$
BEGIN
  PERFORM colbert._refuse_query(index, query),
          colbert._refuse_count('k', k),
          colbert._refuse_key_value(key);
END
$_refuse_search$;

COMMENT ON FUNCTION colbert._refuse_search(colbert._index, vector[], integer, anyelement) IS
  'Raises for a query, a k or a key with which no search can be made.';

-- The argument key of a search names a type. A value in its place is most often meant for k: PostgreSQL takes what is
-- untyped there for a text.
CREATE OR REPLACE FUNCTION colbert._refuse_key_value(key anyelement)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_key_value$
BEGIN
  IF key IS NOT NULL THEN
    RAISE EXCEPTION 'key names a type, it takes no value'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('Pass key => NULL::%s. If the value is how many documents you want, name it or cast it: '
                          'k => 10, or $3::int.', pg_typeof(key));
  END IF;
END
$_refuse_key_value$;

COMMENT ON FUNCTION colbert._refuse_key_value(anyelement) IS 'Raises for a key that has a value.';
$part$;

EXECUTE $part$
-- sql/functions/search/_least_score.sql
-- The least score that is wanted, from min_score, which is a mean over the query: the score divided by the sum of the
-- query vectors' lengths. It compares across queries of different lengths, and is between -1 and 1 where documents have
-- unit length (from 0 for bits). NULL where no min_score is given.
CREATE OR REPLACE FUNCTION colbert._least_score(index colbert._index, query vector[], min_score float8)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_least_score$
BEGIN
  IF min_score IS NULL THEN
    RETURN NULL;
  ELSIF NOT (min_score BETWEEN -1 AND 1) AND (colbert._normalized(index) OR min_score = 'NaN') THEN
    RAISE EXCEPTION 'min_score must be from -1 to 1, not %', min_score
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is a mean over the query: the score divided by the sum of the query vectors'' lengths.';
  END IF;
  RETURN min_score * (SELECT sum(colbert._weight(q.token)) FROM unnest(query) AS q (token));
END
$_least_score$;

COMMENT ON FUNCTION colbert._least_score(colbert._index, vector[], float8) IS
  'The least score that is wanted; NULL where no min_score is given.';
$part$;

EXECUTE $part$
-- sql/functions/search/_source_rows_sql.sql
-- SQL for the rows of a source, or of a part of it, as a relation (doc_id, <name>), where <name> is what the SQL expression value gives. The
-- rows are those that meet the filter, the caller's own SQL condition over the columns of the source. It takes its
-- values from the jsonb params, which are $2 in the statement.
CREATE OR REPLACE FUNCTION colbert._source_rows_sql(
  index colbert._index, name name, value text, filter text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_source_rows_sql$
BEGIN
  RETURN format(
    '(SELECT d.doc_id, d.%1$I'
    '   FROM (SELECT $2 AS params) AS args'
    '  CROSS JOIN LATERAL (SELECT %2$I AS doc_id, %3$s AS %1$I FROM %4$s%5$s) AS d)',
    name, index.key, value, index.source,
    ' WHERE ' || nullif(concat_ws(' AND ', colbert._in_part_sql(index, index.source::text), '(' || filter || E'\n)'), ''));
END
$_source_rows_sql$;

COMMENT ON FUNCTION colbert._source_rows_sql(colbert._index, name, text, text) IS
  'SQL for the rows of a source that meet a filter, as a relation of doc_id and one value.';
$part$;

EXECUTE $part$
-- sql/functions/search/_documents_sql.sql
-- SQL for the documents of an index as a relation (doc_id, embeddings): the rows of the source that meet the filter.
CREATE OR REPLACE FUNCTION colbert._documents_sql(index colbert._index, filter text DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_documents_sql$
BEGIN
  RETURN colbert._source_rows_sql(index, 'embeddings', quote_ident(index.embeddings), filter);
END
$_documents_sql$;

COMMENT ON FUNCTION colbert._documents_sql(colbert._index, text) IS
  'SQL for the documents of a source that meet a filter, as a relation (doc_id, embeddings).';
$part$;

EXECUTE $part$
-- sql/functions/search/_documents_of_keys_sql.sql
-- SQL for the documents of a relation (doc_id, embeddings) whose keys are in $3, an array of text.
CREATE OR REPLACE FUNCTION colbert._documents_of_keys_sql(documents text, key_cast text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('(SELECT d.doc_id, d.embeddings FROM %s AS d WHERE d.doc_id OPERATOR(pg_catalog.=) ANY ($3::%s[]))',
              documents, key_cast);

COMMENT ON FUNCTION colbert._documents_of_keys_sql(text, text) IS
  'SQL for the documents of a relation whose keys are in $3, an array of text.';
$part$;

EXECUTE $part$
-- sql/functions/search/_scope.sql
-- What a search is limited to: the documents that meet the filter and have tokens. It is run with the caller's rights,
-- and with a filter under the caller's search_path.
--
-- NULL and empty arrays are left out by their size. An empty array takes 16 bytes, and one of a single one-dimensional
-- vector more than 24. To ask for the size does not fetch the array.
CREATE OR REPLACE FUNCTION colbert._scope(
  index colbert._index, filter text, params jsonb, search_path text)
RETURNS colbert._scope
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_scope$
DECLARE
  _scope colbert._scope;
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params);
  _scope.documents := format(
    '(SELECT d.doc_id, d.embeddings FROM %s AS d WHERE pg_catalog.pg_column_size(d.embeddings) > 24)',
    colbert._documents_sql(index, filter));
  _scope.params := params;
  _scope.search_path := CASE WHEN filter IS NULL THEN current_setting('search_path') ELSE search_path END;
  _scope.filtered := filter IS NOT NULL;
  _scope.restricted := filter IS NOT NULL OR row_security_active(index.source);
  RETURN _scope;
END
$_scope$;

COMMENT ON FUNCTION colbert._scope(colbert._index, text, jsonb, text) IS
  'The documents that a search may see: those of the source that meet the filter and have tokens.';

-- What is wrong with a filter before it is run.
CREATE OR REPLACE FUNCTION colbert._refuse_filter(source regclass, filter text, params jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET standard_conforming_strings = on
AS $_refuse_filter$
BEGIN
  IF filter !~ '\S' THEN
    RAISE EXCEPTION 'filter is empty'
      USING ERRCODE = 'syntax_error',
            HINT = 'Leave it out, or pass a condition over the columns of the table.';
  END IF;
  IF filter ~ '\mparams\M' AND filter !~ '\margs\.params\M' AND params IS NOT NULL
     AND EXISTS (SELECT FROM pg_attribute AS a
                  WHERE a.attrelid = source AND a.attname = 'params' AND NOT a.attisdropped) THEN
    RAISE EXCEPTION 'params could be the argument or the column of table "%"', source
      USING ERRCODE = 'ambiguous_column',
            HINT = 'Write args.params in the filter for the argument.';
  END IF;
  PERFORM colbert._refuse_missing_params(source, filter, params);
END
$_refuse_filter$;

COMMENT ON FUNCTION colbert._refuse_filter(regclass, text, jsonb) IS
  'Raises for a filter that is empty, or whose params are not clear or not there.';

-- A filter that spells params->'name' or params->>'name' compares with NULL where params has no such member, and would
-- find nothing without a word. Other spellings are not seen. Where the source has a column params, the filter's params
-- is that column, and args.params the argument. What stands in strings, quoted names and comments is passed over.
CREATE OR REPLACE FUNCTION colbert._refuse_missing_params(source regclass, filter text, params jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_missing_params$
DECLARE
  _passed_over constant text :=
    $re$(?<![\w$])e'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"[^"]*"|--[^\n]*|/\*(?:[^*]|\*+[^*/])*\*+/$re$;
  _spelled constant text := $re$(?<![\w$.])(args\s*\.\s*)?params\s*->>?\s*'((?:[^']|'')*)'$re$;
  _is_column boolean;
  _missing text;
BEGIN
  IF filter IS NULL OR filter !~* 'params' THEN
    RETURN;
  END IF;
  _is_column := EXISTS (SELECT FROM pg_attribute AS a
                         WHERE a.attrelid = source AND a.attname = 'params' AND NOT a.attisdropped);
  SELECT n.name
    INTO _missing
    FROM regexp_matches(filter, _passed_over || '|' || _spelled, 'gi') AS m (parts)
   CROSS JOIN LATERAL (SELECT replace(m.parts[2], '''''', '''') AS name) AS n
   WHERE n.name IS NOT NULL
     AND (m.parts[1] IS NOT NULL OR NOT _is_column)
     AND (jsonb_typeof(params) = 'object' AND params ? n.name) IS NOT TRUE
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'params lacks "%", which the filter names', _missing
      USING ERRCODE = 'undefined_parameter',
            DETAIL = 'A comparison with what is not there is never true.',
            HINT = format('Pass it: params => ''{%s: …}''; null is a value, too. Write the params of another table '
                          'with the name of that table.', to_jsonb(_missing));
  END IF;
END
$_refuse_missing_params$;

COMMENT ON FUNCTION colbert._refuse_missing_params(regclass, text, jsonb) IS
  'Raises for a value that a filter names and params lacks.';
$part$;

EXECUTE $part$
-- sql/functions/search/_in_scope_sql.sql
-- The WHERE clause by which an index names only documents of the scope. doc_id is SQL for their key. NULL, which format()
-- leaves out, where the scope is the whole source. OFFSET 0 keeps the planner from reading the whole source to answer
-- for a few documents.
CREATE OR REPLACE FUNCTION colbert._in_scope_sql(scope colbert._scope, doc_id text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN scope.restricted
            THEN format('WHERE EXISTS (SELECT FROM %s AS s WHERE s.doc_id OPERATOR(pg_catalog.=) %s OFFSET 0)',
                        scope.documents, doc_id) END;

COMMENT ON FUNCTION colbert._in_scope_sql(colbert._scope, text) IS
  'SQL of a WHERE clause for the documents of a scope; NULL where the scope is not restricted.';
$part$;

EXECUTE $part$
-- sql/functions/search/_effort.sql
-- How much a search does. It follows from what the search sees, by one rule with two parts:
--
--   reading    The more documents there are, and the more are wanted, the more of the index each query token reads: 5 *
--              sqrt(documents * sqrt(k)) postings, and some more of large collections and for short queries (plaid:
--              _plaid_reading), or sqrt(documents * k) / 2 nearest tokens, but at least 100 (hnsw, ivfflat).
--              SET colbert.effort = 2 doubles that.
--   scoring    Candidates are scored in the order in which the index ranks them, until the next one is unlikely to be
--              among the best k. How unlikely follows from this search itself, from its candidates' gains and scores
--              so far (_score_candidates): the search stops when the next one would have to be margin standard
--              deviations better than expected. SET colbert.margin = 4 makes it surer.
--
-- The margin is larger for a short query, whose scores lie closer together, and the more documents there are for each
-- that is wanted: more of them may surprise, and one that is missed is a larger share. It is 1.6 + 4.5 / sqrt(query tokens)
-- where there are 500, 0.6 more for ten times as many, and at the least 0.6 less. Chosen on the four collections of
-- benchmarks/results/defaults.txt, and on fifty thousand documents made of one of them. Fewer than five thousand
-- documents count as so many: of 500, a search for 10 found .93 where they did not, and finds .97 so. The margin also grows
-- with the power .07 of colbert.effort: who reads more is surer what to expect, stops sooner, and with the same margin
-- found no more (.988 at four times the reading, .994 at once; .993 so).
--
-- 400 + 6 * k documents are scored at the most. For a query of fewer than eight tokens it is more, in proportion: a document
-- costs less then, and the index knows less of it. With three tokens of each query of SciFact a search finds .990 of the
-- best ten so, and .960 with 460 documents at the most.
--
-- From fifty thousand documents on, the margin is 0.5 more for ten times as many, and the most that are scored grow with the cube
-- root: there, more candidates cost less than as much more reading would. Where each token reads 16,000 postings of a million
-- documents, 460 candidates hold .935 of the best ten, 973 hold .965 and 2,057 .975 (300 tokens to a centroid); with two thirds of
-- that .900, .933 and .955. Not under a filter, which leaves fewer documents: there each candidate is looked up in the source first,
-- and of 1,248 of them a search through a tenth of a million took 1,059 ms.
--
-- Under row-level security a search counts as one of ten thousand documents: how many there are that the reader does not
-- see must not change what it finds. The part of a tenant counts as it is.
--
-- Of k documents that are wanted of all shards, one that holds a share of them at random holds about k * share of the
-- best. It stops once the next candidate is unlikely to be among as many and two standard deviations more. What plaid reads
-- grows with the power .65 of the documents and .25 of k, so that a shard with a factor of share ^ .35 and (k / its k) ^ .25
-- reads the share of what one table of all would (_share_of_shards); one of more than fifty thousand documents reads more. It
-- looks for more than its part of the best, so that it may be less sure of each: the margin is that of so many fewer documents.
--
-- Whoever names a number of candidates has that many scored; whoever names a patience has a search that stops when so
-- many candidates in a row have changed nothing. The margin does not count then, unless it is named, too.
CREATE OR REPLACE FUNCTION colbert._effort(
  index colbert._index, scope colbert._scope, query_tokens integer, k integer, candidates integer)
RETURNS colbert._effort
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_effort$
DECLARE
  _effort colbert._effort;
  _candidates integer := colbert._knob('candidates', candidates, index.options, NULL);
  _share float8 := least(1, colbert._factor('share', '{}', 1));
  _asked float8 := colbert._factor('effort', index.options, 1);
  _large float8;
  _margin float8;
BEGIN
  _effort.k := colbert._k_of_share(k, _share);
  _effort.documents := CASE WHEN index.part > 0 THEN (colbert._plaid_size(index)).documents
                            WHEN row_security_active(index.source) THEN 10000
                            ELSE greatest(1, colbert._estimated_rows(index.source)) END;
  _large := CASE WHEN scope.filtered THEN 1 ELSE greatest(1, _effort.documents / 50000) END;
  _effort.factor := _asked * power(_share, 0.35) * power(k::float8 / _effort.k, 0.25);
  _effort.candidates := greatest(
    k, coalesce(_candidates, colbert._to_count((400 + 6 * k::bigint) * greatest(1, 8.0 / query_tokens) * cbrt(_large))));
  _effort.patience := colbert._knob('patience', NULL, index.options, NULL);
  _margin := (1.6 + 4.5 / sqrt(query_tokens)
              + 0.6 * log(greatest(0.1, _share * greatest(5000, _effort.documents) / (500.0 * k)))
              + 0.5 * log(_large))
             * power(_asked, 0.07);
  _effort.margin := colbert._factor(
    'margin', index.options,
    CASE WHEN coalesce(_candidates, _effort.patience) IS NULL THEN greatest(0.5, _margin) END);
  RETURN _effort;
END
$_effort$;

COMMENT ON FUNCTION colbert._effort(colbert._index, colbert._scope, integer, integer, integer) IS
  'How much a search for k documents does, from what it is asked for, the session and the index''s options.';

CREATE OR REPLACE FUNCTION colbert._k_of_share(k integer, share float8)
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(k, ceil(k * share + 2 * sqrt(k * share * (1 - share))))::integer;

COMMENT ON FUNCTION colbert._k_of_share(integer, float8) IS
  'About how many of the best k a share of the documents holds that is drawn at random, and two standard deviations more.';
$part$;

EXECUTE $part$
-- sql/functions/search/_count_matching.sql
CREATE OR REPLACE FUNCTION colbert._count_matching(scope colbert._scope, at_most bigint)
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_count_matching$
DECLARE
  _matching bigint;
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.count(*) FROM (SELECT FROM %s AS d LIMIT $1) AS m',
    scope.documents)
     INTO _matching
    USING at_most, scope.params;
  RETURN _matching;
END
$_count_matching$;

COMMENT ON FUNCTION colbert._count_matching(colbert._scope, bigint) IS
  'How many documents a search may see, counted no further than at_most.';
$part$;

EXECUTE $part$
-- sql/functions/search/_candidates.sql
-- The documents worth scoring exactly: their keys, as text, best first, and the gain of each, which is what the index
-- makes of its score. NULL when an exact pass over the whole scope is the better way: the method has no candidates for
-- this caller, or the scope is so small that to score all of it costs less than to find candidates in it (_method_few).
--
-- Row-level security mostly leaves a reader all documents of a tenant, or none. So in the part of a tenant it is taken to
-- leave all, unless more than a tenth of the first forty candidates are hidden. (What is hidden is not scored.)
CREATE OR REPLACE FUNCTION colbert._candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort,
  OUT keys text[], OUT gains float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_candidates$
DECLARE
  _few bigint;
BEGIN
  IF NOT colbert._method_finds(index) THEN
    RETURN;
  END IF;
  query := colbert._scaled_query(query);
  IF index.part > 0 AND scope.restricted AND NOT scope.filtered THEN
    scope.restricted := false;
    SELECT c.keys, c.gains INTO keys, gains FROM colbert._ranked_candidates(index, query, scope, effort) AS c;
    IF colbert._count_visible(index, scope, keys[:40]) >= 0.9 * cardinality(keys[:40]) THEN
      RETURN;
    END IF;
    scope.restricted := true;
  END IF;
  IF scope.restricted THEN
    _few := colbert._method_few(index, query, effort);
    IF colbert._count_matching(scope, _few + 1) <= _few THEN
      keys := NULL;
      RETURN;
    END IF;
  END IF;
  SELECT c.keys, c.gains INTO keys, gains FROM colbert._ranked_candidates(index, query, scope, effort) AS c;
END
$_candidates$;

COMMENT ON FUNCTION colbert._candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents worth scoring and their gains; NULL when scoring the whole scope is the better way.';

CREATE OR REPLACE FUNCTION colbert._ranked_candidates(
  index colbert._index, query vector[], scope colbert._scope, effort colbert._effort,
  OUT keys text[], OUT gains float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_ranked_candidates$
BEGIN
  SELECT array_agg(c.doc_id ORDER BY c.rank), array_agg(c.gain ORDER BY c.rank)
    INTO keys, gains
    FROM colbert._method_candidates(index, query, scope, effort) WITH ORDINALITY AS c (doc_id, gain, rank);
END
$_ranked_candidates$;

COMMENT ON FUNCTION colbert._ranked_candidates(colbert._index, vector[], colbert._scope, colbert._effort) IS
  'The keys of the documents that the method of an index ranks first, and their gains.';

CREATE OR REPLACE FUNCTION colbert._count_visible(index colbert._index, scope colbert._scope, keys text[])
RETURNS bigint
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_count_visible$
DECLARE
  _statement text := format('SELECT pg_catalog.count(*) FROM %s AS d',
                            colbert._documents_of_keys_sql(scope.documents, (colbert._source_types(index)).key_cast));
  _visible bigint;
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE _statement INTO _visible USING NULL::pg_catalog.text, scope.params, keys;
  RETURN _visible;
END
$_count_visible$;

COMMENT ON FUNCTION colbert._count_visible(colbert._index, colbert._scope, text[]) IS
  'How many documents of a list are in a scope.';

-- The query of which candidates are found: where its tokens weigh other than 1, that whose heaviest token weighs 1, so
-- that no number is too large for halfvec. Gains are compared with each other alone.
CREATE OR REPLACE FUNCTION colbert._scaled_query(query vector[])
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_scaled_query$
DECLARE
  _weights float8[] := colbert._query_weights(query);
BEGIN
  RETURN CASE
           WHEN cardinality(_weights) = 0 THEN query
           ELSE ARRAY(SELECT colbert._scaled(colbert._unit(u.token), u.weight / (SELECT max(w) FROM unnest(_weights) AS w))
                        FROM unnest(query[:], _weights) WITH ORDINALITY AS u (token, weight, position)
                       ORDER BY u.position)
         END;
END
$_scaled_query$;

COMMENT ON FUNCTION colbert._scaled_query(vector[]) IS
  'The query with the weights of its tokens in proportion, the largest 1.';
$part$;

EXECUTE $part$
-- sql/functions/search/_score_candidates.sql
-- The exact scores of candidates, one by one in their order, until going on is not worth it. One plan for all of them:
-- a cursor stops where a statement for each would be planned anew.
--
-- The index knows a document's score only roughly: as its gain. A line through the gains and scores so far tells what
-- score to expect of the next candidate, and how far scores lie from that line, how sure that is. The search stops when
-- the next candidate would have to be margin standard deviations better than expected to be among the best k. That is
-- asked after every ten documents, and not before k + 20, when there are enough to judge by. Candidates come best first,
-- so all behind the next one are less likely still. (Residual standard deviation of a simple regression, with n - 2
-- degrees of freedom.)
--
-- Documents that score less than least_score are not wanted, so that the search also stops when the next candidate is
-- unlikely to reach that.
--
-- With a patience, the search stops when so many documents in a row did not get among the best k.
--
-- Candidates that are not in the scope (an index that is not in step may name documents that are gone) are passed over.
CREATE OR REPLACE FUNCTION colbert._score_candidates(
  index colbert._index, query vector[], scope colbert._scope, keys text[], gains float8[], effort colbert._effort,
  least_score float8)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_score_candidates$
DECLARE
  _types record := colbert._source_types(index);
  _statement text := colbert._scoring_sql(
    query, _types.element, colbert._documents_in_order_sql(scope.documents, _types.key_cast), false)
    || ' ORDER BY s.doc_id';
  _k constant integer := effort.k;
  _patience constant integer := effort.patience;
  _margin constant float8 := effort.margin;
  _scored refcursor;
  _rank integer;
  _best float8[] := ARRAY[]::float8[];  -- the best k scores so far, lowest first
  _place integer;
  _count integer := 0;
  _in_vain integer := 0;
  -- Sums for the line: of gains, scores, their squares and their product.
  _gain float8;
  _g float8 := 0;
  _s float8 := 0;
  _gg float8 := 0;
  _ss float8 := 0;
  _gs float8 := 0;
BEGIN
  -- From here on names and polymorphic operators are looked up where the caller looks: what is polymorphic names its schema.
  PERFORM set_config('search_path', scope.search_path, true);
  OPEN _scored FOR EXECUTE _statement USING query[:], scope.params, keys;
  LOOP
    FETCH _scored INTO _rank, score;
    EXIT WHEN NOT FOUND;
    doc_id := keys[_rank];
    RETURN NEXT;

    _place := pg_catalog.width_bucket(score, _best);
    IF _count < _k THEN
      _best := pg_catalog.array_cat(pg_catalog.array_append(_best[:_place], score), _best[_place + 1:]);
    ELSIF _place > 0 THEN
      _best := pg_catalog.array_cat(pg_catalog.array_append(_best[2:_place], score), _best[_place + 1:]);
      _in_vain := 0;
    ELSE
      _in_vain := _in_vain + 1;
      EXIT WHEN _in_vain >= _patience;
    END IF;

    _count := _count + 1;
    _gain := gains[_rank];
    _g := _g + _gain;
    _s := _s + score;
    _gg := _gg + _gain * _gain;
    _ss := _ss + score * score;
    _gs := _gs + _gain * score;
    EXIT WHEN _count >= _k + 20 AND _count % 10 = 0
          AND colbert._highest_expected(_count, _g, _s, _gg, _ss, _gs, gains[_rank + 1], _margin)
              < greatest(_best[1], least_score);
  END LOOP;
  CLOSE _scored;
END
$_score_candidates$;

COMMENT ON FUNCTION colbert._score_candidates(colbert._index, vector[], colbert._scope, text[], float8[], colbert._effort, float8) IS
  'The exact scores of candidates, in their order, until the next one is unlikely to be among the best.';

-- The score that a document of this gain reaches at the highest, by a line through count gains and scores, of which the
-- sums are given, and with margin standard deviations for what the line does not explain.
CREATE OR REPLACE FUNCTION colbert._highest_expected(
  count integer, gains float8, scores float8, gains_squared float8, scores_squared float8, products float8,
  gain float8, margin float8)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_highest_expected$
DECLARE
  _sxx float8 := gains_squared - gains * gains / count;
  _syy float8 := scores_squared - scores * scores / count;
  _sxy float8 := products - gains * scores / count;
  _slope float8 := CASE WHEN _sxx > 0 AND _sxy > 0 THEN _sxy / _sxx ELSE 0 END;
BEGIN
  RETURN (scores + _slope * (gain * count - gains)) / count
         + margin * sqrt(greatest(0, _syy - _slope * _sxy) / (count - 2));
END
$_highest_expected$;

COMMENT ON FUNCTION colbert._highest_expected(integer, float8, float8, float8, float8, float8, float8, float8) IS
  'The score that a document of a gain reaches at the highest, judged by a line through the gains and scores of others.';

-- SQL for the documents of a relation (doc_id, embeddings) whose keys are in $3, an array of text: doc_id is their place
-- in it. The order of an array that is unnested WITH ORDINALITY is known to the planner, which need not sort.
CREATE OR REPLACE FUNCTION colbert._documents_in_order_sql(documents text, key_cast text)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('(SELECT c.rank AS doc_id, d.embeddings'
              '   FROM pg_catalog.unnest($3::%s[]) WITH ORDINALITY AS c (key, rank)'
              '   JOIN %s AS d ON d.doc_id OPERATOR(pg_catalog.=) c.key)',
              key_cast, documents);

COMMENT ON FUNCTION colbert._documents_in_order_sql(text, text) IS
  'SQL for the documents of a relation whose keys are in $3, an array of text, by their place in it.';
$part$;

EXECUTE $part$
-- sql/functions/search/_begin_pass.sql
-- Makes ready for the exact scores of a whole scope: whether parallel workers are to find them, and the settings for that.
-- The caller has SET clauses for these, so that they end with it.
--
-- A thousand documents take one process about 0.2 s. Starting workers for fewer takes longer than it saves. Workers
-- group all tokens by document (_scoring_sql), for which each document takes 100 bytes and 16 for each query token.
-- Where that would come to more than 512 MB, or to more columns than a row can have, one process does it alone.
--
-- Where row-level security hides documents, those that are left are counted.
--
-- The arrays are long and stored apart, so that the size of the table tells the planner little about the work.
CREATE OR REPLACE FUNCTION colbert._begin_pass(
  index colbert._index, query vector[], scope colbert._scope)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_begin_pass$
DECLARE
  _documents float8 := (SELECT c.reltuples FROM pg_class AS c WHERE c.oid = index.source);
  _kilobytes float8 := 1.2 * _documents * (100 + 16 * cardinality(query)) / 1024;
BEGIN
  IF current_setting('max_parallel_workers_per_gather')::integer = 0 OR _documents < 1000
     OR _kilobytes > 524288 OR cardinality(query) > 1000
     OR row_security_active(index.source) AND colbert._count_matching(scope, 1000) < 1000 THEN
    RETURN false;
  END IF;
  PERFORM set_config('min_parallel_table_scan_size', '0', true),
          set_config('parallel_setup_cost', '0', true),
          set_config('parallel_tuple_cost', '0', true),
          set_config('work_mem', greatest(32768, ceil(_kilobytes))::text, true);
  RETURN true;
END
$_begin_pass$;

COMMENT ON FUNCTION colbert._begin_pass(colbert._index, vector[], colbert._scope) IS
  'Whether parallel workers are to score all documents, after setting what they need.';
$part$;

EXECUTE $part$
-- sql/functions/search/_search.sql
-- One search, from the query to its rows. An index over shards hands it on to them (_search_shards), and one that is kept
-- apart by tenant searches part by part (_search_tenants).
--
-- The function is STABLE, so that a search sees one snapshot. It reads only. key has the type in which keys are
-- returned. Ties follow the key's own type.
CREATE OR REPLACE FUNCTION colbert._search(
  source regclass, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _least_score float8;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, (colbert._source_types(_index)).key_base, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);
  IF _index.method = 'shards' THEN
    RETURN QUERY
      SELECT s.doc_id, s.score
        FROM colbert._search_shards(_index, query, key, k, filter, params, candidates, exact,
                                    search_path, min_score) AS s;
    RETURN;
  END IF;

  -- TRUNCATE and drop_index lock the source first, then the derived tables. In another order they and a search could
  -- wait for each other.
  EXECUTE format('SELECT FROM %s LIMIT 0', _index.source);
  IF colbert._tenant_column(_index) IS NULL THEN
    RETURN QUERY
      SELECT s.doc_id, s.score
        FROM colbert._search_documents(_index, query, key, k, filter, params, candidates, exact,
                                       search_path, _least_score) AS s;
  ELSE
    RETURN QUERY
      SELECT s.doc_id, s.score
        FROM colbert._search_tenants(_index, query, key, k, filter, params, candidates, exact,
                                     search_path, _least_score) AS s;
  END IF;
END
$_search$;

COMMENT ON FUNCTION colbert._search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of search; search_path is the caller''s.';

-- One search of the documents of an index, or of a part of it:
--
--   1. the scope: the documents that the filter and row-level security leave           (_scope)
--   2. candidates: the method of the index names the documents worth scoring, in order (_candidates)
--   3. scores: the exact MaxSim of the candidates, from the arrays, until going on      (_score_candidates)
--      is not worth it
--
-- Without candidates, or with fewer than k of them, all of the scope is scored: an index makes a search faster, never
-- shorter. That pass runs in parallel workers where they are worth starting (_begin_pass). Its settings hold
-- for that pass alone: with them, the planner starts workers for every look at the catalog, which takes ten times as long
-- as the rest of a search.
--
-- What scores less than least_score is left out at the very end, when there may be fewer than k.
CREATE OR REPLACE FUNCTION colbert._search_documents(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, least_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
SET min_parallel_table_scan_size = '8MB'
SET parallel_setup_cost = 1000
SET parallel_tuple_cost = 0.1
SET work_mem = '32MB'
AS $_search_documents$
DECLARE
  _types record := colbert._source_types(index);
  _scope colbert._scope := colbert._scope(index, filter, params, search_path);
  _effort colbert._effort;
  _found record;
  _keys text[];
  _scores float8[];
  _statement text;
BEGIN
  IF exact IS NOT TRUE THEN
    _effort := colbert._effort(index, _scope, cardinality(query), k, candidates);
    _found := colbert._candidates(index, query, _scope, _effort);
    IF cardinality(_found.keys) >= k THEN
      SELECT array_agg(s.doc_id), array_agg(s.score)
        INTO _keys, _scores
        FROM colbert._score_candidates(index, query, _scope, _found.keys, _found.gains, _effort,
                                       least_score) AS s;
    END IF;
  END IF;

  IF cardinality(_scores) >= _effort.k THEN
    RETURN QUERY EXECUTE format(
      'SELECT s.doc_id::%s, s.score FROM unnest($1::%s[], $2) AS s (doc_id, score) '
      ' WHERE $4 IS NULL OR s.score >= $4 ORDER BY s.score DESC, s.doc_id LIMIT $3',
      colbert._type_name(pg_typeof(key)), _types.key_cast)
      USING _keys, _scores, k, least_score;
  ELSE
    _statement := format(
      'SELECT r.doc_id::%s, r.score FROM (%s) AS r%s ORDER BY r.score DESC, r.doc_id LIMIT $3',
      colbert._type_name(pg_typeof(key)),
      colbert._scoring_sql(query, _types.element, _scope.documents, colbert._begin_pass(index, query, _scope)),
      CASE WHEN least_score IS NOT NULL THEN ' WHERE r.score >= $4' END);
    PERFORM set_config('search_path', _scope.search_path, true);
    RETURN QUERY EXECUTE _statement USING query[:], params, k, least_score;
  END IF;
END
$_search_documents$;

COMMENT ON FUNCTION colbert._search_documents(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The best documents of an index, or of a part of it, by their exact scores.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_visible_tenants.sql
-- The tenants of whom a search sees documents, as text. Without an index that begins with the tenant, all rows are read for
-- that.
CREATE OR REPLACE FUNCTION colbert._visible_tenants(
  index colbert._index, filter text, params jsonb, search_path text)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = on
AS $_visible_tenants$
DECLARE
  _statement text := colbert._visible_tenants_sql(index, filter);
  _tenants text[];
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params),
          set_config('enable_seqscan', (NOT colbert._leads_with_tenant(index))::text, true);
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE _statement INTO _tenants USING NULL::text, params;
  RETURN _tenants;
END
$_visible_tenants$;

COMMENT ON FUNCTION colbert._visible_tenants(colbert._index, text, jsonb, text) IS
  'The tenants of whom a search sees documents, as text.';

CREATE OR REPLACE FUNCTION colbert._visible_tenants_sql(index colbert._index, filter text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_visible_tenants_sql$
DECLARE
  _rows text := colbert._source_rows_sql(index, 'tenant', quote_ident(colbert._tenant_column(index)), filter);
BEGIN
  RETURN format('SELECT (%s)::pg_catalog.text[]',
                CASE WHEN colbert._leads_with_tenant(index) THEN colbert._tenants_of_sql(_rows)
                     ELSE format('ARRAY(SELECT DISTINCT r.tenant FROM %s AS r)', _rows) END);
END
$_visible_tenants_sql$;

COMMENT ON FUNCTION colbert._visible_tenants_sql(colbert._index, text) IS
  'SQL for the tenants of whom a search sees documents.';

-- Whether the filter or row-level security is a condition that the index looks up. Then the plan has a condition on the
-- tenant beside that of the recursion, which goes from one tenant to the next. How many rows are read otherwise is not
-- said: it would tell of rows that the caller does not see.
CREATE OR REPLACE FUNCTION colbert._looks_tenants_up(index colbert._index, filter text, params jsonb, search_path text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
AS $_looks_tenants_up$
DECLARE
  _statement text := 'EXPLAIN (FORMAT JSON) ' || colbert._visible_tenants_sql(index, filter);
  _plan json;
BEGIN
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE _statement INTO _plan USING NULL::pg_catalog.text, params;
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  RETURN EXISTS (SELECT
                   FROM jsonb_path_query(_plan::jsonb, '$.**."Index Cond"') AS c
                  WHERE strpos(c #>> '{}', colbert._tenant_column(index)) > 0
                    AND (strpos(c #>> '{}', 'seen.tenant') = 0 OR strpos(c #>> '{}', ' AND ') > 0));
END
$_looks_tenants_up$;

COMMENT ON FUNCTION colbert._looks_tenants_up(colbert._index, text, jsonb, text) IS
  'Whether what limits a search to some tenants is a condition that an index on them looks up.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_refuse_ambiguous.sql
-- Where keys are unique within a tenant only, a key that the caller sees in two tenants names no document: of all rows, or of
-- those that meet a filter, whether they have an array or not. With keys of NULL, all are looked at.
CREATE OR REPLACE FUNCTION colbert._refuse_ambiguous(
  index colbert._index, keys text[], filter text DEFAULT NULL, params jsonb DEFAULT NULL, search_path text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_ambiguous$
DECLARE
  _documents text;
  _key text;
BEGIN
  IF NOT colbert._key_within_tenant(index) THEN
    RETURN;
  END IF;
  _documents := colbert._documents_sql(index, filter);
  IF keys IS NOT NULL THEN
    _documents := colbert._documents_of_keys_sql(_documents, (colbert._source_types(index)).key_cast);
  END IF;
  IF filter IS NOT NULL THEN
    PERFORM set_config('search_path', search_path, true);
  END IF;
  EXECUTE pg_catalog.format(
    'SELECT d.doc_id::pg_catalog.text FROM %s AS d GROUP BY d.doc_id HAVING pg_catalog.count(*) OPERATOR(pg_catalog.>) 1 LIMIT 1',
    _documents)
     INTO _key
    USING NULL::pg_catalog.text, params, keys;
  IF _key IS NOT NULL THEN
    RAISE EXCEPTION 'document "%" of table "%" is there in several tenants', _key, index.source
      USING ERRCODE = 'cardinality_violation',
            DETAIL = pg_catalog.format('Keys of this table are unique together with "%s" only.', colbert._tenant_column(index)),
            HINT = 'Name one tenant in the filter, or ask as a role that sees one.';
  END IF;
END
$_refuse_ambiguous$;

COMMENT ON FUNCTION colbert._refuse_ambiguous(colbert._index, text[], text, jsonb, text) IS
  'Raises for a key that the caller sees in several tenants, where keys are unique within a tenant only.';

CREATE OR REPLACE FUNCTION colbert._key_within_tenant(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._tenant_column(index) IS NOT NULL AND NOT colbert._names_documents(index.source, index.key, NULL);
END;

COMMENT ON FUNCTION colbert._key_within_tenant(colbert._index) IS
  'Whether the keys of an index are unique within a tenant only.';
$part$;

EXECUTE $part$
-- sql/functions/tenants/_search_tenants.sql
-- One search of an index that is kept apart by tenant: each part that holds documents which the caller sees is searched by
-- itself, and the best k of all parts are the best of all. What the parts before have found is the least that a document
-- of the next one must score. A caller who sees one tenant reads what belongs to it, and nothing else.
CREATE OR REPLACE FUNCTION colbert._search_tenants(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, least_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_tenants$
DECLARE
  _key_cast text := (colbert._source_types(index)).key_cast;
  _part colbert._index;
  _found record;
  _keys text[] := ARRAY[]::text[];
  _scores float8[] := ARRAY[]::float8[];
BEGIN
  FOR _part IN
    SELECT p.* FROM colbert._parts_to_search(index, filter, params, exact, search_path) AS p
  LOOP
    SELECT array_agg(s.doc_id) AS keys, array_agg(s.score) AS scores
      INTO _found
      FROM colbert._search_documents(_part, query, NULL::text, k, filter, params, candidates, exact, search_path,
                                     CASE WHEN cardinality(_scores) < k THEN least_score
                                          ELSE greatest(least_score, _scores[k]) END) AS s;
    EXECUTE format(
      'SELECT coalesce(array_agg(b.doc_id::text), ''{}''), coalesce(array_agg(b.score), ''{}'') '
      '  FROM (SELECT f.doc_id::%s, f.score FROM unnest($1, $2) AS f (doc_id, score) '
      '         ORDER BY f.score DESC, 1 LIMIT $3) AS b', _key_cast)
       INTO _keys, _scores
      USING _keys || _found.keys, _scores || _found.scores, k;
  END LOOP;
  PERFORM colbert._refuse_ambiguous(index, _keys, filter, params, search_path);
  RETURN QUERY EXECUTE format(
    'SELECT f.doc_id::%s, f.score FROM unnest($1, $2) WITH ORDINALITY AS f (doc_id, score, rank) ORDER BY f.rank',
    colbert._type_name(pg_typeof(key)))
    USING _keys, _scores;
END
$_search_tenants$;

COMMENT ON FUNCTION colbert._search_tenants(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The body of a search of an index that is kept apart by tenant.';

CREATE OR REPLACE FUNCTION colbert._parts_to_search(
  index colbert._index, filter text, params jsonb, exact boolean, search_path text)
RETURNS SETOF colbert._index
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_parts_to_search$
BEGIN
  IF exact OR colbert._method_is_exact(index.method) THEN
    RETURN NEXT index;
  ELSE
    RETURN QUERY
      SELECT p.* FROM colbert._parts(index, colbert._visible_tenants(index, filter, params, search_path)) AS p;
  END IF;
END
$_parts_to_search$;

COMMENT ON FUNCTION colbert._parts_to_search(colbert._index, text, jsonb, boolean, text) IS
  'The parts of an index that a search goes through; the index itself where all documents are scored.';
$part$;

EXECUTE $part$
-- sql/functions/search/search.sql
-- The k documents of a table that answer a query best, best first, ties in the order of their keys. Scores are exact.
-- The index chooses which documents are scored, unless exact is true.
--
-- Keys are integers in the first form. In the others key names their type and takes no value: key => NULL::uuid for the
-- second form, key => NULL::text for the third, which serves keys of every type. The types are concrete, because
-- PostgreSQL resolves a polymorphic result by the place of an argument in the call. There is no form with key bigint: a
-- k of type smallint would fit it as well as k integer.
CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, NULL::bigint, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], integer, text, jsonb, integer, boolean, name, float8) IS
  'The k documents with the highest MaxSim, best first. filter is a condition over the table''s columns, its values in params; candidates, how many documents are scored exactly; exact, to score them all; min_score, the least that a result scores, as a mean over the query: the score divided by the sum of the query vectors'' lengths.';

CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  key uuid,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, key, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.search(
  source regclass,
  query vector[],
  key text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, query, key, k, filter, params, candidates, exact, embeddings,
                         current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search(regclass, vector[], text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
$part$;

EXECUTE $part$
-- sql/functions/search/_rerank.sql
-- The exact scores of the documents that ids name, best first, ties in the order of the key's own type. Keys are
-- returned as the type of the ids.
CREATE OR REPLACE FUNCTION colbert._rerank(
  source regclass, query vector[], ids anyarray, k integer, embeddings name, min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_rerank$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _id_type regtype := (SELECT t.typelem FROM pg_type AS t WHERE t.oid = pg_typeof(ids));
BEGIN
  PERFORM colbert._refuse_query(_index, query),
          colbert._refuse_key_type(_index.source, _types.key_base, _id_type);
  IF k IS NOT NULL THEN
    PERFORM colbert._refuse_count('k', k);
  END IF;
  IF _index.method = 'shards' THEN
    RETURN QUERY EXECUTE format(
      'SELECT a.doc_id::%s, a.score FROM colbert._answers_of_shards($1, $2) AS a '
      ' ORDER BY a.score DESC, a.doc_id::%s LIMIT $3',
      format_type(_id_type, -1), _types.key_cast)
      USING _index,
            format('colbert.rerank(%%L, %s, %s::pg_catalog.text[], %L::pg_catalog.int4, %L, %L::pg_catalog.float8)',
                   replace(quote_literal(query), '%', '%%'), replace(quote_literal(ids), '%', '%%'),
                   k, replace(_index.embeddings, '%', '%%'), min_score),
            k;
    RETURN;
  END IF;

  PERFORM colbert._refuse_ambiguous(_index, ids::text[]);
  RETURN QUERY EXECUTE format(
    'SELECT r.doc_id::%s, r.score FROM (%s) AS r%s ORDER BY r.score DESC, r.doc_id LIMIT $4',
    format_type(_id_type, -1),
    colbert._scoring_sql(
      query, _types.element,
      colbert._documents_of_keys_sql((colbert._scope(_index, NULL, NULL, NULL)).documents, _types.key_cast),
      false),
    CASE WHEN min_score IS NOT NULL THEN ' WHERE r.score >= $5' END)
    USING query[:], NULL::jsonb, ids::text[], k, colbert._least_score(_index, query, min_score);
END
$_rerank$;

COMMENT ON FUNCTION colbert._rerank(regclass, vector[], anyarray, integer, name, float8) IS
  'The body of all forms of rerank.';
$part$;

EXECUTE $part$
-- sql/functions/search/rerank.sql
-- The exact MaxSim of the documents that some first stage has found: full text, a dense column, business rules. Best
-- first, ties in the order of their keys. Left out are keys that are not there, that the caller may not see, or that
-- have no tokens, or score less than min_score.
--
-- Keys are returned as the type of the ids. text[] serves keys of every type.
CREATE OR REPLACE FUNCTION colbert.rerank(
  source regclass,
  query vector[],
  ids bigint[],
  k integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
BEGIN ATOMIC
  SELECT r.doc_id, r.score
    FROM colbert._rerank(source, query, ids, k, embeddings, min_score) AS r;
END;

COMMENT ON FUNCTION colbert.rerank(regclass, vector[], bigint[], integer, name, float8) IS
  'The exact MaxSim of the documents with these keys, best first: the second stage for any first one. min_score is as in search.';

CREATE OR REPLACE FUNCTION colbert.rerank(
  source regclass,
  query vector[],
  ids uuid[],
  k integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
BEGIN ATOMIC
  SELECT r.doc_id, r.score
    FROM colbert._rerank(source, query, ids, k, embeddings, min_score) AS r;
END;

COMMENT ON FUNCTION colbert.rerank(regclass, vector[], uuid[], integer, name, float8) IS
  'The same for keys of type uuid.';

CREATE OR REPLACE FUNCTION colbert.rerank(
  source regclass,
  query vector[],
  ids text[],
  k integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
BEGIN ATOMIC
  SELECT r.doc_id, r.score
    FROM colbert._rerank(source, query, ids, k, embeddings, min_score) AS r;
END;

COMMENT ON FUNCTION colbert.rerank(regclass, vector[], text[], integer, name, float8) IS
  'The same for text keys, and for keys of any other type as text.';
$part$;

EXECUTE $part$
-- sql/functions/search/_search_parents.sql
-- One search for parents. Chunks that rank high name the parents worth scoring, and then all chunks of these are
-- scored. key has the type in which keys of parents are returned. Where that is bigint, so are those of chunks.
CREATE OR REPLACE FUNCTION colbert._search_parents(
  source regclass, query vector[], parent name, key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text, min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id anyelement, score float8, doc_id text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
SET min_parallel_table_scan_size = '8MB'
SET parallel_setup_cost = 1000
SET parallel_tuple_cost = 0.1
SET work_mem = '32MB'
AS $_search_parents$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _scope colbert._scope := colbert._scope(_index, filter, params, search_path);
  _documents text := _scope.documents;
  _chunks text[];
  _least_score float8;
  _parallel boolean := false;
  _statement text;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_parent(_index.source, parent, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);
  IF pg_typeof(key) = 'bigint'::regtype THEN
    PERFORM colbert._refuse_key_type(_index.source, _types.key_base, 'bigint');
  END IF;

  IF exact OR colbert._method_is_exact(_index.method) THEN
    _parallel := colbert._begin_pass(_index, query, _scope);
    PERFORM colbert._refuse_ambiguous(_index, NULL, filter, params, search_path);
  ELSE
    _chunks := colbert._chunks_of_parents(_index, query, parent, k, filter, params, candidates, search_path,
                                           min_score);
    _documents := colbert._documents_of_keys_sql(_documents, _types.key_cast);
    PERFORM colbert._refuse_ambiguous(_index, coalesce(_chunks, '{}'), filter, params, search_path);
  END IF;

  _statement := format(
    'SELECT b.parent::%1$s, b.score, b.doc_id'
    '  FROM (SELECT DISTINCT ON (c.%2$I) c.%2$I AS parent, r.score, r.doc_id::pg_catalog.text'
    '          FROM (%3$s) AS r'
    '          JOIN %4$s AS c ON c.%5$I OPERATOR(pg_catalog.=) r.doc_id'
    '         WHERE c.%2$I IS NOT NULL'
    '         ORDER BY c.%2$I, r.score DESC, r.doc_id) AS b%6$s'
    ' ORDER BY b.score DESC, b.parent LIMIT $4',
    colbert._type_name(pg_typeof(key)), parent,
    colbert._scoring_sql(query, _types.element, _documents, _parallel),
    _index.source, _index.key, CASE WHEN _least_score IS NOT NULL THEN ' WHERE b.score >= $5' END);
  PERFORM set_config('search_path', _scope.search_path, true);
  RETURN QUERY EXECUTE _statement USING query[:], params, _chunks, k, _least_score;
END
$_search_parents$;

COMMENT ON FUNCTION colbert._search_parents(regclass, vector[], name, anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of search_parents; search_path is the caller''s.';

-- The keys, as text, of all chunks of the parents worth scoring: twice as many parents as are asked for. The search for
-- chunks grows until it has found k parents, or has returned all there is, or all that reaches min_score.
CREATE OR REPLACE FUNCTION colbert._chunks_of_parents(
  index colbert._index, query vector[], parent name, k integer, filter text, params jsonb,
  candidates integer, search_path text, min_score float8)
RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_chunks_of_parents$
DECLARE
  _key_cast text := (colbert._source_types(index)).key_cast;
  _wanted integer := colbert._to_count(4 * k::bigint);
  _found text[];
  _parents text[];
  _chunks text[];
BEGIN
  LOOP
    SELECT array_agg(s.doc_id ORDER BY s.rank)
      INTO _found
      FROM colbert._search(index.source, query, NULL::text, _wanted, filter, params, candidates, false,
                           index.embeddings, search_path, min_score) WITH ORDINALITY AS s (doc_id, score, rank);
    EXECUTE format(
      'SELECT array_agg(p.parent)'
      '  FROM (SELECT c.%1$I::pg_catalog.text AS parent'
      '          FROM unnest($1::%2$s[]) WITH ORDINALITY AS f (doc_id, place)'
      '          JOIN %3$s AS c ON c.%4$I = f.doc_id'
      '         WHERE c.%1$I IS NOT NULL'
      '         GROUP BY c.%1$I'
      '         ORDER BY min(f.place)'
      '         LIMIT 2 * $2::bigint) AS p',
      parent, _key_cast, index.source, index.key)
       INTO _parents
      USING _found, k;
    EXIT WHEN cardinality(_parents) >= k
           OR coalesce(cardinality(_found), 0) < _wanted
           OR _wanted = colbert._largest_count();
    _wanted := colbert._to_count(4 * _wanted::bigint);
  END LOOP;

  EXECUTE format('SELECT array_agg(c.%I::pg_catalog.text) FROM %s AS c WHERE c.%I = ANY ($1::%s[])',
                 index.key, index.source, parent, colbert._parent_type(index.source, parent))
     INTO _chunks
    USING _parents;
  RETURN _chunks;
END
$_chunks_of_parents$;

COMMENT ON FUNCTION colbert._chunks_of_parents(colbert._index, vector[], name, integer, text, jsonb, integer, text, float8) IS
  'The keys of all chunks of the parents that a search for chunks finds.';

CREATE OR REPLACE FUNCTION colbert._parent_type(source regclass, parent name)
RETURNS regtype
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT colbert._base_type(a.atttypid)
    FROM pg_catalog.pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = parent AND NOT a.attisdropped;
END;

COMMENT ON FUNCTION colbert._parent_type(regclass, name) IS
  'The type of a column, without domains; NULL when there is no such column.';

CREATE OR REPLACE FUNCTION colbert._refuse_parent(source regclass, parent name, given regtype)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_parent$
DECLARE
  _type regtype := colbert._parent_type(source, parent);
BEGIN
  IF _type IS NULL THEN
    RAISE EXCEPTION 'parent column % of table "%" does not exist', coalesce('"' || parent || '"', 'NULL'), source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column that says which document a chunk belongs to: parent => ''document_id''.';
  END IF;
  PERFORM colbert._refuse_key_type(source, _type, given);
END
$_refuse_parent$;

COMMENT ON FUNCTION colbert._refuse_parent(regclass, name, regtype) IS
  'Raises unless the column of parents is there, and of the type in which parents are returned.';
$part$;

EXECUTE $part$
-- sql/functions/search/search_parents.sql
-- The k parents that answer a query best, where the rows of the source are chunks of longer documents. The score of a
-- parent is that of its best chunk, which is named beside it. k parents come back whenever k exist, however many chunks
-- of one of them rank ahead of the next. Best first, ties in the order of the parents' keys. Chunks without a parent
-- are left out.
--
-- Scores are exact, and the best chunk is the best of all that meet the filter: all chunks of a parent that is found
-- are scored.
--
-- Keys of parents and of chunks are integers in the first form. In the others key names the type of the parents' keys,
-- as in search, and those of chunks come as text.
CREATE OR REPLACE FUNCTION colbert.search_parents(
  source regclass,
  query vector[],
  parent name,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id bigint, score float8, doc_id bigint)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.parent_id, s.score, s.doc_id::bigint
    FROM colbert._search_parents(source, query, parent, NULL::bigint, k, filter, params, candidates, exact, embeddings,
                                 current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_parents(regclass, vector[], name, integer, text, jsonb, integer, boolean, name, float8) IS
  'The k parents with the best chunk, best first, and that chunk: for long documents whose chunks are the rows of the table, and parent its column that names the document. The rest is as in search.';

CREATE OR REPLACE FUNCTION colbert.search_parents(
  source regclass,
  query vector[],
  parent name,
  key uuid,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id uuid, score float8, doc_id text)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.parent_id, s.score, s.doc_id
    FROM colbert._search_parents(source, query, parent, key, k, filter, params, candidates, exact, embeddings,
                                 current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_parents(regclass, vector[], name, uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for parents whose keys are of type uuid: key => NULL::uuid. Keys of chunks come as text.';

CREATE OR REPLACE FUNCTION colbert.search_parents(
  source regclass,
  query vector[],
  parent name,
  key text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (parent_id text, score float8, doc_id text)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.parent_id, s.score, s.doc_id
    FROM colbert._search_parents(source, query, parent, key, k, filter, params, candidates, exact, embeddings,
                                 current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_parents(regclass, vector[], name, text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for text keys of parents, and for keys of any other type, which come as text: key => NULL::text. Keys of chunks come as text.';
$part$;

EXECUTE $part$
-- sql/functions/search/_text_search.sql
-- The full-text part of hybrid search: the documents whose text answers some words best, best first, at most so many,
-- ties in the order of their keys.
--
-- A document's score is the sum over the words' lexemes of ts_rank(document, lexeme), each weighted by how rare the
-- lexeme is: ln(1 + (N - n + 0.5) / (n + 0.5)), where n of the N documents that were found hold it. That is BM25's
-- weight (Robertson and Zaragoza 2009), which PostgreSQL's ranking functions lack. ts_rank brings what grows less and
-- less with the occurrences in a document, and the weights of a tsvector's labels. On SciFact it finds .67 (nDCG@10),
-- ts_rank of the whole query .60, and ts_rank_cd .47 (benchmarks/hybrid.py).
--
-- Cost: every document that matches is read. All counts are of documents that the search may see, so that they show
-- nothing of what a filter or row-level security hides.
CREATE OR REPLACE FUNCTION colbert._text_search(
  index colbert._index, words text, key anyelement, content text, language regconfig, match text,
  filter text, params jsonb, search_path text, candidates integer)
RETURNS TABLE (doc_id anyelement, rank integer, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_text_search$
DECLARE
  _lexemes tsquery[] := ARRAY(
    SELECT colbert._lexeme_query(l) FROM unnest(tsvector_to_array(to_tsvector(language, words))) AS l);
  _query tsquery := CASE match
                      WHEN 'any' THEN (SELECT string_agg(l::text, ' | ')::tsquery FROM unnest(_lexemes) AS l)
                      WHEN 'websearch' THEN websearch_to_tsquery(language, words)
                    END;
BEGIN
  RETURN QUERY
    WITH term AS MATERIALIZED (
      SELECT t.doc_id, t.lexeme, t.rank
        FROM colbert._text_terms(index, key, content, language, filter, params, search_path,
                                 _query, _lexemes) AS t
    ), total AS (
      SELECT count(DISTINCT t.doc_id)::float8 AS documents FROM term AS t
    ), weight AS (
      SELECT t.lexeme, ln(1 + (n.documents - count(*) + 0.5) / (count(*) + 0.5)) AS weight
        FROM term AS t
       CROSS JOIN total AS n
       GROUP BY t.lexeme, n.documents
    ), found AS (
      SELECT t.doc_id, sum(t.rank * w.weight ORDER BY t.lexeme) AS score
        FROM term AS t
        JOIN weight AS w ON w.lexeme = t.lexeme
       GROUP BY t.doc_id
    )
    SELECT f.doc_id, (row_number() OVER (ORDER BY f.score DESC, f.doc_id))::integer, f.score
      FROM found AS f
     ORDER BY 2
     LIMIT candidates;
END
$_text_search$;

COMMENT ON FUNCTION colbert._text_search(colbert._index, text, anyelement, text, regconfig, text, text, jsonb, text, integer) IS
  'The documents whose text answers some words best, with their ranks and scores.';

-- Which lexemes of a query are in which documents, and with what ts_rank: a row for each such pair, with the lexeme by
-- its place in the array. The documents are those that match the query and meet the filter. Filter and content run
-- under the caller's search_path.
CREATE OR REPLACE FUNCTION colbert._text_terms(
  index colbert._index, key anyelement, content text, language regconfig,
  filter text, params jsonb, search_path text, query tsquery, lexemes tsquery[])
RETURNS TABLE (doc_id anyelement, lexeme integer, rank float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10000
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_text_terms$
DECLARE
  _document text := colbert._tsvector_sql(index, content, language, search_path);
  _documents text := colbert._source_rows_sql(index, 'document', _document, filter);
  _statement text;
BEGIN
  -- Concatenating nothing takes a stored document out of its compressed form once, not once for each lexeme.
  _statement := format(
    $terms$
    SELECT m.doc_id::%s, l.lexeme::integer, pg_catalog.ts_rank(m.document, l.query)::pg_catalog.float8
      FROM (SELECT d.doc_id, d.document OPERATOR(pg_catalog.||) ''::pg_catalog.tsvector AS document
              FROM %s AS d
             WHERE d.document OPERATOR(pg_catalog.@@) $3
            OFFSET 0) AS m
     CROSS JOIN pg_catalog.unnest($4) WITH ORDINALITY AS l (query, lexeme)
     WHERE m.document OPERATOR(pg_catalog.@@) l.query
    $terms$,
    colbert._type_name(pg_typeof(key)), _documents);
  PERFORM set_config('search_path', search_path, true);
  RETURN QUERY EXECUTE _statement USING NULL::pg_catalog.text, params, query, lexemes;
END
$_text_terms$;

COMMENT ON FUNCTION colbert._text_terms(colbert._index, anyelement, text, regconfig, text, jsonb, text, tsquery, tsquery[]) IS
  'A row for each document that matches a query and each lexeme in it, with ts_rank.';

-- content is an expression over the columns of the source that gives a tsvector or a text.
CREATE OR REPLACE FUNCTION colbert._tsvector_sql(
  index colbert._index, content text, language regconfig, search_path text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tsvector_sql$
DECLARE
  _statement text := format(
    'SELECT pg_catalog.pg_typeof(d.content) FROM (SELECT) AS one'
    '  LEFT JOIN (SELECT (%s%s) AS content FROM %s LIMIT 0) AS d ON true', content, E'\n', index.source);
  _hint text := format('Name a column of table "%s", or an expression over its columns, that is text or tsvector: '
                       'content => ''title || '''' '''' || body''.', index.source);
  _type regtype;
BEGIN
  PERFORM set_config('search_path', search_path, true);
  BEGIN
    EXECUTE _statement INTO _type;
  EXCEPTION WHEN undefined_column THEN
    RAISE EXCEPTION 'content: %', SQLERRM
      USING ERRCODE = 'undefined_column', HINT = _hint;
  END;
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
  CASE
    WHEN _type = 'tsvector'::regtype THEN
      RETURN format(E'(%s\n)', content);
    WHEN (SELECT t.typcategory = 'S' FROM pg_type AS t WHERE t.oid = colbert._base_type(_type)) THEN
      RETURN format(E'pg_catalog.to_tsvector(%L::pg_catalog.regconfig, (%s\n)::pg_catalog.text)',
                    language::oid, content);
    ELSE
      RAISE EXCEPTION 'content is of type %, neither text nor tsvector', _type
        USING ERRCODE = 'datatype_mismatch',
              HINT = format('Name a column of "%s" or an expression over its columns that is one: '
                            'content => ''title || '''' '''' || body''.', index.source);
  END CASE;
END
$_tsvector_sql$;

COMMENT ON FUNCTION colbert._tsvector_sql(colbert._index, text, regconfig, text) IS
  'SQL for the tsvector of a document; raises for content that is neither text nor tsvector.';

-- The lexeme is taken as it is: it may hold quotes and backslashes.
CREATE OR REPLACE FUNCTION colbert._lexeme_query(lexeme text)
RETURNS tsquery
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery;

COMMENT ON FUNCTION colbert._lexeme_query(text) IS 'A tsquery for one lexeme.';
$part$;

EXECUTE $part$
-- sql/functions/search/_word_counts.sql
-- About how many documents of a hybrid search there are, and how many of them hold each of some lexemes, without
-- reading them all. NULL where PostgreSQL has no index in which to look the lexemes up.
--
-- The planner is asked. From the last ANALYZE it knows the share of the thousand most frequent lexemes, or as many as
-- the column's statistics target gives. Of the others it only knows that they are rare: it expects as many as of a
-- lexeme that nobody uses. Those are counted, five hundred documents at most. What is more frequent than that is
-- measured by how far into the table the first five hundred reach: an index scan comes to documents in the order of
-- their place. More than one in forty would be among the most frequent, which ANALYZE knows.
--
-- The estimates are of the whole table and of the filter's share of it. Whom row-level security limits must not learn
-- from them, so they are not for such callers (_text_part).
CREATE OR REPLACE FUNCTION colbert._word_counts(
  index colbert._index, document text, lexemes tsquery[], filter text, params jsonb, search_path text,
  OUT documents float8, OUT counts float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_word_counts$
DECLARE
  _at_most constant integer := 500;
  _planned float8[] := colbert._planned_rows(
    ARRAY[colbert._holders_sql(index, document, NULL, filter),
          colbert._holders_sql(index, document, '''no such lexeme''', filter)]
    || ARRAY(SELECT colbert._holders_sql(index, document, l.lexeme, filter)
               FROM unnest(lexemes) WITH ORDINALITY AS l (lexeme, position) ORDER BY l.position),
    params, search_path);
  _knows boolean := _planned[2] < (SELECT max(p) FROM unnest(_planned[3:]) AS p);  -- what ANALYZE has seen
  _counted record;
BEGIN
  IF _planned IS NULL THEN
    RETURN;
  END IF;
  documents := CASE WHEN filter IS NULL THEN _planned[1]
                    ELSE colbert._filtered_rows(index, filter, params, search_path, _planned[1]) END;
  counts := ARRAY(SELECT documents * least(1, p / _planned[1])
                    FROM unnest(_planned[3:]) WITH ORDINALITY AS p (p, position) ORDER BY position);
  FOR _position IN 1 .. cardinality(counts) LOOP
    IF _planned[2 + _position] <= _planned[2] THEN
      _counted := colbert._count_holders(
        colbert._holders_sql(index, document, lexemes[_position], filter), params, search_path, _at_most, true);
      counts[_position] := CASE
        WHEN _counted.holders < _at_most THEN _counted.holders
        ELSE greatest(_at_most, colbert._likely_holders(
               index, documents, CASE WHEN _knows THEN documents / 40 ELSE documents END,
               _counted.holders, _counted.pages))
      END;
    END IF;
  END LOOP;
  documents := greatest(documents, (SELECT max(c) FROM unnest(counts) AS c));
END
$_word_counts$;

COMMENT ON FUNCTION colbert._word_counts(colbert._index, text, tsquery[], text, jsonb, text) IS
  'About how many documents meet a filter, and how many of them hold each of some lexemes; NULLs where no index knows.';

-- The places of the documents that hold a lexeme and meet the filter; of all that meet the filter where lexeme is NULL.
-- document is SQL for the tsvector of a row.
CREATE OR REPLACE FUNCTION colbert._holders_sql(index colbert._index, document text, lexeme tsquery, filter text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  '(SELECT d.place FROM %s AS d)',
  colbert._source_rows_sql(
    index, 'place', 'ctid',
    CASE
      WHEN lexeme IS NULL THEN filter
      ELSE concat('(' || filter || E'\n) AND ', document,
                  format(' OPERATOR(pg_catalog.@@) %L::pg_catalog.tsquery', lexeme))
    END));

COMMENT ON FUNCTION colbert._holders_sql(colbert._index, text, tsquery, text) IS
  'SQL for the places of the documents that hold a lexeme and meet a filter.';

-- How many rows the planner expects of each of some relations, given as SQL. NULL where none of them is found in an
-- index by its lexemes. EXPLAIN reads nothing. It counts as no reading statement, so that a STABLE function may not run
-- it: hence the function is VOLATILE. Its settings make the planner show whether there is an index.
CREATE OR REPLACE FUNCTION colbert._planned_rows(relations text[], params jsonb, search_path text)
RETURNS float8[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET max_parallel_workers_per_gather = 0
AS $_planned_rows$
DECLARE
  _statement text := format(
    'EXPLAIN (FORMAT JSON) SELECT %s',
    (SELECT string_agg(format('(SELECT pg_catalog.count(*) FROM %s AS r)', r.relation), ', ' ORDER BY r.position)
       FROM unnest(relations) WITH ORDINALITY AS r (relation, position)));
  _plan jsonb;
BEGIN
  PERFORM set_config('search_path', search_path, true);
  EXECUTE _statement INTO _plan USING NULL::pg_catalog.text, params;
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
  IF NOT jsonb_path_exists(_plan, '$.**."Index Cond" ? (@ like_regex "@@")') THEN
    RETURN NULL;
  END IF;
  RETURN ARRAY(SELECT jsonb_path_query_first(
                        c.plan, '$.Plans[*] ? (@."Parent Relationship" == "Outer")."Plan Rows"')::float8
                 FROM jsonb_array_elements(_plan #> '{0, Plan, Plans}') WITH ORDINALITY AS c (plan, position)
                ORDER BY c.position);
END
$_planned_rows$;

COMMENT ON FUNCTION colbert._planned_rows(text[], jsonb, text) IS
  'How many rows the planner expects of some relations, given as SQL; NULL where no index answers for their lexemes.';

-- Counts the rows of a relation of places, no further than at_most, and the pages of the table up to the last of them.
-- by_index keeps the planner from reading the table, where an index knows the rows.
CREATE OR REPLACE FUNCTION colbert._count_holders(
  relation text, params jsonb, search_path text, at_most integer, by_index boolean,
  OUT holders bigint, OUT pages bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = on
SET jit = off
AS $_count_holders$
BEGIN
  IF by_index THEN
    PERFORM set_config('enable_seqscan', 'off', true);
  END IF;
  PERFORM set_config('search_path', search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.count(*),'
    '       1 OPERATOR(pg_catalog.+) pg_catalog.max((m.place::pg_catalog.text::pg_catalog.point)[0])'
    '  FROM (SELECT r.place FROM %s AS r LIMIT $3) AS m', relation)
     INTO holders, pages
    USING NULL::pg_catalog.text, params, at_most;
END
$_count_holders$;

COMMENT ON FUNCTION colbert._count_holders(text, jsonb, text, integer, boolean) IS
  'How many rows a relation of places has, counted no further than at_most, and how many pages they reach over.';

-- About how many documents meet a filter. What the planner expects is good for a comparison of a column with a value.
-- For other expressions it can be too low by a hundred times. How far into the table the first hundred reach is good
-- where they are spread evenly. Both are too low when they are wrong, mostly, so the higher one is taken.
CREATE OR REPLACE FUNCTION colbert._filtered_rows(
  index colbert._index, filter text, params jsonb, search_path text, planned float8)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_filtered_rows$
DECLARE
  _at_most constant integer := 100;
  _counted record := colbert._count_holders(
    colbert._holders_sql(index, NULL, NULL, filter), params, search_path, _at_most, false);
BEGIN
  RETURN CASE
    WHEN _counted.holders < _at_most THEN greatest(1, _counted.holders)
    ELSE greatest(_at_most, planned, _counted.holders * colbert._pages(index.source) / _counted.pages)
  END;
END
$_filtered_rows$;

COMMENT ON FUNCTION colbert._filtered_rows(colbert._index, text, jsonb, text, float8) IS
  'About how many documents meet a filter.';

-- The pages of a table. NULL for a partitioned one: each of its partitions has pages of its own, which say nothing of
-- those of the others.
CREATE OR REPLACE FUNCTION colbert._pages(source regclass)
RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::float8
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = source AND c.relkind = 'r';
END;

COMMENT ON FUNCTION colbert._pages(regclass) IS 'The pages of a table; NULL for a partitioned one.';

-- How many of so many documents hold a lexeme, when the first of them, so many, are on the first pages of the table.
-- Where pages say nothing, one in two hundred is between what is possible.
CREATE OR REPLACE FUNCTION colbert._likely_holders(
  index colbert._index, documents float8, at_most float8, holders bigint, pages bigint)
RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(at_most, coalesce(holders * colbert._pages(index.source) / pages, documents / 200));

COMMENT ON FUNCTION colbert._likely_holders(colbert._index, float8, float8, bigint, bigint) IS
  'How many documents hold a lexeme, when the first of them reach over so many pages.';
$part$;

EXECUTE $part$
-- sql/functions/search/_shortlist_query.sql
-- The tsquery for the documents that are worth ranking among those that hold any of some lexemes: a document is on the
-- shortlist when the weights of the lexemes that it holds add up to a bound. The bound is as low as it can be while
-- about so many documents reach it. Written as a tsquery that is "holds one of these sets of lexemes", of the smallest
-- sets that reach the bound. Few documents do, and PostgreSQL's GIN index finds them without coming to all the others.
-- It walks along the rarest lexemes and skips through the rest. That is what WAND does (Broder et al. 2003), with a
-- bound that is chosen before.
--
--   matches    how many documents the shortlist should have, about. Lexemes count as independent of each other. In
--              texts they are not: two to ten times as many come.
--   steps      how many documents the index may come to. Each set has one of the rarest lexemes, which together have so
--              many documents.
--
-- At most six lexemes take part, the rarest: sets are many, and the index tries them all on each document that it comes
-- to. With eight lexemes a search of a million documents took up to six times as long and found no more.
--
-- NULL where a shortlist would be no shorter than what holds any of the lexemes.
CREATE OR REPLACE FUNCTION colbert._shortlist_query(
  lexemes tsquery[], weights float8[], counts float8[], documents float8, matches float8, steps float8)
RETURNS tsquery
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shortlist_query$
DECLARE
  _lexemes text[];
  _weights float8[];
  _counts float8[];
  _walked integer;  -- how many of them, the rarest first, the index may walk along
  _all integer;
  _bits integer[] := ARRAY[1, 2, 4, 8, 16, 32];
  _weight float8[] := ARRAY[]::float8[];  -- of each set: what its lexemes weigh in all
  _rest float8[] := ARRAY[]::float8[];    -- and without the last, which weighs least
  _likely float8[] := ARRAY[]::float8[];  -- how many documents hold it
  _candidate float8;
  _bound float8;
  _sum float8;
  _alternatives text[] := ARRAY[]::text[];
  _others text[];
  _alone integer := 0;
BEGIN
  SELECT array_agg(f.lexeme::text ORDER BY f.place), array_agg(f.weight ORDER BY f.place),
         array_agg(f.count ORDER BY f.place),
         greatest(1, count(*) FILTER (WHERE f.sum <= steps AND f.place <= 6)), count(*)
    INTO _lexemes, _weights, _counts, _walked, _all
    FROM (SELECT l.lexeme, l.weight, l.count, row_number() OVER by_rarity AS place, sum(l.count) OVER by_rarity AS sum
            FROM unnest(lexemes, weights, counts) WITH ORDINALITY AS l (lexeme, weight, count, position)
           WHERE l.count > 0
          WINDOW by_rarity AS (ORDER BY l.count, l.position)) AS f;
  IF _all IS NULL OR _all < 2 THEN
    RETURN NULL;
  END IF;

  -- A set is a number whose bits are its lexemes.
  FOR _set IN 1 .. (1 << least(6, _all)) - 1 LOOP
    _weight[_set] := 0;
    _rest[_set] := 0;
    _likely[_set] := documents;
    FOR _place IN 1 .. least(6, _all) LOOP
      IF _set & _bits[_place] > 0 THEN
        _rest[_set] := _weight[_set];
        _weight[_set] := _weight[_set] + _weights[_place];
        _likely[_set] := _likely[_set] * _counts[_place] / documents;
      END IF;
    END LOOP;
    IF _set & ((1 << _walked) - 1) = 0 THEN
      _weight[_set] := NULL;
    END IF;
  END LOOP;

  FOREACH _candidate IN ARRAY ARRAY(SELECT w FROM unnest(_weight) AS w WHERE w IS NOT NULL ORDER BY w DESC) LOOP
    _sum := 0;
    FOR _set IN 1 .. cardinality(_weight) LOOP
      IF _weight[_set] >= _candidate AND _rest[_set] < _candidate THEN
        _sum := _sum + _likely[_set];
      END IF;
    END LOOP;
    EXIT WHEN _bound IS NOT NULL AND _sum > matches;
    _bound := _candidate;
  END LOOP;

  FOR _first IN 1 .. _walked LOOP
    _others := ARRAY[]::text[];
    FOR _set IN 1 .. cardinality(_weight) LOOP
      IF _set & ((1 << _first) - 1) = _bits[_first] AND _weight[_set] >= _bound AND _rest[_set] < _bound THEN
        _others := _others || (SELECT string_agg(_lexemes[p], ' & ' ORDER BY p)
                                 FROM generate_series(_first + 1, least(6, _all)) AS p
                                WHERE _set & _bits[p] > 0);
      END IF;
    END LOOP;
    IF array_position(_others, NULL) > 0 THEN  -- it is a set by itself
      _alone := _alone + 1;
      _alternatives := _alternatives || _lexemes[_first];
    ELSIF cardinality(_others) > 0 THEN
      _alternatives := _alternatives || format('%s & (%s)', _lexemes[_first], array_to_string(_others, ' | '));
    END IF;
  END LOOP;
  RETURN CASE WHEN _alone < _all THEN array_to_string(_alternatives, ' | ')::tsquery END;
END
$_shortlist_query$;

COMMENT ON FUNCTION colbert._shortlist_query(tsquery[], float8[], float8[], float8, float8, float8) IS
  'A tsquery for about so many documents, those that hold the most, by weight, of some lexemes; NULL where all of them would be as few.';
$part$;

EXECUTE $part$
-- sql/functions/search/_text_part.sql
-- The full-text part of hybrid search: the documents whose text answers some words best, best first, at most so many.
-- It goes one of two ways:
--
--   all of them    every document that matches is read and ranked (_text_search). For small tables and few matches, for
--                  match 'websearch', for exact searches, without an index on the text, and under row-level security,
--                  where counts may only be of what the caller sees.
--   a shortlist    of the documents that hold any of the words, those are read that hold the most of them, by weight
--                  (_shortlist). What it costs hardly grows with the table.
CREATE OR REPLACE FUNCTION colbert._text_part(
  index colbert._index, words text, key anyelement, content text, language regconfig, match text,
  filter text, params jsonb, search_path text, candidates integer, exact boolean)
RETURNS TABLE (doc_id anyelement, rank integer, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_text_part$
BEGIN
  IF match = 'any' AND exact IS NOT TRUE
     AND colbert._estimated_rows(index.source) >= 1000
     AND NOT row_security_active(index.source) THEN
    RETURN QUERY SELECT s.doc_id, s.rank, s.score
                   FROM colbert._shortlist(index, words, key, content, language, filter, params, search_path,
                                           candidates) AS s;
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  RETURN QUERY SELECT t.doc_id, t.rank, t.score
                 FROM colbert._text_search(index, words, key, content, language, match, filter, params, search_path,
                                           candidates) AS t;
END
$_text_part$;

COMMENT ON FUNCTION colbert._text_part(colbert._index, text, anyelement, text, regconfig, text, text, jsonb, text, integer, boolean) IS
  'The documents whose text answers some words best, with their ranks and scores: the body of hybrid_search for its words.';

-- The best of a shortlist, with the scores of _text_search: ts_rank of each lexeme times its weight. Only the counts
-- that the weights are made of are estimates (_word_counts). There are no rows where all that match should be read:
-- when they are few, when no index finds them, and when the shortlist has turned out too short.
--
-- The list is to have five times as many documents as are wanted, which count as a hundred at least, and the index may
-- come to 100 * sqrt(documents) of them. SET colbert.effort = 2 doubles both. On a million documents made of SciFact's
-- that takes 48 ms of processor time and finds .93 of the true ten best (benchmarks/results/hybrid_scaling.txt).
--
-- How many come is only known when they have come. Too few, and the next list is eight times as long. Twenty times as
-- many, and it is an eighth.
CREATE OR REPLACE FUNCTION colbert._shortlist(
  index colbert._index, words text, key anyelement, content text, language regconfig,
  filter text, params jsonb, search_path text, candidates integer)
RETURNS TABLE (doc_id anyelement, rank integer, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 100
SET search_path = pg_catalog, pg_temp
AS $_shortlist$
DECLARE
  _document text := colbert._tsvector_sql(index, content, language, search_path);
  _lexemes tsquery[] := ARRAY(
    SELECT colbert._lexeme_query(l) FROM unnest(tsvector_to_array(to_tsvector(language, words))) AS l);
  _wanted float8 := colbert._factor('effort', index.options, 1) * greatest(100, candidates);
  _most constant float8 := 100 * _wanted;
  _matches float8 := 5 * _wanted;
  _steps float8;  -- for each of these matches
  _counts record;
  _weights float8[];
  _query tsquery;
  _grown boolean := false;
  _found record;
  _best record;
BEGIN
  IF cardinality(_lexemes) < 2 THEN
    RETURN;
  END IF;
  _counts := colbert._word_counts(index, _document, _lexemes, filter, params, search_path);
  IF _counts.counts IS NULL OR (SELECT sum(c) FROM unnest(_counts.counts) AS c) <= 2 * _matches THEN
    RETURN;
  END IF;
  _steps := 20 * sqrt(_counts.documents) / greatest(100, candidates);
  _weights := colbert._word_weights(_counts.documents, _counts.counts);
  LOOP
    _query := colbert._shortlist_query(
      _lexemes, _weights, _counts.counts, _counts.documents, _matches, _steps * _matches);
    EXIT WHEN _query IS NULL;
    _found := colbert._rank_shortlist(index, _document, filter, params, search_path, _query, _lexemes, _weights,
                                      candidates, _most);
    IF _found.overflows AND NOT _grown AND _best IS NULL THEN
      _best := _found;
      _matches := _matches / 8;
    ELSIF cardinality(_found.keys) >= candidates THEN
      _best := _found;
      EXIT;
    ELSE
      EXIT WHEN _best IS NOT NULL OR _matches > _most;
      _grown := true;
      _matches := 8 * _matches;
    END IF;
  END LOOP;
  IF _best IS NOT NULL THEN
    RETURN QUERY EXECUTE format(
      'SELECT f.key::%s, (row_number() OVER (ORDER BY f.score DESC, f.key::%2$s))::integer, f.score '
      '  FROM unnest($1, $2) AS f (key, score) ORDER BY 2',
      colbert._type_name(pg_typeof(key)), (colbert._source_types(index)).key_cast)
      USING _best.keys, _best.scores;
  END IF;
END
$_shortlist$;

COMMENT ON FUNCTION colbert._shortlist(colbert._index, text, anyelement, text, regconfig, text, jsonb, text, integer) IS
  'The best of the documents that hold the most of some words, by weight, with their ranks and scores; none where all that match should be read.';

-- BM25's weight of each lexeme: ln(1 + (N - n + 0.5) / (n + 0.5)), where n of the N documents that hold any of the
-- lexemes hold it. N is what it were if no lexeme said anything of another.
CREATE OR REPLACE FUNCTION colbert._word_weights(documents float8, counts float8[])
RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  WITH any_of_them AS (
    SELECT greatest(max(c.count), documents * (1 - exp(sum(ln(1 - least(0.999999, c.count / documents)))))) AS documents
      FROM unnest(counts) AS c (count)
  )
  SELECT array_agg(ln(1 + (a.documents - c.count + 0.5) / (c.count + 0.5)) ORDER BY c.position)
    FROM unnest(counts) WITH ORDINALITY AS c (count, position)
   CROSS JOIN any_of_them AS a;
END;

COMMENT ON FUNCTION colbert._word_weights(float8, float8[]) IS
  'The weight of each lexeme by its rarity, from the numbers of documents that hold it.';

-- Reads a shortlist and ranks it: the keys of its best documents, as text, and their scores. No more than so many
-- documents are read, and overflows says whether there are more. A stored document is taken out of its compressed form
-- once, not once for each lexeme: concatenating nothing does that.
CREATE OR REPLACE FUNCTION colbert._rank_shortlist(
  index colbert._index, document text, filter text, params jsonb, search_path text,
  query tsquery, lexemes tsquery[], weights float8[], candidates integer, at_most float8,
  OUT keys text[], OUT scores float8[], OUT overflows boolean)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET jit = off
SET work_mem = '32MB'
AS $_rank_shortlist$
DECLARE
  _documents text := colbert._source_rows_sql(
    index, 'document', document,
    concat('(' || filter || E'\n) AND ', document, format(' OPERATOR(pg_catalog.@@) %L::pg_catalog.tsquery', query)));
  _score text := (
    SELECT string_agg(
             format('(%L::pg_catalog.float8 OPERATOR(pg_catalog.*)'
                    ' pg_catalog.ts_rank(f.document, %L::pg_catalog.tsquery))', l.weight, l.lexeme),
             ' OPERATOR(pg_catalog.+) ' ORDER BY l.position)
      FROM unnest(lexemes, weights) WITH ORDINALITY AS l (lexeme, weight, position));
  _statement text := format(
    $rank$
    WITH found AS MATERIALIZED (
      SELECT d.doc_id, d.document FROM %s AS d LIMIT $3
    ), ranked AS (
      SELECT f.doc_id, %s AS score
        FROM (SELECT f.doc_id, f.document OPERATOR(pg_catalog.||) ''::pg_catalog.tsvector AS document
                FROM found AS f
              OFFSET 0) AS f
       ORDER BY score DESC, f.doc_id
       LIMIT $4
    )
    SELECT pg_catalog.array_agg(r.doc_id::pg_catalog.text ORDER BY r.score DESC, r.doc_id),
           pg_catalog.array_agg(r.score ORDER BY r.score DESC, r.doc_id),
           (SELECT pg_catalog.count(*) OPERATOR(pg_catalog.>=) $3 FROM found AS f)
      FROM ranked AS r
    $rank$,
    _documents, _score);
BEGIN
  PERFORM set_config('search_path', search_path, true);
  EXECUTE _statement INTO keys, scores, overflows
    USING NULL::pg_catalog.text, params, at_most::pg_catalog.int8, candidates;
END
$_rank_shortlist$;

COMMENT ON FUNCTION colbert._rank_shortlist(colbert._index, text, text, jsonb, text, tsquery, tsquery[], float8[], integer, float8) IS
  'The keys and scores of the best documents that match a tsquery, by the weighted ranks of some lexemes, among at most so many.';
$part$;

EXECUTE $part$
-- sql/functions/search/_hybrid_search.sql
-- One hybrid search, from the query to its rows: the best candidates of both parts, the exact MaxSim of what only the
-- text has found, the ranks, and the fusion. key has the type in which keys are returned. In the statement keys are
-- text, and ties follow the key's own type.
CREATE OR REPLACE FUNCTION colbert._hybrid_search(
  source regclass, query vector[], words text, key anyelement, k integer,
  content text, language regconfig, match text, text_weight float8, constant integer,
  filter text, params jsonb, candidates integer, exact boolean, embeddings name, search_path text)
RETURNS TABLE (doc_id anyelement, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_hybrid_search$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _content text := coalesce(content, CASE WHEN _index.options ? 'text' THEN colbert._encoded_sql(_index, NULL) END, 'content');
  -- Where the content is the index's own and there is no filter, nothing is the caller's to look up.
  _text_path text := CASE WHEN content IS NULL AND filter IS NULL THEN 'pg_catalog, pg_temp' ELSE search_path END;
  _candidates integer;
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, _types.key_base, pg_typeof(key)),
          colbert._refuse_fusion(words, match, text_weight, constant);
  _candidates := greatest(colbert._to_count(k), colbert._knob('candidates', candidates, _index.options, 100));

  RETURN QUERY EXECUTE format(
    $fusion$
    WITH late AS MATERIALIZED (
      SELECT s.doc_id, s.score
        FROM colbert._search(($1).source, $2, NULL::text, $3, $4, $5, $3, $6, ($1).embeddings, $7) AS s
    ), text AS MATERIALIZED (
      SELECT t.doc_id::text, t.rank, t.score
        FROM colbert._text_part($1, $8, NULL::%1$s, $9, $10, $11, $4, $5, $15, $3, $6) AS t
    ), scored AS (
      SELECT l.doc_id, l.score FROM late AS l
       UNION ALL
      SELECT r.doc_id, r.score
        FROM colbert._rerank(
               ($1).source, $2,
               ARRAY(SELECT t.doc_id FROM text AS t
                      WHERE NOT EXISTS (SELECT FROM late AS l WHERE l.doc_id = t.doc_id)),
               NULL, ($1).embeddings) AS r
    ), ranked AS (
      SELECT s.doc_id, s.score,
             (row_number() OVER (ORDER BY s.score DESC, s.doc_id::%1$s))::integer AS rank
        FROM scored AS s
    ), fused AS (
      SELECT coalesce(r.doc_id, t.doc_id) AS doc_id,
             coalesce((1 - $12) / ($13 + r.rank), 0) + coalesce($12 / ($13 + t.rank), 0) AS score,
             r.rank AS maxsim_rank, r.score AS maxsim_score, t.rank AS text_rank, t.score AS text_score
        FROM ranked AS r
        FULL JOIN text AS t ON t.doc_id = r.doc_id
    )
    SELECT f.doc_id::%2$s, f.score, f.maxsim_rank, f.maxsim_score, f.text_rank, f.text_score
      FROM fused AS f
     ORDER BY f.score DESC, f.doc_id::%1$s
     LIMIT $14
    $fusion$,
    _types.key_cast, pg_typeof(key))
    USING _index, query, _candidates, filter, params, exact, search_path,
          words, _content, language, match, text_weight, constant, k, _text_path;
END
$_hybrid_search$;

COMMENT ON FUNCTION colbert._hybrid_search(regclass, vector[], text, anyelement, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name, text) IS
  'The body of all forms of hybrid_search; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert._refuse_fusion(
  words text, match text, text_weight float8, constant integer)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_fusion$
BEGIN
  IF words IS NULL THEN
    RAISE EXCEPTION 'words must not be NULL'
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the text of the query, of which query has the vectors; or use colbert.search.';
  END IF;
  IF match IS NULL OR match NOT IN ('any', 'websearch') THEN
    RAISE EXCEPTION 'unknown match "%"', match
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Documents match by ''any'' of the words, or by a query in the syntax of ''websearch''.';
  END IF;
  IF (text_weight BETWEEN 0 AND 1) IS NOT TRUE THEN
    RAISE EXCEPTION 'text_weight must be between 0 and 1, not %', coalesce(text_weight::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Late interaction has the rest of 1.';
  END IF;
  IF constant IS NULL OR constant < 0 THEN
    RAISE EXCEPTION 'constant must be at least 0, not %', coalesce(constant::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'The higher it is, the less the first ranks stand out; 60 is usual.';
  END IF;
END
$_refuse_fusion$;

COMMENT ON FUNCTION colbert._refuse_fusion(text, text, float8, integer) IS
  'Raises for arguments with which hybrid_search cannot fuse.';
$part$;

EXECUTE $part$
-- sql/functions/search/hybrid_search.sql
-- Late interaction and PostgreSQL's full text fused by reciprocal rank (Cormack, Clarke and Büttcher 2009): the
-- k documents with the highest
--
--   (1 - text_weight) / (constant + maxsim_rank)  +  text_weight / (constant + text_rank)
--
-- where a rank that a document does not have adds nothing. Each part contributes its best candidates. All of
-- them are scored exactly, so that maxsim_rank counts among everything that either part has found, and a
-- document that an index missed and its words found still gets its due. Documents without tokens can be found
-- by their text alone.
--
--   words          the query once more, as text; stop words are left out
--   content        what is searched in, SQL over the columns of the source: a tsvector, or a text (default the
--                  column that the index names as its text, else the column content)
--   language       the text-search configuration (default default_text_search_config)
--   match          which documents the text part finds: those with any of the words, or what
--                  websearch_to_tsquery makes of them, which is all of the words unless they say otherwise
--
-- Keys are integers in the first form; in the others key names their type, as in search.
CREATE OR REPLACE FUNCTION colbert.hybrid_search(
  source regclass,
  query vector[],
  words text,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, query, words, NULL::bigint, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search(regclass, vector[], text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'Late interaction and full text fused by reciprocal rank, best first, with the ranks and scores of both. words is the query as text; content, the text or tsvector it is searched in, as SQL over the table''s columns, by default the index''s text column, else "content"; language, a text-search configuration; match, ''any'' of the words or ''websearch''; text_weight, from 0, late interaction alone, to 1, full text alone; constant, that of the fusion; the rest is as in search.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search(
  source regclass,
  query vector[],
  words text,
  key uuid,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, query, words, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search(regclass, vector[], text, uuid, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search(
  source regclass,
  query vector[],
  words text,
  key text,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, query, words, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search(regclass, vector[], text, text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
$part$;

EXECUTE $part$
-- sql/functions/search/_by_key_sql.sql
-- Completes a statement about the document doc_id. The template takes the SQL for the query's vectors and that for the
-- relation (doc_id, embeddings). The statement takes the query as $1 and an array with the key, as text, as $3.
CREATE OR REPLACE FUNCTION colbert._by_key_sql(
  index colbert._index, query vector[], doc_id text, template text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_by_key_sql$
DECLARE
  _types record := colbert._source_types(index);
BEGIN
  PERFORM colbert._refuse_query(index, query),
          colbert._refuse_ambiguous(index, ARRAY[doc_id]);
  RETURN format(template, colbert._query_sql(_types.element),
                colbert._documents_of_keys_sql(colbert._documents_sql(index), _types.key_cast));
END
$_by_key_sql$;

COMMENT ON FUNCTION colbert._by_key_sql(colbert._index, vector[], text, text) IS
  'Completes the SQL of maxsim and maxsim_matches by key.';
$part$;

EXECUTE $part$
-- sql/functions/search/maxsim.sql
-- maxsim of a stored document, by its key. The table may be left out while exactly one is indexed. NULL for a document
-- that is not there, that the caller may not see, or that has no array. A key of type text has to be typed: 'a'::text.
CREATE OR REPLACE FUNCTION colbert.maxsim(
  query vector[], doc_id anynonarray, source regclass DEFAULT NULL, embeddings name DEFAULT NULL)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $maxsim$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
  _score float8;
BEGIN
  IF _index.method = 'shards' THEN
    RETURN colbert._by_key_of_shards(_index, query, doc_id::text, 'maxsim')::float8;
  END IF;
  EXECUTE colbert._by_key_sql(
            _index, query, doc_id::text,
            'SELECT colbert._weighted_maxsim(%s, d.embeddings, colbert._query_weights($1)) FROM %s AS d')
     INTO _score
    USING query, NULL::jsonb, ARRAY[doc_id::text];
  RETURN _score;
END
$maxsim$;

COMMENT ON FUNCTION colbert.maxsim(vector[], anynonarray, regclass, name) IS
  'The MaxSim of a stored document, by its key; the table may be left out while exactly one is indexed.';
$part$;

EXECUTE $part$
-- sql/functions/search/maxsim_matches.sql
-- maxsim_matches of a stored document, by its key. The table may be left out while exactly one is indexed. No rows for
-- a document that is not there, that the caller may not see, or that has no array. A key of type text has to be typed:
-- 'a'::text.
CREATE OR REPLACE FUNCTION colbert.maxsim_matches(
  query vector[], doc_id anynonarray, source regclass DEFAULT NULL, embeddings name DEFAULT NULL)
RETURNS TABLE (query_position integer, document_position integer, similarity float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $maxsim_matches$
DECLARE
  _index colbert._index := colbert._find_any_index(source, embeddings);
BEGIN
  IF _index.method = 'shards' THEN
    RETURN QUERY
      SELECT (m.match ->> 0)::integer, (m.match ->> 1)::integer, (m.match ->> 2)::float8
        FROM jsonb_array_elements(colbert._by_key_of_shards(_index, query, doc_id::text, 'maxsim_matches'))
             WITH ORDINALITY AS m (match, position)
       ORDER BY m.position;
    RETURN;
  END IF;
  RETURN QUERY
    EXECUTE colbert._by_key_sql(
              _index, query, doc_id::text,
              'SELECT m.query_position, m.document_position, '
              '       m.similarity * coalesce((colbert._query_weights($1))[m.query_position], 1) '
              '  FROM %2$s AS d CROSS JOIN LATERAL colbert._maxsim_matches(%1$s, d.embeddings) AS m')
      USING query, NULL::jsonb, ARRAY[doc_id::text];
END
$maxsim_matches$;

COMMENT ON FUNCTION colbert.maxsim_matches(vector[], anynonarray, regclass, name) IS
  'The matches of a stored document, by its key; the table may be left out while exactly one is indexed.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_known_knobs.sql
-- The knobs that a search over shards hands on: those of the session, and share, which the search finds (_search_shards).
CREATE OR REPLACE FUNCTION colbert._known_knobs()
RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{effort, margin, candidates, patience, nprobe, hits, ef_search, share}'::text[];

COMMENT ON FUNCTION colbert._known_knobs() IS 'The names of all knobs.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_has_foreign_partitions.sql
CREATE OR REPLACE FUNCTION colbert._has_foreign_partitions(source regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM pg_partition_tree(source) AS t
                   JOIN pg_catalog.pg_class AS c ON c.oid = t.relid
                  WHERE c.relkind = 'f');
END;

COMMENT ON FUNCTION colbert._has_foreign_partitions(regclass) IS
  'Whether a partitioned table has partitions on other servers.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_is_distributed.sql
-- Whether Citus has distributed a table, or copied it to all nodes: its rows are then not in the table itself. Citus' catalogs
-- are looked for each time, since a table can be distributed after it was indexed.
CREATE OR REPLACE FUNCTION colbert._is_distributed(source regclass)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_is_distributed$
DECLARE
  _found boolean;
BEGIN
  IF to_regclass('pg_catalog.pg_dist_partition') IS NULL THEN
    RETURN false;
  END IF;
  EXECUTE 'SELECT EXISTS (SELECT FROM pg_dist_partition AS p WHERE p.logicalrelid = $1)' INTO _found USING source;
  RETURN _found;
END
$_is_distributed$;

COMMENT ON FUNCTION colbert._is_distributed(regclass) IS
  'Whether Citus holds the rows of a table in shards.';

CREATE OR REPLACE FUNCTION colbert._has_shards(source regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN colbert._is_distributed(source) OR colbert._has_foreign_partitions(source);

COMMENT ON FUNCTION colbert._has_shards(regclass) IS
  'Whether rows of a table are on other servers.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_shards_of.sql
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
$part$;

EXECUTE $part$
-- sql/functions/shards/_shard_name.sql
CREATE OR REPLACE FUNCTION colbert._shard_name(shard colbert._shard)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format('shard "%s"%s', coalesce(shard.partition::text, shard.remote),
              CASE WHEN shard.server IS NOT NULL THEN format(' on server "%s"', shard.server) END);

COMMENT ON FUNCTION colbert._shard_name(colbert._shard) IS 'How messages name a shard.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_shard_failed.sql
-- What becomes of a failure of a shard: an error that names it; or, where on_failure is 'warning', a warning, if the
-- shard cannot be reached; or, where it is 'answer', an answer that says so. The error has the SQLSTATE that the shard
-- gave.
CREATE OR REPLACE FUNCTION colbert._shard_failed(
  shard colbert._shard, on_failure text, state text, message text, detail text, hint text)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shard_failed$
DECLARE
  _unreachable boolean := colbert._is_unreachable(state);
  _place text := colbert._shard_name(shard);
BEGIN
  message := concat_ws(': ', message, CASE WHEN _unreachable THEN nullif(split_part(detail, E'\n', 1), '') END);
  IF on_failure = 'answer' THEN
    RETURN jsonb_build_object('failure', message, 'unreachable', _unreachable);
  ELSIF _unreachable AND on_failure = 'warning' THEN
    RAISE WARNING '% is left out: %', _place, message
      USING ERRCODE = state;
    RETURN NULL;
  END IF;
  RAISE EXCEPTION '%: %', _place, message
    USING ERRCODE = state,
          DETAIL = coalesce(nullif(detail, ''), format('There it is table %s.', shard.remote)),
          HINT = coalesce(
            CASE WHEN state IN ('42883', '3F000', '38000') AND strpos(message, 'colbert') > 0
                 THEN 'Install colbert_pg on the shard, in the same version.' END,
            CASE WHEN shard.partition IS NULL AND state = '42704'
                 THEN 'Was it moved or split? colbert.repair_index makes the indexes that shards lack.' END,
            nullif(hint, ''),
            CASE
              WHEN shard.partition IS NULL THEN
                CASE WHEN _unreachable THEN 'Look at the node. SET colbert.shards = ''reachable'' searches the others meanwhile.'
                     ELSE 'Look at the table and its index on the node.' END
              WHEN _unreachable THEN
                'Look at the server and at its user mapping. SET colbert.shards = ''reachable'' searches the others meanwhile.'
              WHEN state = '42704' THEN
                format('CREATE USER MAPPING FOR %I SERVER %I OPTIONS (user …, password …)', current_user, shard.server)
              WHEN state = '42501' THEN
                'The caller needs USAGE on the server. The role of its user mapping needs SELECT on the table of the shard, and USAGE on its schema.'
              ELSE 'Look at the table and its index on the shard.'
            END);
END
$_shard_failed$;

COMMENT ON FUNCTION colbert._shard_failed(colbert._shard, text, text, text, text, text) IS
  'Raises an error that names the shard that failed, or warns, or answers.';

-- Connections that were not made or were lost, servers that stop or start, and those with no connection to spare.
CREATE OR REPLACE FUNCTION colbert._is_unreachable(state text)
RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN state LIKE '08%' OR state IN ('57P01', '57P02', '57P03', '57P05', '53300');

COMMENT ON FUNCTION colbert._is_unreachable(text) IS 'Whether an SQLSTATE says that a server cannot be reached.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_ask_nodes.sql
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
$part$;

EXECUTE $part$
-- sql/functions/shards/_ask_shards.sql
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
$part$;

EXECUTE $part$
-- sql/functions/shards/_search_shards.sql
-- A search over shards: the k best of each, merged by score and key. Filter, values and knobs go along. The documents
-- that a shard holds are searched as of when its turn comes: there is one snapshot for each shard.
--
-- Where documents are spread by chance, a shard is told its share and does less (_effort). It may then stop with fewer than k
-- documents. Should all together have fewer than k, and one have stopped so, all are asked again without.
CREATE OR REPLACE FUNCTION colbert._search_shards(
  index colbert._index, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, min_score float8)
RETURNS TABLE (doc_id anyelement, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_shards$
DECLARE
  _share float8 := CASE WHEN exact THEN 1
                        ELSE least(1, colbert._factor('share', '{}', colbert._share_of_shards(index))) END;
  _knobs jsonb := (SELECT coalesce(jsonb_object_agg(n.name, n.value), '{}')
                     FROM (SELECT u.name, nullif(current_setting('colbert.' || u.name, true), '') AS value
                             FROM unnest(colbert._known_knobs()) AS u (name)) AS n
                    WHERE n.value IS NOT NULL AND n.name <> 'share');
  _request jsonb;
  _shards integer[];
  _keys text[];
  _scores float8[];
BEGIN
  PERFORM colbert._refuse_filter(index.source, filter, params);
  LOOP
    _request := jsonb_build_object(
      'version', colbert._request_version(), 'k', k, 'filter', filter, 'params', params, 'candidates', candidates,
      'exact', exact, 'embeddings', index.embeddings, 'min_score', min_score, 'search_path', search_path,
      'time_zone', current_setting('TimeZone'),
      'knobs', _knobs || CASE WHEN _share < 1 THEN jsonb_build_object('share', round(_share::numeric, 6)) ELSE '{}' END);
    SELECT array_agg(a.shard), array_agg(a.doc_id), array_agg(a.score)
      INTO _shards, _keys, _scores
      FROM colbert._answers_of_shards(
             index, format('colbert.search_shard(%%L, %s, %s)', replace(quote_literal(query), '%', '%%'),
                           replace(quote_literal(_request), '%', '%%'))) AS a;
    EXIT WHEN _share = 1 OR cardinality(_keys) IS NULL OR cardinality(_keys) >= k
           OR NOT EXISTS (SELECT FROM unnest(_shards) AS s (shard)
                           GROUP BY s.shard HAVING count(*) >= colbert._k_of_share(k, _share));
    _share := 1;
  END LOOP;
  RETURN QUERY EXECUTE format(
    'SELECT a.doc_id::%s, a.score FROM unnest($1::text[], $2::float8[]) AS a (doc_id, score) '
    ' ORDER BY a.score DESC, a.doc_id::%s LIMIT $3',
    colbert._type_name(pg_typeof(key)), (colbert._source_types(index)).key_cast)
    USING _keys, _scores, k;
END
$_search_shards$;

COMMENT ON FUNCTION colbert._search_shards(colbert._index, vector[], anyelement, integer, text, jsonb, integer, boolean, text, float8) IS
  'The best documents of all shards; search_path is the caller''s.';

-- The caller needs SELECT on the source, as for any search. Its row-level security says nothing about rows of foreign
-- partitions. Citus gives its shards the same policies, and they hold there for the same role. What else a policy reads,
-- settings or what a function finds, the shards do not know.
CREATE OR REPLACE FUNCTION colbert._refuse_reader_of_shards(index colbert._index)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_reader_of_shards$
BEGIN
  EXECUTE format('SELECT s.%I, s.%I FROM %s AS s WHERE false', index.key, index.embeddings, index.source);
  IF row_security_active(index.source) AND NOT (colbert._is_distributed(index.source) AND colbert._policies_travel(index.source))
  THEN
    RAISE EXCEPTION 'row-level security of table "%" does not reach its shards', index.source
      USING ERRCODE = 'feature_not_supported',
            HINT = CASE WHEN colbert._is_distributed(index.source)
                        THEN 'Write the policies without settings and functions: with current_user, and columns of the table.'
                        ELSE 'Put the policies on the tables of the shards, and map each role to one of its own there.' END;
  END IF;
END
$_refuse_reader_of_shards$;

COMMENT ON FUNCTION colbert._refuse_reader_of_shards(colbert._index) IS
  'Raises for a caller who may not read the table, or whom row-level security limits.';

CREATE OR REPLACE FUNCTION colbert._policies_travel(source regclass)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_policies_travel$
BEGIN
  RETURN NOT EXISTS (
    SELECT
      FROM pg_policy AS p
     WHERE p.polrelid = source
       AND (pg_get_expr(p.polqual, p.polrelid) ~* '\m(current_setting|session_user|system_user)\M'
            OR EXISTS (SELECT FROM pg_depend AS d
                        WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass)));
END
$_policies_travel$;

COMMENT ON FUNCTION colbert._policies_travel(regclass) IS
  'Whether the policies of a table read nothing but its rows and the role.';

-- What a function that returns (doc_id, score) finds on each shard. call is SQL with %L for the table.
CREATE OR REPLACE FUNCTION colbert._answers_of_shards(index colbert._index, call text)
RETURNS TABLE (shard integer, doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_answers_of_shards$
DECLARE
  _on_failure text := colbert._on_failure();
  _shards colbert._shard[];
  _answers jsonb[];
BEGIN
  PERFORM colbert._refuse_reader_of_shards(index);
  _shards := colbert._one_of_each(ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s));
  _answers := colbert._ask_shards(
    _shards,
    ARRAY(SELECT 'SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(r.doc_id, r.score)), ''[]'') FROM '
                 || format(call, s.remote) || ' AS r'
            FROM unnest(_shards) WITH ORDINALITY AS s (partition, server, remote, connection, position)
           ORDER BY s.position),
    _on_failure);
  RETURN QUERY
    SELECT a.shard::integer, f.found ->> 0, (f.found ->> 1)::float8
      FROM unnest(_answers) WITH ORDINALITY AS a (answer, shard)
     CROSS JOIN LATERAL jsonb_array_elements(a.answer) AS f (found);
END
$_answers_of_shards$;

COMMENT ON FUNCTION colbert._answers_of_shards(colbert._index, text) IS
  'The rows of a function that returns (doc_id, score) from all shards, with the number of the shard, in no order.';

-- The share of the documents that each shard has, where they are spread by chance: by the hash of the key, over shards of
-- one modulus. Else 1: of a list or a range, all that a query looks for may be on one shard.
CREATE OR REPLACE FUNCTION colbert._share_of_shards(index colbert._index)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_share_of_shards$
DECLARE
  _share float8;
BEGIN
  IF colbert._is_distributed(index.source) THEN
    EXECUTE
      'SELECT CASE WHEN max(s.size) - min(s.size) <= count(*) THEN 1.0 / count(*) ELSE 1 END'
      '  FROM (SELECT d.shardmaxvalue::bigint - d.shardminvalue::bigint AS size'
      '          FROM pg_dist_partition AS p'
      '          JOIN pg_dist_shard AS d ON d.logicalrelid = p.logicalrelid'
      '         WHERE p.logicalrelid = $1 AND p.partmethod = ''h'''
      '           AND column_to_column_name(p.logicalrelid, p.partkey) = $2) AS s'
       INTO _share USING index.source, index.key;
    RETURN coalesce(_share, 1);
  END IF;
  RETURN (
    SELECT CASE WHEN count(DISTINCT s.modulus) = 1 AND bool_and(s.modulus IS NOT NULL AND s.whole) THEN 1.0 / count(*) ELSE 1 END
      FROM (SELECT substring(pg_get_expr(c.relpartbound, c.oid) FROM 'modulus ([0-9]+)') AS modulus,
                   NOT (c.relkind = 'p' AND colbert._has_foreign_partitions(c.oid)) AS whole
              FROM pg_partitioned_table AS p
              JOIN pg_attribute AS a ON a.attrelid = p.partrelid AND a.attname = index.key
              JOIN pg_inherits AS i ON i.inhparent = p.partrelid
              JOIN pg_class AS c ON c.oid = i.inhrelid
             WHERE p.partrelid = index.source AND p.partstrat = 'h'
               AND p.partnatts = 1 AND p.partattrs[0] = a.attnum) AS s);
END
$_share_of_shards$;

COMMENT ON FUNCTION colbert._share_of_shards(colbert._index) IS
  'The share of the documents that each shard has at random; 1 where they are not spread so.';

-- SET colbert.shards = 'reachable' leaves out, with a warning, shards that cannot be reached.
CREATE OR REPLACE FUNCTION colbert._on_failure()
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_on_failure$
DECLARE
  _shards text := coalesce(nullif(current_setting('colbert.shards', true), ''), 'all');
BEGIN
  IF _shards NOT IN ('all', 'reachable') THEN
    RAISE EXCEPTION 'colbert.shards must be all or reachable, not "%"', _shards
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'RESET colbert.shards, or set it anew.';
  END IF;
  RETURN CASE _shards WHEN 'all' THEN 'error' ELSE 'warning' END;
END
$_on_failure$;

COMMENT ON FUNCTION colbert._on_failure() IS 'What a search does about a shard that cannot be reached.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_question.sql
-- What a shard is asked about its index. Rows of colbert.indexes are taken whole, since older versions have fewer columns.
CREATE OR REPLACE FUNCTION colbert._question_sql(remote text, embeddings name)
RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT pg_catalog.jsonb_build_object('
  '''version'', colbert.version(),'
  '''searches'', pg_catalog.to_regprocedure(''colbert.search_shard(text, text, jsonb)'') IS NOT NULL,'
  '''index'', (SELECT pg_catalog.to_jsonb(i) FROM colbert.indexes AS i'
  '             WHERE i.source OPERATOR(pg_catalog.=) %L::pg_catalog.regclass'
  '               AND i.embeddings OPERATOR(pg_catalog.=) %L::pg_catalog.name))',
  remote, embeddings);

COMMENT ON FUNCTION colbert._question_sql(text, name) IS 'SQL that asks a shard about its index.';

CREATE OR REPLACE FUNCTION colbert._ask_about_index(
  index colbert._index, shards colbert._shard[], on_failure text DEFAULT 'error')
RETURNS jsonb[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_ask_about_index$
BEGIN
  RETURN colbert._ask_shards(
    shards, ARRAY(SELECT colbert._question_sql(s.remote, index.embeddings) FROM unnest(shards) AS s), on_failure);
END
$_ask_about_index$;

COMMENT ON FUNCTION colbert._ask_about_index(colbert._index, colbert._shard[], text) IS
  'What each shard answers to the question about its index.';

CREATE OR REPLACE FUNCTION colbert._refuse_answer(index colbert._index, shard colbert._shard, answer jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_answer$
DECLARE
  _problem record := colbert._problem_of_shard(index, shard, answer);
BEGIN
  IF _problem.problem IS NOT NULL THEN
    RAISE EXCEPTION '%: %', colbert._shard_name(shard), _problem.problem
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = _problem.advice;
  END IF;
END
$_refuse_answer$;

COMMENT ON FUNCTION colbert._refuse_answer(colbert._index, colbert._shard, jsonb) IS
  'Raises for a shard whose index is missing, or another than that of the table.';

-- What keeps a shard from taking part, from its answer to _question_sql, and what to do about it. NULLs where nothing does.
CREATE OR REPLACE FUNCTION colbert._problem_of_shard(
  index colbert._index, shard colbert._shard, answer jsonb, OUT problem text, OUT advice text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_problem_of_shard$
DECLARE
  _index jsonb := nullif(answer -> 'index', 'null');
  _anew text := format('Drop that index, and create it as it is here: key "%s", %s dimensions%s.',
                       index.key, index.dimensions, format(', model %s', index.options -> 'model'));
BEGIN
  IF answer ? 'failure' THEN
    problem := answer ->> 'failure';
    advice := CASE WHEN shard.partition IS NULL THEN 'Look at the node.' ELSE 'Look at the server and at its user mapping.' END;
  ELSIF NOT (answer ->> 'searches')::boolean THEN
    problem := format('it has colbert_pg %s, which has no search_shard', answer ->> 'version');
    advice := format('Upgrade colbert_pg there to %s.', colbert.version());
  ELSIF _index IS NULL THEN
    problem := format('table %s has no late-interaction index on column "%s"', shard.remote, index.embeddings);
    advice := CASE
      WHEN shard.partition IS NULL THEN
        format('Was it moved or split? SELECT colbert.repair_index(%L, %L)', index.source, index.embeddings)
      ELSE
        format('Run there: SELECT colbert.create_index(%L, %L, key => %L)%s', shard.remote, index.embeddings, index.key,
               CASE WHEN shard.server IS NOT NULL THEN '; or pass options => ''{"create_on_shards": true}''' ELSE '' END)
      END;
  ELSIF _index ->> 'key' <> index.key THEN
    problem := format('its index has the key "%s", not "%s"', _index ->> 'key', index.key);
    advice := _anew;
  ELSIF (_index ->> 'dimensions')::integer <> index.dimensions THEN
    problem := format('its index has %s dimensions, not %s', _index ->> 'dimensions', index.dimensions);
    advice := _anew;
  ELSIF _index -> 'options' -> 'model' IS DISTINCT FROM index.options -> 'model' THEN
    problem := format('its index is of model %s, not %s', coalesce(_index -> 'options' -> 'model', 'null'),
                      coalesce(index.options -> 'model', 'null'));
    advice := _anew;
  END IF;
END
$_problem_of_shard$;

COMMENT ON FUNCTION colbert._problem_of_shard(colbert._index, colbert._shard, jsonb) IS
  'What keeps a shard from taking part in searches, and what to do about it.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_create_over_shards.sql
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
$part$;

EXECUTE $part$
-- sql/functions/shards/_shard_states.sql
CREATE OR REPLACE FUNCTION colbert._shard_states(index colbert._index)
RETURNS TABLE (shard text, server name, state text, advice text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_shard_states$
DECLARE
  _shards colbert._shard[] := ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s);
  _answers jsonb[];
  _problem record;
BEGIN
  IF colbert._is_own(index.source) THEN
    _answers := colbert._ask_about_index(index, _shards, 'answer');
  END IF;
  FOR i IN 1 .. cardinality(_shards) LOOP
    shard := coalesce((_shards[i]).partition::text, (_shards[i]).remote);
    server := (_shards[i]).server;
    IF _answers IS NOT NULL THEN
      _problem := colbert._problem_of_shard(index, _shards[i], _answers[i]);
      state := CASE WHEN _problem.problem IS NULL THEN _answers[i] -> 'index' ->> 'state'
                    WHEN (_answers[i] ->> 'unreachable')::boolean THEN 'unreachable'
                    WHEN _answers[i] -> 'index' = 'null' THEN 'missing'
                    ELSE 'broken' END;
      advice := CASE WHEN _problem.problem IS NULL THEN _answers[i] -> 'index' ->> 'advice'
                     ELSE _problem.problem || ': ' || _problem.advice END;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$_shard_states$;

COMMENT ON FUNCTION colbert._shard_states(colbert._index) IS
  'The shards of an index and their states; NULL for who does not own the table.';
$part$;

EXECUTE $part$
-- sql/functions/shards/shards.sql
-- The shards of every index over shards, with the state of each one's index. Each is asked, so that reading the view takes
-- as long as the slowest takes to answer. That is done for the caller's own tables alone: another's servers are not
-- connected to by looking at a view.
CREATE OR REPLACE VIEW colbert.shards WITH (security_invoker = true) AS
SELECT i.source, i.embeddings, s.shard, s.server, s.state, s.advice
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._shard_states(i) AS s
 WHERE i.method = 'shards';

COMMENT ON VIEW colbert.shards IS
  'The shards of every table that has rows on other servers, and the state of each.';

COMMENT ON COLUMN colbert.shards.source IS 'The table.';
COMMENT ON COLUMN colbert.shards.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.shards.shard IS 'The partition, or the table on the node of Citus.';
COMMENT ON COLUMN colbert.shards.server IS 'The foreign server that it is on, or the node of Citus; NULL for a partition here.';
COMMENT ON COLUMN colbert.shards.state IS
  'That of its index, as in colbert.indexes: ready, stale, building or broken; or missing, or unreachable. NULL for who does not own the table.';
COMMENT ON COLUMN colbert.shards.advice IS 'What is the matter and what to do about it; NULL when it is ready.';

GRANT SELECT ON colbert.shards TO PUBLIC;
$part$;

EXECUTE $part$
-- sql/functions/shards/_search_shard.sql
-- Settings hold for the search alone, as SET LOCAL would set them: they are put back at the end, and an error undoes
-- them. A knob that was not set is empty after that, which is the same to all that read it.
CREATE OR REPLACE FUNCTION colbert._search_shard(source text, query vector[], request jsonb, search_path text)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_search_shard$
DECLARE
  _search_path text;
  _source regclass;
  _settings text[];
  _values text[];
  _before text[];
BEGIN
  PERFORM colbert._refuse_request(request, jsonb '{
    "version": "number", "k": "number", "filter": "string", "params": "object", "candidates": "number",
    "exact": "boolean", "embeddings": "string", "min_score": "number", "search_path": "string",
    "time_zone": "string", "knobs": "object"}');
  _search_path := coalesce(request ->> 'search_path', _search_shard.search_path);
  PERFORM set_config('search_path', _search_path, true);
  _source := _search_shard.source::regclass;
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);

  SELECT array_agg(s.name), array_agg(s.value), array_agg(coalesce(current_setting(s.name, true), ''))
    INTO _settings, _values, _before
    FROM (SELECT 'colbert.' || k.key AS name, k.value
            FROM jsonb_each_text(nullif(request -> 'knobs', 'null')) AS k
           UNION ALL
          SELECT 'TimeZone', request ->> 'time_zone') AS s
   WHERE s.value IS NOT NULL;
  PERFORM set_config(s.name, s.value, true) FROM unnest(_settings, _values) AS s (name, value);
  RETURN QUERY
    SELECT s.doc_id, s.score
      FROM colbert._search(
             _source, query, NULL::text, coalesce((request ->> 'k')::integer, 10), request ->> 'filter',
             nullif(request -> 'params', 'null'), (request ->> 'candidates')::integer,
             coalesce((request ->> 'exact')::boolean, false), (request ->> 'embeddings')::name,
             _search_path, (request ->> 'min_score')::float8) AS s;
  PERFORM set_config(s.name, s.value, true) FROM unnest(_settings, _before) AS s (name, value);
END
$_search_shard$;

COMMENT ON FUNCTION colbert._search_shard(text, vector[], jsonb, text) IS
  'The body of search_shard; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert._query_of_text(query text)
RETURNS vector[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN query::vector[];

COMMENT ON FUNCTION colbert._query_of_text(text) IS 'A query that came as text.';

-- The version of the contract, which grows when a member is added to requests.
CREATE OR REPLACE FUNCTION colbert._request_version()
RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN 1;

COMMENT ON FUNCTION colbert._request_version() IS 'The version of the requests that search_shard and call_shard understand.';

CREATE OR REPLACE FUNCTION colbert._refuse_request(request jsonb, types jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_request$
DECLARE
  _whole constant text[] := ARRAY['version', 'k', 'candidates', 'buckets', 'bucket'];
  _unknown text;
  _wrong text;
BEGIN
  IF request IS NULL OR jsonb_typeof(request) <> 'object' THEN
    RAISE EXCEPTION 'request must be a JSON object'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'For example ''{"version": 1, "k": 10}''.';
  END IF;
  _unknown := (SELECT string_agg(format('"%s"', n.name), ', ' ORDER BY n.name)
                 FROM (SELECT r.name FROM jsonb_object_keys(request) AS r (name) WHERE NOT types ? r.name
                        UNION ALL
                       SELECT 'knobs.' || k.name
                         FROM jsonb_object_keys(CASE WHEN jsonb_typeof(request -> 'knobs') = 'object'
                                                     THEN request -> 'knobs' ELSE jsonb '{}' END) AS k (name)
                        WHERE k.name <> ALL (colbert._known_knobs())) AS n (name));
  IF _unknown IS NOT NULL
     OR (jsonb_typeof(request -> 'version') = 'number'
         AND (request ->> 'version')::numeric > colbert._request_version()) THEN
    RAISE EXCEPTION 'this shard does not understand the request: %',
                    coalesce('it has ' || _unknown, format('it is of version %s', request -> 'version'))
      USING ERRCODE = 'feature_not_supported',
            DETAIL = format('The request says version %s. This is colbert_pg %s, which understands requests up to version %s.',
                            coalesce(request ->> 'version', '1'), colbert.version(),
                            colbert._request_version()),
            HINT = 'Upgrade colbert_pg on this shard to the version of the server that asks, or mend the request.';
  END IF;
  _wrong := (SELECT min(r.key) FROM jsonb_each(request) AS r
              WHERE jsonb_typeof(r.value) NOT IN (types ->> r.key, 'null')
                AND r.key <> 'params'
                 OR r.key = ANY (_whole)
                    AND jsonb_typeof(r.value) = 'number' AND r.value #>> '{}' !~ '^-?[0-9]{1,9}$');
  IF _wrong IS NOT NULL THEN
    RAISE EXCEPTION '"%" of the request must not be %', _wrong, request -> _wrong
      USING ERRCODE = 'invalid_parameter_value',
            HINT = format('It takes a value of JSON''s type %s%s.', types ->> _wrong,
                          CASE WHEN _wrong = ANY (_whole) THEN ', a whole number' ELSE '' END);
  END IF;
END
$_refuse_request$;

COMMENT ON FUNCTION colbert._refuse_request(jsonb, jsonb) IS
  'Raises for a request that this version cannot answer as it is meant; types are those of the members, by name.';
$part$;

EXECUTE $part$
-- sql/functions/shards/search_shard.sql
-- What a shard answers: its k best documents, with their exact scores, for whoever merges the answers of all shards by
-- score and key. It runs as the caller. Arguments are plain text and JSON, so that any proxy can hand them on. Keys come
-- as text, whatever their type. source is looked up under the request's search_path, or else the caller's.
--
-- The request is an object. All of its members may be left out:
--
--   version       of this contract, by which the request was written: 1
--   k, filter, params, candidates, exact, embeddings, min_score     as in search
--   search_path   under which the filter is read, and the source looked up
--   time_zone     under which the filter is read
--   knobs         what SET colbert.<name> would say, by name: {"effort": 2}; and share, that of all documents which this
--                 shard has at random: it then does as much less
--
-- A request of a newer version, or with members that this version does not know, is refused: the answer would be
-- another one than was asked for.
CREATE OR REPLACE FUNCTION colbert.search_shard(source text, query text, request jsonb DEFAULT '{}')
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search_shard(source, colbert._query_of_text(query), request,
                               current_setting('search_path')) AS s;
END;

COMMENT ON FUNCTION colbert.search_shard(text, text, jsonb) IS
  'What one shard answers: its k best documents, keys as text. request is an object with version (1), k, filter, params, candidates, exact, embeddings, min_score, search_path, time_zone and knobs, each as in search and in SET; all may be left out.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_call_shard.sql
CREATE OR REPLACE FUNCTION colbert._call_shard(source regclass, operation text, request jsonb, query vector[])
RETURNS jsonb
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 100000
SET search_path = pg_catalog, pg_temp
AS $_call_shard$
DECLARE
  _members constant jsonb := jsonb '{
    "check_index": {"sample": "number"},
    "keys": {"buckets": "number", "bucket": "number", "tenant": "string"},
    "repair_index": {}, "reindex": {"retrain": "boolean"}, "drop_index": {},
    "maxsim": {"query": "string", "doc_id": "string"},
    "maxsim_matches": {"query": "string", "doc_id": "string"}}';
  _embeddings name := request ->> 'embeddings';
  _answer jsonb;
BEGIN
  IF (_members ? operation) IS NOT TRUE THEN
    RAISE EXCEPTION 'this shard does not know the operation "%"', operation
      USING ERRCODE = 'feature_not_supported',
            DETAIL = format('This is colbert_pg %s, which knows %s.', colbert.version(),
                            (SELECT string_agg(m.name, ', ' ORDER BY m.name) FROM jsonb_object_keys(_members) AS m (name))),
            HINT = 'Upgrade colbert_pg on this shard to the version of the server that asks, or mend the request.';
  END IF;
  PERFORM colbert._refuse_request(
            request, jsonb '{"version": "number", "embeddings": "string"}' || (_members -> operation));

  CASE operation
    WHEN 'check_index' THEN
      _answer := (SELECT jsonb_build_object(
                           'documents', colbert._estimated_rows(source),
                           'problems', coalesce(jsonb_agg(jsonb_build_array(c.problem, c.doc_id, c.detail)), '[]'))
                    FROM colbert.check_index(source, _embeddings, coalesce((request ->> 'sample')::float8, 1)) AS c);
    WHEN 'keys' THEN
      _answer := colbert._keys_in_bucket(colbert._find_any_index(source, _embeddings),
                                         coalesce((request ->> 'buckets')::integer, 1),
                                         coalesce((request ->> 'bucket')::integer, 0), (request ->> 'tenant')::name);
    WHEN 'repair_index' THEN
      _answer := to_jsonb(colbert.repair_index(source, _embeddings));
    WHEN 'reindex' THEN
      PERFORM colbert.reindex(source, _embeddings, coalesce((request ->> 'retrain')::boolean, true));
      _answer := to_jsonb(true);
    WHEN 'drop_index' THEN
      IF NOT EXISTS (SELECT FROM colbert._index AS i
                      WHERE i.source = _call_shard.source AND (i.embeddings = _embeddings) IS NOT FALSE) THEN
        RETURN to_jsonb(false);
      END IF;
      PERFORM colbert.drop_index(source, _embeddings);
      _answer := to_jsonb(true);
    WHEN 'maxsim' THEN
      _answer := coalesce(to_jsonb(colbert.maxsim(query, request ->> 'doc_id', source, _embeddings)), 'null');
    WHEN 'maxsim_matches' THEN
      _answer := (SELECT coalesce(jsonb_agg(jsonb_build_array(m.query_position, m.document_position, m.similarity)), '[]')
                    FROM colbert.maxsim_matches(query, request ->> 'doc_id', source, _embeddings) AS m);
  END CASE;
  RETURN _answer;
END
$_call_shard$;

COMMENT ON FUNCTION colbert._call_shard(regclass, text, jsonb, vector[]) IS
  'The body of call_shard; query is that of the request.';

-- Equal keys have the same hash on all servers, by the hash of their type: 1.1 and 1.10 of type numeric are in one
-- bucket. The few types that have none are told apart by their text. Arrays are not read. With the column tenant, each key
-- comes with what is there.
CREATE OR REPLACE FUNCTION colbert._keys_in_bucket(
  index colbert._index, buckets integer, bucket integer, tenant name DEFAULT NULL)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET DateStyle = 'ISO'
SET IntervalStyle = 'postgres'
AS $_keys_in_bucket$
DECLARE
  _statement constant text := format(
    'SELECT coalesce(jsonb_agg(%1$s), ''[]'') FROM %2$s AS s WHERE $1 = 1 OR mod(%%s & 9223372036854775807, $1) = $2',
    replace(CASE WHEN tenant IS NULL THEN format('s.%I::text', index.key)
                 ELSE format('jsonb_build_array(s.%I::text, s.%I::text)', tenant, index.key) END, '%', '%%'),
    index.source);
  _keys jsonb;
BEGIN
  IF buckets < 1 OR bucket NOT BETWEEN 0 AND buckets - 1 THEN
    RAISE EXCEPTION 'there is no bucket % of %', bucket, buckets
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Buckets count from 0.';
  END IF;
  BEGIN
    EXECUTE format(_statement, format('hash_record_extended(ROW(s.%I), 0)', index.key)) INTO _keys USING buckets, bucket;
  EXCEPTION WHEN undefined_function THEN
    EXECUTE format(_statement, format('hashtextextended(s.%I::text, 0)', index.key)) INTO _keys USING buckets, bucket;
  END;
  RETURN _keys;
END
$_keys_in_bucket$;

COMMENT ON FUNCTION colbert._keys_in_bucket(colbert._index, integer, integer, name) IS
  'The keys of a table that fall into one of so many buckets, with their tenants where that column is named.';
$part$;

EXECUTE $part$
-- sql/functions/shards/call_shard.sql
-- What a shard does for the server that is asked, beside searching: one operation on the index of its table. It runs as
-- the caller, with the rights that the caller has there. It is a contract between versions, as search_shard is. The
-- request is an object. Its members, which may be left out where the function of the same name has a default:
--
--   version, embeddings    as in search_shard; known to all operations
--
--   operation        members                          answer
--   check_index      sample                           {"documents": estimate, "problems": [[problem, doc_id, detail], …]}
--   keys             buckets, bucket, tenant          [key, …] of one of so many buckets, into which keys fall by their hash;
--                                                     [[tenant, key], …] where tenant names that column
--   repair_index                                      the number of documents mended
--   reindex          retrain                          true
--   drop_index                                        whether there was an index
--   maxsim           query, doc_id                    the score, or null
--   maxsim_matches   query, doc_id                    [[query_position, document_position, similarity], …]
--
-- An operation or a member that this version does not know is refused.
CREATE OR REPLACE FUNCTION colbert.call_shard(source text, operation text, request jsonb DEFAULT '{}')
RETURNS jsonb
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 100000
BEGIN ATOMIC
  SELECT colbert._call_shard(source::regclass, operation, request,
                             colbert._query_of_text(request ->> 'query'));
END;

COMMENT ON FUNCTION colbert.call_shard(text, text, jsonb) IS
  'What one shard does with its index for the server that is asked: check_index, keys, repair_index, reindex, drop_index, maxsim or maxsim_matches. request is an object with version (1), embeddings and what the operation takes.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_call_shards.sql
-- Has each shard do an operation of call_shard, all at once, and returns their answers. A shard commits what it does at
-- once, whatever becomes of this transaction. Partitions here are part of it. One that cannot be reached is an error, or
-- is left out with a warning, as the session says (_on_failure). The rights are those of the mapped role there.
CREATE OR REPLACE FUNCTION colbert._call_shards(
  index colbert._index, shards colbert._shard[], operation text, request jsonb DEFAULT '{}')
RETURNS TABLE (shard colbert._shard, answer jsonb)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
SET search_path = pg_catalog, pg_temp
AS $_call_shards$
DECLARE
  _request jsonb := jsonb_build_object('version', colbert._request_version(), 'embeddings', index.embeddings) || request;
  _answers jsonb[] := colbert._ask_shards(
    shards,
    ARRAY(SELECT format('SELECT colbert.call_shard(%L, %L, %L)', s.remote, operation, _request)
            FROM unnest(shards) WITH ORDINALITY AS s (partition, server, remote, connection, position)
           ORDER BY s.position),
    colbert._on_failure());
BEGIN
  RETURN QUERY
    SELECT shards[a.number], a.answer
      FROM unnest(_answers) WITH ORDINALITY AS a (answer, number)
     WHERE a.answer IS NOT NULL
     ORDER BY a.number;
END
$_call_shards$;

COMMENT ON FUNCTION colbert._call_shards(colbert._index, colbert._shard[], text, jsonb) IS
  'What each shard answers to an operation of call_shard.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_by_key_of_shards.sql
-- What maxsim and maxsim_matches by key answer over shards: the answer of the first shard that holds the document, NULL
-- where none does. All are asked at once.
CREATE OR REPLACE FUNCTION colbert._by_key_of_shards(
  index colbert._index, query vector[], doc_id text, operation text)
RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000
SET search_path = pg_catalog, pg_temp
AS $_by_key_of_shards$
BEGIN
  PERFORM colbert._refuse_query(index, query),
          colbert._refuse_reader_of_shards(index);
  RETURN (SELECT c.answer
            FROM colbert._call_shards(
                   index, colbert._one_of_each(ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s)), operation,
                   jsonb_build_object('query', query::text, 'doc_id', doc_id)) AS c
           WHERE c.answer NOT IN ('null', '[]')
           LIMIT 1);
END
$_by_key_of_shards$;

COMMENT ON FUNCTION colbert._by_key_of_shards(colbert._index, vector[], text, text) IS
  'The answer of the shard that holds a document.';
$part$;

EXECUTE $part$
-- sql/functions/shards/_check_shards.sql
-- The body of check_index over shards: what each finds, with the shard named in the detail, and beside that
--
--   shard            the index of the shard is missing, or another than that of the table
--   duplicate key    a document with this key, of this tenant where there are tenants, is on several shards
CREATE OR REPLACE FUNCTION colbert._check_shards(index colbert._index, sample float8)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_check_shards$
DECLARE
  _shards colbert._shard[] := ARRAY(SELECT s FROM colbert._shards_of(index.source) AS s);
  _states jsonb[] := colbert._ask_about_index(index, _shards, colbert._on_failure());
  _sound colbert._shard[] := ARRAY[]::colbert._shard[];
  _problem record;
  _checked record;
  _documents float8 := 0;
BEGIN
  FOR i IN 1 .. cardinality(_shards) LOOP
    CONTINUE WHEN _states[i] IS NULL;
    _problem := colbert._problem_of_shard(index, _shards[i], _states[i]);
    IF _problem.problem IS NULL THEN
      _sound := _sound || _shards[i];
    ELSE
      problem := 'shard';
      detail := format('%s: %s. %s', colbert._shard_name(_shards[i]), _problem.problem, _problem.advice);
      RETURN NEXT;
    END IF;
  END LOOP;

  FOR _checked IN
    SELECT c.shard, c.answer
      FROM colbert._call_shards(index, _sound, 'check_index', jsonb_build_object('sample', sample)) AS c
  LOOP
    _documents := _documents + (_checked.answer ->> 'documents')::float8;
    RETURN QUERY
      SELECT p.found ->> 0, p.found ->> 1, concat_ws(': ', colbert._shard_name(_checked.shard), p.found ->> 2)
        FROM jsonb_array_elements(_checked.answer -> 'problems') WITH ORDINALITY AS p (found, position)
       ORDER BY p.position;
  END LOOP;

  RETURN QUERY
    SELECT d.problem, d.doc_id, d.detail
      FROM colbert._duplicate_keys(index, colbert._one_of_each(_sound), _documents, sample) AS d;
END
$_check_shards$;

COMMENT ON FUNCTION colbert._check_shards(colbert._index, float8) IS
  'The problems of all shards of an index, and the keys that several hold.';

-- Where there are tenants, keys need to be unique within a tenant alone: they are compared together with it.
--
-- Keys are compared in buckets of a million, for which every shard reads its keys anew: that bounds the memory, and no
-- array is read. Of a sample, as many buckets are compared, others each time.
CREATE OR REPLACE FUNCTION colbert._duplicate_keys(
  index colbert._index, shards colbert._shard[], documents float8, sample float8)
RETURNS TABLE (problem text, doc_id text, detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_duplicate_keys$
DECLARE
  _buckets integer := ceil(greatest(documents / 1e6, 1 / sample, 1));
  _first integer := floor(random() * _buckets);
  _tenant name := colbert._tenant_column(index);
  _key text := CASE WHEN _tenant IS NULL THEN 'k.found #>> ''{}''' ELSE 'k.found ->> 1' END;
  _tenant_of_key text := CASE WHEN _tenant IS NULL THEN 'NULL::text' ELSE 'k.found ->> 0' END;
BEGIN
  FOR i IN 1 .. ceil(_buckets * sample) LOOP
    RETURN QUERY EXECUTE format(
      'SELECT ''duplicate key''::text, min(%1$s), '
      '       concat(''of tenant '' || min(%2$s) || '', '', ''held by '', string_agg(DISTINCT colbert._shard_name(c.shard), '' and ''))'
      '  FROM colbert._call_shards($1, $2, ''keys'', $3) AS c'
      ' CROSS JOIN LATERAL jsonb_array_elements(c.answer) AS k (found)'
      ' GROUP BY (%1$s)::%3$s, %2$s HAVING count(*) > 1 ORDER BY 2, 3',
      _key, _tenant_of_key, (colbert._source_types(index)).key_cast)
      USING index, shards,
            jsonb_build_object('buckets', _buckets, 'bucket', (_first + i) % _buckets)
            || CASE WHEN _tenant IS NULL THEN '{}' ELSE jsonb_build_object('tenant', _tenant) END;
  END LOOP;
END
$_duplicate_keys$;

COMMENT ON FUNCTION colbert._duplicate_keys(colbert._index, colbert._shard[], float8, float8) IS
  'The keys that several shards hold, or one holds twice; of each tenant, where there are tenants.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_find_encoded_index.sql
-- The index of a table whose texts or pictures workers encode. Any other index, and one whose column or expression is
-- gone, is an error.
CREATE OR REPLACE FUNCTION colbert._find_encoded_index(source regclass, embeddings name)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_find_encoded_index$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  IF NOT colbert._is_encoded(_index) THEN
    RAISE EXCEPTION 'the index on column "%" of table "%" names no column that workers encode', _index.embeddings, _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Create it with one: options => ''{"text": "content"}'', or "pictures".';
  ELSIF colbert._lacks_expression(_index) THEN
    RAISE EXCEPTION 'the expression of the index on "%" is gone, with the index of pending documents', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = _index.options ->> 'text',
            HINT = format('SELECT colbert.repair_index(%L, %L), as the owner of the table.',
                          _index.source, _index.embeddings);
  ELSIF colbert._encoded_column(_index) <> ALL (ARRAY(SELECT a.attname FROM pg_attribute AS a
                                                       WHERE a.attrelid = _index.source AND NOT a.attisdropped)) THEN
    RAISE EXCEPTION '% column "%" of the index on "%" is not there any more',
                    CASE WHEN _index.options ? 'pictures' THEN 'picture' ELSE 'text' END,
                    colbert._encoded_column(_index), _index.source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column as it was, or drop the index with colbert.drop_index and create it anew.';
  END IF;
  RETURN _index;
END
$_find_encoded_index$;

COMMENT ON FUNCTION colbert._find_encoded_index(regclass, name) IS
  'The registry row of an index whose texts or pictures workers encode, or an error.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_attempt_key.sql
-- How attempts name the documents that they are about: by the key, and by the tenant where an index is kept apart, since
-- keys may be unique within a tenant only. As columns of the table of attempts, and as taken from the row s of the source.
CREATE OR REPLACE FUNCTION colbert._attempt_key(index colbert._index, OUT columns text, OUT taken text)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_attempt_key$
BEGIN
  columns := 'doc_id';
  taken := format('s.%I AS doc_id', index.key);
  IF colbert._tenant_column(index) IS NOT NULL THEN
    columns := columns || ', tenant';
    taken := taken || format(', s.%I::text AS tenant', colbert._tenant_column(index));
  END IF;
END
$_attempt_key$;

COMMENT ON FUNCTION colbert._attempt_key(colbert._index) IS
  'SQL for how attempts at encoding name their documents.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_create_attempts.sql
-- The attempts at encoding pending documents: the table "attempts" of an index with a column that workers encode. A
-- pending document is a row of the source with a text or picture and no array, and nothing else. It has a row here while a
-- worker is at it, or after it failed, which says when it is due again. So whatever is lost here is done again.
--
-- The table is written by whoever may write the array in the source and see the row.
CREATE OR REPLACE FUNCTION colbert._create_attempts(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_create_attempts$
DECLARE
  _table regclass;
BEGIN
  PERFORM colbert._create_pending_index(index);
  _table := colbert._create_derived(
    index, 'attempts',
    format('doc_id %s%s, PRIMARY KEY (%s), attempts integer NOT NULL, worker text NOT NULL, '
           'claimed_at timestamptz NOT NULL, due_at timestamptz NOT NULL, '
           'failed_at timestamptz, error text',
           (colbert._source_types(index)).key_type,
           CASE WHEN colbert._tenant_column(index) IS NOT NULL THEN ', tenant text COLLATE "C"' END,
           (colbert._attempt_key(index)).columns),
    'documents',
    CASE WHEN colbert._text_expression(index) IS NULL THEN format('s.%I IS NOT NULL', colbert._encoded_column(index))
         -- Always true: it is there for its check of privileges, and runs nothing of the expression.
         ELSE format('num_nonnulls(%s) >= 0',
                     (SELECT string_agg(format('s.%I', c), ', ') FROM unnest(colbert._encoded_columns(index)) AS c))
    END);
  EXECUTE format('CREATE INDEX ON %s (due_at)', _table);
  EXECUTE format('GRANT INSERT, UPDATE, DELETE ON TABLE %s TO PUBLIC', _table);
  EXECUTE format('CREATE POLICY writers_of_source ON %1$s '
                 'USING ((SELECT has_column_privilege(%2$L::regclass, %3$L, ''UPDATE'')) '
                 '  AND ((SELECT NOT row_security_active(%2$L::regclass)) '
                 '    OR EXISTS (SELECT FROM %2$s AS s WHERE %4$s OFFSET 0)))',
                 _table, index.source, index.embeddings, colbert._is_document_sql(index, _table::text));
END
$_create_attempts$;

COMMENT ON FUNCTION colbert._create_attempts(colbert._index) IS
  'Makes the table of attempts of an index with a column that workers encode.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_attempt_state.sql
-- What is known of an attempt at encoding:
--
--   encoding    a worker is at it, until its lease ends
--   failed      the worker reported a failure; the document is due again at due_at
--   lost        the lease has ended, and nothing was heard of the worker
CREATE OR REPLACE FUNCTION colbert._attempt_state(claimed_at timestamptz, due_at timestamptz, failed_at timestamptz)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN failed_at >= claimed_at THEN 'failed'
         WHEN due_at > statement_timestamp() THEN 'encoding'
         ELSE 'lost'
       END;

COMMENT ON FUNCTION colbert._attempt_state(timestamptz, timestamptz, timestamptz) IS
  'encoding, failed or lost: what is known of an attempt at encoding.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_retry_after.sql
-- The time to wait doubles with each attempt, up to an hour.
CREATE OR REPLACE FUNCTION colbert._retry_after(first interval, attempts integer)
RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(first * 2 ^ least(attempts - 1, 20), greatest(first, interval '1 hour'));

COMMENT ON FUNCTION colbert._retry_after(interval, integer) IS
  'How long to wait after so many attempts: twice as long each time, up to an hour.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_worker_name.sql
-- A worker that does not say its name is known by its session.
CREATE OR REPLACE FUNCTION colbert._worker_name(worker text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(worker, 'session ' || pg_backend_pid());

COMMENT ON FUNCTION colbert._worker_name(text) IS 'The name of a worker: its session, where it gives none.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_saw_worker.sql
-- A worker is there, and has encoded so many documents and tokens, or failed with so many, since it was last seen. A
-- claim brings none of them, and the time before it was not spent on work. A worker that was not seen for a day is
-- forgotten.
CREATE OR REPLACE FUNCTION colbert._saw_worker(
  index colbert._index, worker text, documents bigint, tokens bigint, failures bigint)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_saw_worker$
DECLARE
  _name text := colbert._worker_name(worker);
BEGIN
  UPDATE colbert._worker AS w
     SET seen_at = statement_timestamp(),
         busy = w.busy + CASE WHEN _saw_worker.documents + _saw_worker.failures > 0 THEN statement_timestamp() - w.seen_at
                              ELSE interval '0' END,
         documents = w.documents + _saw_worker.documents,
         tokens = w.tokens + _saw_worker.tokens,
         failures = w.failures + _saw_worker.failures
   WHERE w.index_id = index.id AND w.role = current_user AND w.worker = _name;
  IF NOT FOUND THEN
    DELETE FROM colbert._worker AS w
     WHERE w.index_id = index.id AND w.role = current_user
       AND w.seen_at < statement_timestamp() - interval '1 day';
    INSERT INTO colbert._worker (index_id, worker, documents, tokens, failures)
    VALUES (index.id, _name, documents, tokens, failures)
    ON CONFLICT DO NOTHING;
  END IF;
END
$_saw_worker$;

COMMENT ON FUNCTION colbert._saw_worker(colbert._index, text, bigint, bigint, bigint) IS
  'Keeps account of what a worker has done.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_claim.sql
-- Takes pending documents for a worker: those with a text or a picture and no array that nobody else is at. They are the
-- worker's for the time of the lease, which is longer at every further attempt. A worker that dies loses nothing: what it
-- does not store in that time is due again.
--
-- A document whose worker was lost comes alone, ahead of all others. Should it be what kills workers, then it takes no
-- others with it.
--
-- It is one statement, and no lock is held after it: encode outside of any transaction. Cost: a partial index holds the
-- keys of pending documents, so that neither the size of the table nor the length of the backlog matters.
CREATE OR REPLACE FUNCTION colbert._claim(
  index colbert._index, batch integer, lease interval, model jsonb, worker text)
RETURNS TABLE (doc_id text, content text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $_claim$
DECLARE
  _lost text[];
  _claim text;
  _claimed text[] := ARRAY[]::text[];
BEGIN
  PERFORM colbert._refuse_count('batch', batch);
  IF lease IS NULL OR lease <= interval '0' THEN
    RAISE EXCEPTION 'lease must be longer than nothing, not %', coalesce(lease::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give the worker time for a batch: lease => ''5 minutes''.';
  END IF;
  IF model IS NOT NULL THEN
    PERFORM colbert._agree_on_model(index, model);
  END IF;

  EXECUTE format(
    'SELECT array_agg(l.doc_id::text) FROM ('
    'SELECT a.doc_id FROM %s AS a JOIN %s AS s ON %s '
    ' WHERE s.%I IS NULL'
    '   AND a.due_at <= statement_timestamp()'
    '   AND colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) = ''lost'' '
    ' ORDER BY a.due_at LIMIT 16) AS l',
    colbert._derived_table(index, 'attempts'), index.source, colbert._is_document_sql(index, 'a'),
    index.embeddings)
     INTO _lost;
  IF _lost IS NOT NULL THEN
    _claim := colbert._claim_sql(index, format(
      's.%I = ANY ($4::%s[])', index.key, (colbert._source_types(index)).key_cast));
    FOR doc_id, content IN EXECUTE _claim USING 1, lease, colbert._worker_name(worker), _lost LOOP
      RETURN NEXT;
      _claimed := _claimed || doc_id;
    END LOOP;
  END IF;
  IF _lost IS NULL OR NOT FOUND THEN
    -- Another worker may have claimed all documents that this statement saw as it began. The next one sees others.
    _claim := colbert._claim_sql(index, format(
      'NOT EXISTS (SELECT FROM %s AS a WHERE %s'
      ' AND (a.due_at > statement_timestamp()'
      '   OR colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) <> ''failed''))',
      colbert._derived_table(index, 'attempts'), colbert._is_document_sql(index, 'a')));
    FOR _attempt IN 1 .. 5 LOOP
      FOR doc_id, content IN EXECUTE _claim USING batch, lease, colbert._worker_name(worker) LOOP
        RETURN NEXT;
        _claimed := _claimed || doc_id;
      END LOOP;
      EXIT WHEN FOUND;
    END LOOP;
  END IF;
  PERFORM colbert._refuse_ambiguous(index, _claimed);
  PERFORM colbert._saw_worker(index, worker, 0, 0, 0);
END
$_claim$;

COMMENT ON FUNCTION colbert._claim(colbert._index, integer, interval, jsonb, text) IS
  'Takes pending documents for a worker: what claim_pending and claim_pictures do.';

-- SQL that claims documents which meet a condition: at most $1 of them, leased for $2 to worker $3. Digests are made of
-- those alone.
--
-- The lock of the source row orders this with writers of the row, and SKIP LOCKED leaves alone what others are at. The
-- lock ends with the transaction, and a worker whose snapshot is older than another's claim can still get it. The
-- attempt itself, which is read as it is now, then says that the document is not due.
CREATE OR REPLACE FUNCTION colbert._claim_sql(index colbert._index, condition text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_claim_sql$
DECLARE
  _key record := colbert._attempt_key(index);
BEGIN
  RETURN format(
    'WITH due AS ('
    '  SELECT %1$s, %2$s AS content'
    '    FROM %3$s AS s'
    '   WHERE s.%4$I IS NULL AND %2$s IS NOT NULL AND %5$s'
    '   ORDER BY %6$s'
    '   LIMIT $1'
    '     FOR NO KEY UPDATE OF s SKIP LOCKED), '
    'claimed AS ('
    '  INSERT INTO %7$s AS a (%8$s, attempts, worker, claimed_at, due_at)'
    '  SELECT %8$s, 1, $3, statement_timestamp(), statement_timestamp() + $2 FROM due'
    '      ON CONFLICT (%8$s) DO UPDATE'
    '     SET attempts = a.attempts + 1,'
    '         worker = $3,'
    '         claimed_at = statement_timestamp(),'
    '         due_at = statement_timestamp() + colbert._retry_after($2, a.attempts + 1)'
    '   WHERE a.due_at <= statement_timestamp()'
    '  RETURNING %8$s) '
    'SELECT doc_id::text, %9$s FROM due JOIN claimed USING (%8$s) ORDER BY due.doc_id',
    _key.taken, colbert._encoded_sql(index), index.source, index.embeddings, condition,
    colbert._pending_order_sql(index, 's.'), colbert._derived_table(index, 'attempts'), _key.columns,
    colbert._content_sql(index, 'due.content'));
END
$_claim_sql$;

COMMENT ON FUNCTION colbert._claim_sql(colbert._index, text) IS
  'SQL that claims pending documents which meet a condition.';

-- The model whose vectors an index holds is in its option "model". It is an object, the fingerprint of an encoder.
-- Until the first worker comes it may be missing, or a mere name. The owner's worker then leaves its fingerprint there.
CREATE OR REPLACE FUNCTION colbert._agree_on_model(index colbert._index, model jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_agree_on_model$
DECLARE
  _known jsonb := index.options -> 'model';
BEGIN
  IF _known IS NULL OR (jsonb_typeof(_known) = 'string' AND _known = model -> 'name') THEN
    IF model ->> 'dimensions' <> index.dimensions::text THEN
      RAISE EXCEPTION 'the index on table "%" has vectors of % dimensions, the model of %',
                      index.source, index.dimensions, model ->> 'dimensions'
        USING ERRCODE = 'invalid_parameter_value',
              HINT = 'Use another model, or a column and an index of other dimensions.';
    END IF;
    UPDATE colbert._index AS i
       SET options = i.options || jsonb_build_object('model', model)
     WHERE i.id = index.id AND i.options -> 'model' IS NOT DISTINCT FROM _known;
    IF FOUND THEN
      RETURN;
    ELSIF (SELECT i.options -> 'model' IS NOT DISTINCT FROM _known
             FROM colbert._index AS i WHERE i.id = index.id) THEN
      RAISE EXCEPTION 'the index on table "%" does not know its model yet', index.source
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Run the first worker as the owner of the table, or name the model''s fingerprint in the '
                     'option "model".';
    END IF;
    _known := (SELECT i.options -> 'model' FROM colbert._index AS i WHERE i.id = index.id);
  END IF;
  IF _known IS DISTINCT FROM model THEN
    RAISE EXCEPTION 'the vectors of table "%" come from another model', index.source
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = format('The index says %s, the worker says %s.', _known, model),
            HINT = 'Use the model of the index, or drop the index and create it anew for the other one.';
  END IF;
END
$_agree_on_model$;

COMMENT ON FUNCTION colbert._agree_on_model(colbert._index, jsonb) IS
  'Raises unless the index holds vectors of this model; the first one becomes the index''s.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/claim_pending.sql
-- Takes pending texts for a worker: see _claim. An index of pictures is refused, since a worker that does not know of them
-- would encode a path as if it were a text.
CREATE OR REPLACE FUNCTION colbert.claim_pending(
  source regclass,
  batch integer DEFAULT 32,
  lease interval DEFAULT '5 minutes',
  model jsonb DEFAULT NULL,
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, content text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000 ROWS 32
SET search_path = pg_catalog, pg_temp
AS $claim_pending$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_pictures(_index);
  RETURN QUERY SELECT c.doc_id, c.content FROM colbert._claim(_index, batch, lease, model, worker) AS c;
END
$claim_pending$;

COMMENT ON FUNCTION colbert.claim_pending(regclass, integer, interval, jsonb, text, name) IS
  'Takes up to batch documents that have a text and no array, for a worker to encode and hand to store_encoded or report_failure before the lease ends. model is the fingerprint of the worker''s encoder: an error when the index has another one.';

CREATE OR REPLACE FUNCTION colbert._refuse_pictures(index colbert._index)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_pictures$
BEGIN
  IF index.options ? 'pictures' THEN
    RAISE EXCEPTION 'the index on table "%" is of pictures, not of texts', index.source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Take them with colbert.claim_pictures, as a worker whose model encodes pictures.';
  END IF;
END
$_refuse_pictures$;

COMMENT ON FUNCTION colbert._refuse_pictures(colbert._index) IS
  'Raises for an index of pictures.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/claim_pictures.sql
-- Takes pending pictures for a worker: see _claim. An index of texts is refused.
CREATE OR REPLACE FUNCTION colbert.claim_pictures(
  source regclass,
  batch integer DEFAULT 8,
  lease interval DEFAULT '5 minutes',
  model jsonb DEFAULT NULL,
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, content text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000 ROWS 8
SET search_path = pg_catalog, pg_temp
AS $claim_pictures$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
BEGIN
  IF NOT _index.options ? 'pictures' THEN
    RAISE EXCEPTION 'the index on table "%" is of texts, not of pictures', _index.source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'Take them with colbert.claim_pending.';
  END IF;
  RETURN QUERY SELECT c.doc_id, c.content FROM colbert._claim(_index, batch, lease, model, worker) AS c;
END
$claim_pictures$;

COMMENT ON FUNCTION colbert.claim_pictures(regclass, integer, interval, jsonb, text, name) IS
  'Takes up to batch documents that have a picture and no array, for a worker to encode and hand to store_encoded or report_failure before the lease ends. The content is the path of a picture, or the SHA-256 of its bytes, which read_picture gives.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/read_picture.sql
-- The bytes of a pending picture, by the digest that claim_pictures gave: one picture at a time, so that a worker holds no
-- more of them than it encodes. NULL when it is another picture by now, or the document is not pending any more.
CREATE OR REPLACE FUNCTION colbert.read_picture(source regclass, doc_id text, content text, embeddings name DEFAULT NULL)
RETURNS bytea
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $read_picture$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _picture bytea;
BEGIN
  IF NOT colbert._has_picture_bytes(_index) THEN
    RAISE EXCEPTION 'the index on table "%" is not of the bytes of pictures', _index.source
      USING ERRCODE = 'wrong_object_type',
            HINT = 'What colbert.claim_pictures gives for a column of text is the path of a file.';
  END IF;
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format('SELECT %s FROM %s AS s WHERE s.%I = $1::%s AND s.%I IS NULL AND %s = $2',
                 colbert._encoded_sql(_index), _index.source, _index.key, (colbert._source_types(_index)).key_cast,
                 _index.embeddings, colbert._content_sql(_index))
     INTO _picture
    USING doc_id, content;
  RETURN _picture;
END
$read_picture$;

COMMENT ON FUNCTION colbert.read_picture(regclass, text, text, name) IS
  'The bytes of a pending picture, given the digest that claim_pictures has named; NULL when it is another picture by now, or the document is not pending any more.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/document_text.sql
-- The text of a document that workers encode, as it is now: the column that the index names, or the value of its
-- expression. NULL where there is no such document.
CREATE OR REPLACE FUNCTION colbert.document_text(source regclass, doc_id text, embeddings name DEFAULT NULL)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $document_text$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _text text;
BEGIN
  PERFORM colbert._refuse_pictures(_index),
          colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format('SELECT %s::text FROM %s AS s WHERE s.%I = $1::%s',
                 colbert._encoded_sql(_index), _index.source, _index.key, (colbert._source_types(_index)).key_cast)
     INTO _text
    USING doc_id;
  RETURN _text;
END
$document_text$;

COMMENT ON FUNCTION colbert.document_text(regclass, text, name) IS
  'The text of a document that workers encode: the column that the index names, or the value of its expression; NULL when there is no such document.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/store_encoded.sql
-- Stores the vectors of a pending document, if its text or picture is still the one that was encoded and nobody else has
-- stored an array meanwhile. Returns whether it was stored. If not, there is nothing left to do: what has changed is pending
-- again.
--
-- first_stage are the vectors of the column that option "first_stage" names, where workers fill it.
CREATE OR REPLACE FUNCTION colbert.store_encoded(
  source regclass,
  doc_id text,
  content text,
  vectors vector[],
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL,
  first_stage vector[] DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 10000
SET search_path = pg_catalog, pg_temp
AS $store_encoded$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _types record := colbert._source_types(_index);
  _stage name := colbert._stage_column(_index);
  _stored bigint;
BEGIN
  IF vectors IS NULL THEN
    RAISE EXCEPTION 'vectors of document "%" must not be NULL', doc_id
      USING ERRCODE = 'null_value_not_allowed',
            HINT = 'Pass the empty array for a text without tokens, or call colbert.report_failure.';
  ELSIF first_stage IS NOT NULL AND _stage IS NULL THEN
    RAISE EXCEPTION 'the index on column "%" of table "%" has no first stage that is filled by writers',
                    _index.embeddings, _index.source
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Leave out first_stage. PostgreSQL itself fills a generated column.';
  END IF;
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format('UPDATE %1$s AS s SET %2$I = %3$s%7$s '
                 ' WHERE s.%4$I = $2::%5$s AND s.%2$I IS NULL AND %6$s = $3',
                 _index.source, _index.embeddings, colbert._stored_sql(_types.element, '$1'), _index.key, _types.key_cast,
                 colbert._content_sql(_index),
                 CASE WHEN first_stage IS NOT NULL
                      THEN format(', %I = %s', _stage,
                                  colbert._stored_sql(colbert._element_type(_index.source, _stage), '$4')) END)
    USING vectors, doc_id, content, first_stage;
  GET DIAGNOSTICS _stored = ROW_COUNT;
  IF _stored > 0 THEN
    PERFORM colbert._saw_worker(_index, worker, 1, cardinality(vectors), 0);
  END IF;
  RETURN _stored > 0;
END
$store_encoded$;

COMMENT ON FUNCTION colbert.store_encoded(regclass, text, text, vector[], text, name, vector[]) IS
  'Stores the vectors of a pending document, given the content that was claimed; false when it is another by now, or the document is not pending any more.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/report_failure.sql
-- Sets a pending document aside that could not be encoded: with the error, and for a time that doubles with every
-- attempt, from ten seconds to an hour. Returns when it is due again. NULL when the content is another by now, or the
-- document is not pending any more.
CREATE OR REPLACE FUNCTION colbert.report_failure(
  source regclass,
  doc_id text,
  content text,
  error text,
  worker text DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $report_failure$
DECLARE
  _first CONSTANT interval := interval '10 seconds';
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _key record := colbert._attempt_key(_index);
  _due timestamptz;
BEGIN
  PERFORM colbert._refuse_ambiguous(_index, ARRAY[doc_id]);
  EXECUTE format(
    'WITH failed AS MATERIALIZED ('
    '  SELECT %7$s FROM %2$s AS s'
    '   WHERE s.%1$I = $1::%3$s AND s.%4$I IS NULL AND %5$s = $2'
    '     FOR NO KEY UPDATE) '
    'INSERT INTO %6$s AS a (%8$s, attempts, worker, claimed_at, due_at, failed_at, error) '
    'SELECT %8$s, 1, $4, statement_timestamp(), statement_timestamp() + $5, statement_timestamp(), $3'
    '  FROM failed '
    '    ON CONFLICT (%8$s) DO UPDATE '
    '   SET due_at = statement_timestamp() + colbert._retry_after($5, a.attempts),'
    '       failed_at = statement_timestamp(), worker = $4, error = $3 '
    'RETURNING due_at',
    _index.key, _index.source, (colbert._source_types(_index)).key_cast, _index.embeddings,
    colbert._content_sql(_index), colbert._derived_table(_index, 'attempts'), _key.taken, _key.columns)
     INTO _due
    USING doc_id, content, left(coalesce(error, 'no error was given'), 2000),
          colbert._worker_name(worker), _first;
  IF _due IS NOT NULL THEN
    PERFORM colbert._saw_worker(_index, worker, 0, 0, 1);
  END IF;
  RETURN _due;
END
$report_failure$;

COMMENT ON FUNCTION colbert.report_failure(regclass, text, text, text, text, name) IS
  'Sets a pending document aside with the error of its encoding; returns when it is due again: after ten seconds, twice as long each time, up to an hour.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/retry_failures.sql
-- Makes the documents that failed due at once, as if they had never been tried: for when what made them fail has been
-- mended. Returns how many there were.
CREATE OR REPLACE FUNCTION colbert.retry_failures(source regclass, embeddings name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $retry_failures$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
  _failures bigint;
BEGIN
  EXECUTE format('DELETE FROM %s AS a '
                 ' WHERE colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) IN (''failed'', ''lost'')',
                 colbert._derived_table(_index, 'attempts'));
  GET DIAGNOSTICS _failures = ROW_COUNT;
  PERFORM colbert._notify_workers(_index.id);
  RETURN _failures;
END
$retry_failures$;

COMMENT ON FUNCTION colbert.retry_failures(regclass, name) IS
  'Makes the documents that failed due at once; returns how many there were.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/_readable.sql
-- Whether the caller may read the pending documents of an index, and they are there to be read.
CREATE OR REPLACE FUNCTION colbert._readable(index colbert._index)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN CASE
         WHEN NOT colbert._is_encoded(index)
              OR EXISTS (SELECT
                           FROM unnest(ARRAY[index.key, index.embeddings] || colbert._encoded_columns(index)) AS c (name)
                           LEFT JOIN pg_catalog.pg_attribute AS a
                                  ON a.attrelid = index.source AND a.attname = c.name
                          WHERE has_column_privilege(index.source, a.attnum, 'SELECT') IS NOT TRUE)
         THEN false
         ELSE (colbert._index_state(index)).state <> 'broken'
       END;

COMMENT ON FUNCTION colbert._readable(colbert._index) IS
  'Whether the caller may read the pending documents of an index.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/failures.sql
-- The documents of an index that could not be encoded, as far as the caller may read them. Those of another's table are
-- read only when the caller named it.
CREATE OR REPLACE FUNCTION colbert._failures(index colbert._index, named boolean)
RETURNS TABLE (doc_id text, error text, attempts integer, failed_at timestamptz, retry_at timestamptz, worker text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_failures$
BEGIN
  IF (named OR colbert._is_own(index.source)) AND colbert._readable(index) THEN
    RETURN QUERY EXECUTE format(
      $failures$
      SELECT a.doc_id::text,
             CASE s.state WHEN 'failed' THEN a.error ELSE 'the worker was lost' END,
             a.attempts,
             CASE s.state WHEN 'failed' THEN a.failed_at ELSE a.due_at END,
             a.due_at,
             a.worker
        FROM %s AS a
       CROSS JOIN LATERAL colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) AS s (state)
       WHERE s.state IN ('failed', 'lost')
       ORDER BY 4 DESC
      $failures$,
      colbert._derived_table(index, 'attempts'));
  END IF;
END
$_failures$;

COMMENT ON FUNCTION colbert._failures(colbert._index, boolean) IS
  'The documents of an index that could not be encoded.';

CREATE OR REPLACE VIEW colbert.failures WITH (security_invoker = true) AS
SELECT i.source, i.embeddings, f.doc_id, f.error, f.attempts, f.failed_at, f.retry_at, f.worker
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._failures(i, false) AS f;

COMMENT ON VIEW colbert.failures IS
  'The documents of the reader''s tables that could not be encoded, and when they are tried again; for tables of others there is the function failures.';

COMMENT ON COLUMN colbert.failures.source IS 'The table.';
COMMENT ON COLUMN colbert.failures.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.failures.doc_id IS 'The key of the document.';
COMMENT ON COLUMN colbert.failures.error IS 'What the encoder or the database said, the last time.';
COMMENT ON COLUMN colbert.failures.attempts IS 'How often it was tried.';
COMMENT ON COLUMN colbert.failures.failed_at IS 'When it failed the last time.';
COMMENT ON COLUMN colbert.failures.retry_at IS 'When it is due again; retry_failures makes it due at once.';
COMMENT ON COLUMN colbert.failures.worker IS 'Which worker tried.';

GRANT SELECT ON colbert.failures TO PUBLIC;

-- The same of one table, whoever owns it.
CREATE OR REPLACE FUNCTION colbert.failures(
  source regclass,
  OUT embeddings name, OUT doc_id text, OUT error text, OUT attempts integer, OUT failed_at timestamptz,
  OUT retry_at timestamptz, OUT worker text)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.embeddings, f.doc_id, f.error, f.attempts, f.failed_at, f.retry_at, f.worker
    FROM colbert._index AS i
   CROSS JOIN LATERAL colbert._failures(i, true) AS f
   WHERE i.source = failures.source;
END;

COMMENT ON FUNCTION colbert.failures(regclass) IS
  'The documents of a table that could not be encoded, as far as the caller may read them: as the view failures, but of another''s table, too.';
$part$;

EXECUTE $part$
-- sql/functions/encoding/workers.sql
CREATE OR REPLACE VIEW colbert.workers WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       w.worker,
       w.role,
       w.started_at,
       w.seen_at,
       w.documents,
       w.tokens,
       w.failures,
       CASE WHEN w.busy > interval '0'
            THEN (60 * w.documents / extract(epoch FROM w.busy))::numeric(20, 1) END AS documents_per_minute
  FROM colbert._worker AS w
  JOIN colbert._index AS i ON i.id = w.index_id;

COMMENT ON VIEW colbert.workers IS
  'The workers that were seen in the last day or so, and what each has done.';

COMMENT ON COLUMN colbert.workers.source IS 'The table.';
COMMENT ON COLUMN colbert.workers.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.workers.worker IS 'The name that it gave itself: colbert-pg worker says host and process.';
COMMENT ON COLUMN colbert.workers.role IS 'The role as which it works.';
COMMENT ON COLUMN colbert.workers.started_at IS 'When it was first seen.';
COMMENT ON COLUMN colbert.workers.seen_at IS 'When it last asked for documents, or stored one.';
COMMENT ON COLUMN colbert.workers.documents IS 'How many documents it has stored.';
COMMENT ON COLUMN colbert.workers.tokens IS 'How many vectors they had.';
COMMENT ON COLUMN colbert.workers.failures IS 'How often it failed.';
COMMENT ON COLUMN colbert.workers.documents_per_minute IS 'Its throughput while there was work to do.';

GRANT SELECT ON colbert.workers TO PUBLIC;
$part$;

EXECUTE $part$
-- sql/functions/encoding/pending.sql
-- How many documents of an index wait, are being encoded, and have failed. NULLs where the caller may not read them.
-- Those of another's table are read only when the caller named it.
CREATE OR REPLACE FUNCTION colbert._pending(
  index colbert._index, named boolean, OUT pending bigint, OUT encoding bigint, OUT failed bigint, OUT retry_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_pending$
BEGIN
  IF (named OR colbert._is_own(index.source)) AND colbert._readable(index) THEN
    EXECUTE format('SELECT count(*) FROM %s AS s WHERE s.%I IS NULL AND %s IS NOT NULL',
                   index.source, index.embeddings, colbert._encoded_sql(index))
       INTO pending;
    EXECUTE format(
      $attempts$
      SELECT count(*) FILTER (WHERE s.state = 'encoding'),
             count(*) FILTER (WHERE s.state IN ('failed', 'lost')),
             min(a.due_at) FILTER (WHERE s.state = 'failed')
        FROM %s AS a
       CROSS JOIN LATERAL colbert._attempt_state(a.claimed_at, a.due_at, a.failed_at) AS s (state)
      $attempts$,
      colbert._derived_table(index, 'attempts'))
       INTO encoding, failed, retry_at;
  END IF;
END
$_pending$;

COMMENT ON FUNCTION colbert._pending(colbert._index, boolean) IS
  'How many documents of an index are pending, are being encoded, and have failed.';

CREATE OR REPLACE VIEW colbert.pending WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       coalesce(i.options ->> 'text', i.options ->> 'pictures') AS text,
       i.options -> 'model' AS model,
       p.pending,
       p.encoding,
       p.failed,
       p.retry_at,
       w.workers,
       w.documents_per_minute,
       CASE WHEN w.documents_per_minute > 0
            THEN date_trunc('second', p.pending / w.documents_per_minute::float8 * interval '1 minute')
       END AS time_left
  FROM colbert._index AS i
 CROSS JOIN LATERAL colbert._pending(i, false) AS p
 CROSS JOIN LATERAL (SELECT count(*) AS workers,
                            sum(v.documents_per_minute) AS documents_per_minute
                       FROM colbert.workers AS v
                      WHERE v.source = i.source AND v.embeddings = i.embeddings
                        AND v.seen_at > statement_timestamp() - interval '2 minutes') AS w
 WHERE colbert._is_encoded(i);

COMMENT ON VIEW colbert.pending IS
  'For every index with a column that workers encode: how many documents have no vectors yet, how fast they are encoded, and how long it will take.';

COMMENT ON COLUMN colbert.pending.source IS 'The table.';
COMMENT ON COLUMN colbert.pending.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.pending.text IS 'The column of texts or of pictures that is encoded, or the expression, as given to create_index.';
COMMENT ON COLUMN colbert.pending.model IS 'The model: the fingerprint of the workers'' encoder, NULL before the first one.';
COMMENT ON COLUMN colbert.pending.pending IS
  'How many documents have a text or a picture and no vectors, those of the next two columns included; NULL in tables of others, for which there is the function pending.';
COMMENT ON COLUMN colbert.pending.encoding IS 'How many of them a worker is at.';
COMMENT ON COLUMN colbert.pending.failed IS 'How many of them have failed: see colbert.failures.';
COMMENT ON COLUMN colbert.pending.retry_at IS 'When the first of those is due again.';
COMMENT ON COLUMN colbert.pending.workers IS 'How many workers were seen in the last two minutes.';
COMMENT ON COLUMN colbert.pending.documents_per_minute IS 'What these encode, together.';
COMMENT ON COLUMN colbert.pending.time_left IS 'How long the pending documents will take them.';

GRANT SELECT ON colbert.pending TO PUBLIC;

-- The same of one table, whoever owns it.
CREATE OR REPLACE FUNCTION colbert.pending(
  source regclass,
  OUT embeddings name, OUT pending bigint, OUT encoding bigint, OUT failed bigint, OUT retry_at timestamptz)
RETURNS SETOF record
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT i.embeddings, p.pending, p.encoding, p.failed, p.retry_at
    FROM colbert._index AS i
   CROSS JOIN LATERAL colbert._pending(i, true) AS p
   WHERE i.source = pending.source
     AND colbert._is_encoded(i);
END;

COMMENT ON FUNCTION colbert.pending(regclass) IS
  'How many documents of a table have no vectors yet, are being encoded, and have failed: as the view pending, but of another''s table, too.';
$part$;

EXECUTE $part$
-- sql/functions/asking/_asked_index.sql
-- The index that a query in text is for. Its model has to be known: vectors of another one would find nothing.
CREATE OR REPLACE FUNCTION colbert._asked_index(source regclass, query_text text, embeddings name)
RETURNS colbert._index
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_asked_index$
DECLARE
  _index colbert._index := colbert._find_encoded_index(source, embeddings);
BEGIN
  IF query_text IS NULL OR query_text !~ '\S' THEN
    RAISE EXCEPTION 'the query is empty'
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Pass a text with a word in it.';
  ELSIF length(query_text) > 20000 THEN
    RAISE EXCEPTION 'the query has % characters, and 20,000 are the most', length(query_text)
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Ask a shorter question: a model reads no more than some hundred words.';
  ELSIF jsonb_typeof(_index.options -> 'model') IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'the index on table "%" does not know its model yet', _index.source
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Run colbert-pg worker as the owner of the table: its model becomes that of the index.';
  END IF;
  RETURN _index;
END
$_asked_index$;

COMMENT ON FUNCTION colbert._asked_index(regclass, text, name) IS
  'The registry row of an index for a query in text, or an error.';

-- Names a query of a model. A text itself may be too long for an index.
CREATE OR REPLACE FUNCTION colbert._query_digest(model jsonb, query_text text)
RETURNS bytea
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN sha256(convert_to(jsonb_build_array(model, query_text)::text, 'UTF8'));

COMMENT ON FUNCTION colbert._query_digest(jsonb, text) IS 'Names a query of a model.';
$part$;

EXECUTE $part$
-- sql/functions/asking/encoded_query.sql
-- The vectors of a query that was encoded before, for the role that asked. It only reads, so that it answers on a standby
-- too. What was made by another model than the index has now is not used.
CREATE OR REPLACE FUNCTION colbert.encoded_query(
  query_text text,
  source regclass DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS vector[]
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $encoded_query$
DECLARE
  _query colbert._query := colbert._kept_query(colbert._asked_index(source, query_text, embeddings), query_text);
BEGIN
  IF _query.error IS NOT NULL THEN
    RAISE EXCEPTION 'the query cannot be encoded: %', _query.error
      USING ERRCODE = 'external_routine_exception',
            HINT = 'Ask in other words, or look at the log of the worker.';
  ELSIF _query.vectors IS NULL THEN
    RAISE EXCEPTION 'the query is not encoded yet'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'CALL colbert.encode_query(query_text, source) first, outside of a transaction block. Inside of one: '
                   'SELECT colbert.request_query(query_text, source), commit, and search in the next.';
  END IF;
  RETURN _query.vectors;
END
$encoded_query$;

COMMENT ON FUNCTION colbert.encoded_query(text, regclass, name) IS
  'The vectors of a query that encode_query or request_query has asked for, for any function that takes vectors; an error when they are not there. It only reads.';

-- The caller's own row of a query, if there is one.
CREATE OR REPLACE FUNCTION colbert._kept_query(index colbert._index, query_text text)
RETURNS colbert._query
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_kept_query$
DECLARE
  _model jsonb := index.options -> 'model';
  _query colbert._query;
BEGIN
  SELECT q.*
    INTO _query
    FROM colbert._query AS q
   WHERE q.index_id = index.id AND q.role = current_user
     AND q.digest = colbert._query_digest(_model, _kept_query.query_text)
     AND q.model = _model AND q.query_text = _kept_query.query_text;
  RETURN _query;
END
$_kept_query$;

COMMENT ON FUNCTION colbert._kept_query(colbert._index, text) IS
  'The caller''s row of a query, if there is one.';
$part$;

EXECUTE $part$
-- sql/functions/asking/request_query.sql
-- Asks the workers to encode a query. They see it when the transaction commits, and are told then. Returns whether there
-- is nothing to wait for, since the vectors are there. For transactions, where CALL colbert.encode_query may not commit.
--
-- A question that nobody has answered after the timeout is given up. It is cleared away by the next one of the same role,
-- and by workers.
CREATE OR REPLACE FUNCTION colbert.request_query(
  query_text text,
  source regclass DEFAULT NULL,
  timeout interval DEFAULT '10 minutes',
  embeddings name DEFAULT NULL)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $request_query$
DECLARE
  _index colbert._index := colbert._asked_index(source, query_text, embeddings);
  _model jsonb := _index.options -> 'model';
BEGIN
  IF timeout IS NULL OR timeout <= interval '0' THEN
    RAISE EXCEPTION 'timeout must be longer than nothing, not %', coalesce(timeout::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Give the worker time for an answer: timeout => ''10 seconds''.';
  ELSIF (colbert._kept_query(_index, query_text)).vectors IS NOT NULL THEN
    RETURN true;
  ELSIF current_setting('transaction_read_only')::boolean THEN
    RAISE EXCEPTION 'the query is not encoded yet, and nothing can be asked in a transaction that only reads'
      USING ERRCODE = 'read_only_sql_transaction',
            HINT = 'CALL colbert.encode_query on the primary server. Standbys have the vectors, too, a moment later.';
  END IF;
  DELETE FROM colbert._query AS q
   WHERE q.index_id = _index.id AND q.role = current_user
     AND q.vectors IS NULL AND q.expires_at < clock_timestamp()
     AND q.digest <> colbert._query_digest(_model, request_query.query_text);
  INSERT INTO colbert._query AS q (index_id, digest, model, query_text, expires_at)
  VALUES (_index.id, colbert._query_digest(_model, query_text), _model, query_text, clock_timestamp() + timeout)
  ON CONFLICT (index_id, role, digest) DO UPDATE
     SET expires_at = greatest(q.expires_at, excluded.expires_at),
         asked_at = clock_timestamp(),
         claimed_until = CASE WHEN q.encoded_at IS NULL THEN q.claimed_until END,
         encoded_at = NULL,
         error = NULL
   WHERE q.vectors IS NULL;
  PERFORM pg_notify('colbert_query', _index.id::text);
  RETURN false;
END
$request_query$;

COMMENT ON FUNCTION colbert.request_query(text, regclass, interval, name) IS
  'Asks the workers to encode a query, once the transaction commits; true when its vectors are there already. For transactions, in which encode_query may not commit: search in the next one.';
$part$;

EXECUTE $part$
-- sql/functions/asking/encode_query.sql
-- Has a worker encode a query: asks, commits so that workers see the question, and looks for the answer until the
-- timeout. Afterwards search_text and encoded_query find the vectors, which are returned as well. A question that the same
-- role has asked before needs no worker.
--
-- It cannot run inside a transaction block ("invalid transaction termination"): request_query is for those.
--
-- Errors: no worker has taken the question in time, or none has answered it; what the worker says of it. A question is
-- not left behind. When its client is gone, workers pass it over after the timeout, and clear it away.
CREATE OR REPLACE PROCEDURE colbert.encode_query(
  query_text text,
  source regclass DEFAULT NULL,
  timeout interval DEFAULT '10 seconds',
  embeddings name DEFAULT NULL,
  INOUT vectors vector[] DEFAULT NULL)
LANGUAGE plpgsql SECURITY INVOKER
AS $encode_query$
DECLARE
  _asked pg_catalog.timestamptz;
  _pause pg_catalog.float8;
  _gone pg_catalog.text;
BEGIN
  COMMIT;
  IF NOT colbert.request_query(query_text, source, timeout, embeddings) THEN
    COMMIT;
    _asked := pg_catalog.clock_timestamp();
    LOOP
      _pause := colbert._query_pause(query_text, source, _asked, timeout, embeddings);
      EXIT WHEN _pause IS NULL;
      COMMIT;
      PERFORM pg_catalog.pg_sleep(_pause);
    END LOOP;
    _gone := colbert._give_up_query(query_text, source, embeddings);
    COMMIT;
    PERFORM colbert._refuse_unanswered(_gone, timeout);
  END IF;
  vectors := colbert.encoded_query(query_text, source, embeddings);
  COMMIT;
END
$encode_query$;

COMMENT ON PROCEDURE colbert.encode_query(text, regclass, interval, name, vector[]) IS
  'Has a worker encode a query, and waits for it: search_text finds the vectors afterwards. timeout, how long to wait at the most; not inside a transaction block.';

-- How many seconds to wait before the next look at a query that was asked. NULL when it is answered, or the time is over.
-- An answer is found after a tenth of the time that it took at the latest, or 3 ms.
CREATE OR REPLACE FUNCTION colbert._query_pause(
  query_text text, source regclass, asked_at timestamptz, timeout interval, embeddings name)
RETURNS float8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_query_pause$
DECLARE
  _query colbert._query := colbert._kept_query(colbert._asked_index(source, query_text, embeddings), query_text);
  _waited float8 := extract(epoch FROM clock_timestamp() - asked_at);
  _left float8 := extract(epoch FROM timeout) - _waited;
BEGIN
  RETURN CASE WHEN _query.id IS NOT NULL AND _query.encoded_at IS NULL AND _left > 0
              THEN least(_left, greatest(0.003, least(0.1, _waited / 10))) END;
END
$_query_pause$;

COMMENT ON FUNCTION colbert._query_pause(text, regclass, timestamptz, interval, name) IS
  'How many seconds to wait before the next look at a query; NULL when there is nothing to wait for.';

-- Takes back a query that is not answered. Returns what has become of it: "waiting" when no worker had taken it, "claimed"
-- when one had, NULL when it is answered.
CREATE OR REPLACE FUNCTION colbert._give_up_query(query_text text, source regclass, embeddings name)
RETURNS text
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_give_up_query$
DECLARE
  _query colbert._query := colbert._kept_query(colbert._asked_index(source, query_text, embeddings), query_text);
  _gone text;
BEGIN
  IF _query.encoded_at IS NOT NULL THEN
    RETURN NULL;
  END IF;
  DELETE FROM colbert._query AS q
   WHERE q.id = _query.id AND q.encoded_at IS NULL
  RETURNING CASE WHEN q.claimed_until IS NULL THEN 'waiting' ELSE 'claimed' END INTO _gone;
  RETURN CASE WHEN _query.id IS NULL THEN 'waiting' ELSE _gone END;
END
$_give_up_query$;

COMMENT ON FUNCTION colbert._give_up_query(text, regclass, name) IS
  'Takes back a query that is not answered; returns what has become of it.';

-- Raises for a query that was not answered in time.
CREATE OR REPLACE FUNCTION colbert._refuse_unanswered(state text, timeout interval)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_unanswered$
BEGIN
  IF state = 'waiting' THEN
    RAISE EXCEPTION 'no worker has taken the query within %', timeout
      USING ERRCODE = 'query_canceled',
            HINT = 'Run colbert-pg worker as the owner of the table, or as a role that the owner has named with '
                   'colbert.allow_query_worker.';
  ELSIF state = 'claimed' THEN
    RAISE EXCEPTION 'a worker has taken the query and not answered within %', timeout
      USING ERRCODE = 'query_canceled',
            HINT = 'Wait longer, timeout => ''1 minute'', or look whether the worker is alive.';
  END IF;
END
$_refuse_unanswered$;

COMMENT ON FUNCTION colbert._refuse_unanswered(text, interval) IS
  'Raises for a query that was not answered in time.';
$part$;

EXECUTE $part$
-- sql/functions/asking/claim_queries.sql
-- Takes queries that wait to be encoded, for a worker: the oldest first, at most as many as the batch. They are the
-- worker's for the time of the lease. It is one statement, and no lock is held after it.
--
-- A worker that is neither the owner of the table nor named by the owner gets the queries of its own role alone.
CREATE OR REPLACE FUNCTION colbert.claim_queries(
  source regclass,
  batch integer DEFAULT 32,
  lease interval DEFAULT '5 seconds',
  model jsonb DEFAULT NULL,
  embeddings name DEFAULT NULL)
RETURNS TABLE (id uuid, query_text text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 1000 ROWS 1
SET search_path = pg_catalog, pg_temp
AS $claim_queries$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_count('batch', batch);
  RETURN QUERY
    UPDATE colbert._query AS q
       SET claimed_until = clock_timestamp() + claim_queries.lease
     WHERE q.id IN (SELECT w.id
                      FROM colbert._query AS w
                     WHERE w.index_id = _index.id
                       AND w.encoded_at IS NULL
                       AND w.expires_at > clock_timestamp()
                       AND coalesce(w.claimed_until <= clock_timestamp(), true)
                       AND w.model = coalesce(claim_queries.model, _index.options -> 'model')
                     ORDER BY w.asked_at
                     LIMIT claim_queries.batch
                       FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING q.id, q.query_text;
END
$claim_queries$;

COMMENT ON FUNCTION colbert.claim_queries(regclass, integer, interval, jsonb, name) IS
  'Takes up to batch queries that wait, for a worker to encode and hand to store_query or report_query_failure before the lease ends. model is the fingerprint of the worker''s encoder: queries for another model are left.';
$part$;

EXECUTE $part$
-- sql/functions/asking/store_query.sql
-- Stores the vectors of a query for the role that asked. Returns whether they were stored: not when nobody waits for them
-- any more, or another worker was faster.
CREATE OR REPLACE FUNCTION colbert.store_query(id uuid, vectors vector[])
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
COST 1000
SET search_path = pg_catalog, pg_temp
AS $store_query$
DECLARE
  _index colbert._index;
BEGIN
  SELECT i.*
    INTO _index
    FROM colbert._query AS q
    JOIN colbert._index AS i ON i.id = q.index_id
   WHERE q.id = store_query.id;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM colbert._refuse_query(_index, vectors);
  UPDATE colbert._query AS q
     SET vectors = store_query.vectors, error = NULL, encoded_at = clock_timestamp()
   WHERE q.id = store_query.id AND q.encoded_at IS NULL;
  RETURN FOUND;
END
$store_query$;

COMMENT ON FUNCTION colbert.store_query(uuid, vector[]) IS
  'Stores the vectors of a query that claim_queries gave; false when nobody waits for them any more.';

-- Answers a query with an error. Whoever waits for it gets the error. Asked again, it is tried again.
CREATE OR REPLACE FUNCTION colbert.report_query_failure(id uuid, error text)
RETURNS boolean
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $report_query_failure$
BEGIN
  UPDATE colbert._query AS q
     SET error = left(coalesce(report_query_failure.error, 'no error was given'), 2000), encoded_at = clock_timestamp()
   WHERE q.id = report_query_failure.id AND q.encoded_at IS NULL;
  RETURN FOUND;
END
$report_query_failure$;

COMMENT ON FUNCTION colbert.report_query_failure(uuid, text) IS
  'Answers a query that claim_queries gave with the error of its encoding.';
$part$;

EXECUTE $part$
-- sql/functions/asking/forget_queries.sql
-- Clears away, of the queries asked for an index: those that are older than the age or beyond the number to keep, those
-- of a model that the index has no more, and those that nobody waits for any more. Returns how many there were. Workers call
-- it. A role that is neither owner nor named by the owner forgets its own.
CREATE OR REPLACE FUNCTION colbert.forget_queries(
  source regclass,
  keep integer DEFAULT 10000,
  age interval DEFAULT '30 days',
  embeddings name DEFAULT NULL)
RETURNS bigint
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $forget_queries$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _forgotten bigint;
BEGIN
  DELETE FROM colbert._query AS q
   WHERE q.index_id = _index.id
     AND (q.encoded_at < clock_timestamp() - forget_queries.age
       OR q.model IS DISTINCT FROM _index.options -> 'model'
       OR (q.vectors IS NULL AND q.expires_at < clock_timestamp())
       OR q.id IN (SELECT k.id
                     FROM colbert._query AS k
                    WHERE k.index_id = _index.id AND k.encoded_at IS NOT NULL
                    ORDER BY k.encoded_at DESC
                   OFFSET forget_queries.keep));
  GET DIAGNOSTICS _forgotten = ROW_COUNT;
  RETURN _forgotten;
END
$forget_queries$;

COMMENT ON FUNCTION colbert.forget_queries(regclass, integer, interval, name) IS
  'Clears away old queries that were encoded, those of another model, and those that nobody waits for; returns how many. keep, how many stay; age, for how long.';
$part$;

EXECUTE $part$
-- sql/functions/asking/allow_query_worker.sql
-- Names a role whose workers may read and answer the queries that others ask for an index, or takes that back. The owner
-- of the table needs no naming. A role that is dropped should be taken back: it is kept by its name.
CREATE OR REPLACE FUNCTION colbert.allow_query_worker(
  source regclass,
  role regrole,
  allowed boolean DEFAULT true,
  embeddings name DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $allow_query_worker$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
BEGIN
  PERFORM colbert._refuse_stranger(_index.source);
  IF allowed THEN
    INSERT INTO colbert._query_worker (index_id, role)
    VALUES (_index.id, pg_get_userbyid(role))
    ON CONFLICT DO NOTHING;
  ELSE
    DELETE FROM colbert._query_worker AS w
     WHERE w.index_id = _index.id AND w.role = pg_get_userbyid(allow_query_worker.role);
  END IF;
END
$allow_query_worker$;

COMMENT ON FUNCTION colbert.allow_query_worker(regclass, regrole, boolean, name) IS
  'Names a role whose workers may encode the queries that others ask for a table; with allowed => false, takes that back. For the owner of the table.';
$part$;

EXECUTE $part$
-- sql/functions/asking/search_text.sql
-- search for a query in text, with the vectors that a worker has made of it (encoded_query). Three forms, by the type of
-- the keys, as search has them.
CREATE OR REPLACE FUNCTION colbert.search_text(
  source regclass,
  query_text text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, colbert.encoded_query(query_text, source, embeddings), NULL::bigint, k, filter, params,
                         candidates, exact, embeddings, current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_text(regclass, text, integer, text, jsonb, integer, boolean, name, float8) IS
  'search for a query in text, whose vectors encode_query or request_query has asked for; an error when they are not there. It only reads.';

CREATE OR REPLACE FUNCTION colbert.search_text(
  source regclass,
  query_text text,
  key uuid,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, colbert.encoded_query(query_text, source, embeddings), key, k, filter, params,
                         candidates, exact, embeddings, current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_text(regclass, text, uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.search_text(
  source regclass,
  query_text text,
  key text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT s.doc_id, s.score
    FROM colbert._search(source, colbert.encoded_query(query_text, source, embeddings), key, k, filter, params,
                         candidates, exact, embeddings, current_setting('search_path'), min_score) AS s;
END;

COMMENT ON FUNCTION colbert.search_text(regclass, text, text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
$part$;

EXECUTE $part$
-- sql/functions/asking/hybrid_search_text.sql
-- hybrid_search for a query in text: its words, and the vectors that a worker has made of it (encoded_query). Three forms, by
-- the type of the keys, as hybrid_search has them.
CREATE OR REPLACE FUNCTION colbert.hybrid_search_text(
  source regclass,
  query_text text,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id bigint, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, colbert.encoded_query(query_text, source, embeddings), query_text, NULL::bigint, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search_text(regclass, text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'hybrid_search for a query in text, which is looked for by its words and by the vectors that encode_query or request_query has asked for; an error when they are not there.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search_text(
  source regclass,
  query_text text,
  key uuid,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id uuid, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, colbert.encoded_query(query_text, source, embeddings), query_text, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search_text(regclass, text, uuid, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for keys of type uuid: key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.hybrid_search_text(
  source regclass,
  query_text text,
  key text,
  k integer DEFAULT 10,
  content text DEFAULT NULL,
  language regconfig DEFAULT NULL,
  match text DEFAULT 'any',
  text_weight float8 DEFAULT 0.5,
  constant integer DEFAULT 60,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL)
RETURNS TABLE (doc_id text, score float8, maxsim_rank integer, maxsim_score float8,
               text_rank integer, text_score float8)
LANGUAGE sql STABLE PARALLEL UNSAFE SECURITY INVOKER
COST 100000 ROWS 10
BEGIN ATOMIC
  SELECT h.doc_id, h.score, h.maxsim_rank, h.maxsim_score, h.text_rank, h.text_score
    FROM colbert._hybrid_search(
           source, colbert.encoded_query(query_text, source, embeddings), query_text, key, k, content,
           coalesce(language, get_current_ts_config()), match, text_weight, constant, filter, params, candidates,
           exact, embeddings, current_setting('search_path')) AS h;
END;

COMMENT ON FUNCTION colbert.hybrid_search_text(regclass, text, text, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name) IS
  'The same for text keys, and for keys of any other type, which come as text: key => NULL::text.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/_timed_search.sql
-- One search for one query of a sample: the scores found, best first, and how long it took. The document that the query
-- was drawn from is left out.
CREATE OR REPLACE FUNCTION colbert._timed_search(
  index colbert._index, sample colbert._sample, k integer, candidates integer, exact boolean,
  filter text, params jsonb, search_path text,
  OUT scores float8[], OUT milliseconds float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_timed_search$
DECLARE
  _started timestamptz := clock_timestamp();
BEGIN
  SELECT array_agg(f.score)
    INTO scores
    FROM (SELECT s.score
            FROM colbert._search(index.source, sample.query, NULL::text, k + (sample.drawn_from IS NOT NULL)::integer,
                                 filter, params, candidates, exact, index.embeddings, search_path) AS s
           WHERE s.doc_id IS DISTINCT FROM sample.drawn_from
           LIMIT k) AS f;
  milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
END
$_timed_search$;

COMMENT ON FUNCTION colbert._timed_search(colbert._index, colbert._sample, integer, integer, boolean, text, jsonb, text) IS
  'The scores that one search finds, best first, and its milliseconds.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/_measure.sql
-- Searches for all queries of a sample with the knobs that are in force: the share of the best k documents that is
-- found, and the median and 95th percentile of the times. A document is found when its score is no lower than the k-th
-- best one, so that documents of equal score count alike.
CREATE OR REPLACE FUNCTION colbert._measure(
  index colbert._index, sample colbert._sample[], k integer, candidates integer,
  filter text, params jsonb, search_path text,
  OUT recall float8, OUT milliseconds float8, OUT milliseconds_p95 float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_measure$
BEGIN
  SELECT avg((SELECT count(*) FROM unnest(f.scores) AS s WHERE s >= q.best[cardinality(q.best)])::float8
             / cardinality(q.best)),
         percentile_cont(0.5) WITHIN GROUP (ORDER BY f.milliseconds),
         percentile_cont(0.95) WITHIN GROUP (ORDER BY f.milliseconds)
    INTO recall, milliseconds, milliseconds_p95
    FROM unnest(sample) AS q
   CROSS JOIN LATERAL colbert._timed_search(index, q, k, candidates, false, filter, params, search_path) AS f;
END
$_measure$;

COMMENT ON FUNCTION colbert._measure(colbert._index, colbert._sample[], integer, integer, text, jsonb, text) IS
  'Recall and times of an index for a sample of queries, with the knobs that are in force.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/_draw_sample.sql
-- Queries to measure an index with, and what exact search finds for each. They are the caller's, from a column of
-- token-vector arrays in a table or view, or else drawn from the documents: 24 tokens in a row of a document, which is
-- left out of what its query finds. A filter limits the searches and the documents to draw from. milliseconds is the
-- median of the exact searches.
CREATE OR REPLACE FUNCTION colbert._draw_sample(
  index colbert._index, queries regclass, query_column name, size integer, k integer,
  filter text, params jsonb, search_path text,
  OUT sample colbert._sample[], OUT milliseconds float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_draw_sample$
DECLARE
  _tokens constant integer := 24;
  _searched record;
  _times float8[];
BEGIN
  PERFORM colbert._refuse_count('k', k),
          colbert._refuse_count('sample', size);
  IF queries IS NULL THEN
    EXECUTE format(
      'SELECT array_agg((colbert._vectors(d.embeddings[d.first : d.first + $1 - 1]), d.doc_id, NULL)::colbert._sample) '
      '  FROM (SELECT s.doc_id::text, s.embeddings, '
      '               1 + floor(random() * greatest(1, cardinality(s.embeddings) - $1 + 1))::integer AS first '
      '          FROM %s AS s) AS d',
      colbert._documents_of_keys_sql(colbert._documents_sql(index), (colbert._source_types(index)).key_cast))
       INTO sample
      USING _tokens, NULL::jsonb, colbert._draw_keys(colbert._scope(index, filter, params, search_path), size);
  ELSE
    EXECUTE format(
      'SELECT array_agg((q.query, NULL, NULL)::colbert._sample) '
      '  FROM (SELECT colbert._vectors(s.%I) AS query FROM %s AS s WHERE cardinality(s.%1$I) > 0 ORDER BY random() LIMIT $1) AS q',
      colbert._query_column(queries, query_column), queries)
       INTO sample
      USING size;
  END IF;
  IF sample IS NULL THEN
    RAISE EXCEPTION 'there are no queries to measure with'
      USING ERRCODE = 'no_data_found',
            HINT = 'Store some, or store documents, from which queries can be drawn.';
  END IF;

  FOR _i IN 1 .. cardinality(sample) LOOP
    _searched := colbert._timed_search(index, sample[_i], k, NULL, true, filter, params, search_path);
    sample[_i].best := _searched.scores;
    _times := _times || _searched.milliseconds;
  END LOOP;
  milliseconds := (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t) FROM unnest(_times) AS t);
END
$_draw_sample$;

COMMENT ON FUNCTION colbert._draw_sample(colbert._index, regclass, name, integer, integer, text, jsonb, text) IS
  'Queries to measure an index with, what exact search finds for each, and its median milliseconds.';

CREATE OR REPLACE FUNCTION colbert._draw_keys(scope colbert._scope, size integer)
RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_draw_keys$
DECLARE
  _keys text[];
BEGIN
  PERFORM set_config('search_path', scope.search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.array_agg(k.doc_id) '
    '  FROM (SELECT d.doc_id::pg_catalog.text FROM %s AS d ORDER BY pg_catalog.random() LIMIT $1) AS k',
    scope.documents)
     INTO _keys
    USING size, scope.params;
  RETURN _keys;
END
$_draw_keys$;

COMMENT ON FUNCTION colbert._draw_keys(colbert._scope, integer) IS
  'The keys, as text, of some documents that a search may see, drawn at random.';

-- The column of queries: the one that is named, or the only array of vectors that the table or view has.
CREATE OR REPLACE FUNCTION colbert._query_column(queries regclass, named name)
RETURNS name
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_query_column$
DECLARE
  _columns name[] := ARRAY(
    SELECT a.attname FROM pg_attribute AS a
     WHERE a.attrelid = queries
       AND colbert._element_type(queries, a.attname) IS NOT NULL
       AND a.attname = coalesce(named, a.attname));
BEGIN
  IF cardinality(_columns) <> 1 THEN
    RAISE EXCEPTION '"%" has % columns of token vectors%', queries, cardinality(_columns),
                    CASE WHEN named IS NULL THEN '' ELSE format(' named "%s"', named) END
      USING ERRCODE = CASE WHEN named IS NULL THEN 'ambiguous_column' ELSE 'undefined_column' END,
            HINT = 'Name the column of queries: query_column => ''column''.';
  END IF;
  RETURN _columns[1];
END
$_query_column$;

COMMENT ON FUNCTION colbert._query_column(regclass, name) IS
  'The column of token-vector arrays that a table or view of queries has.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/measure_recall.sql
-- How good an index is on the caller's own data: the share of the k best documents that it finds, and how long it
-- takes, beside exact search. queries is a table or view with a column of token-vector arrays. Without one, queries are
-- drawn from the documents (_draw_sample), which measures about what real ones do. filter and params are those of the
-- searches.
--
-- Knobs of the session (SET colbert.effort …) count, so that one can try them out. Cost: sample exact searches.
CREATE OR REPLACE FUNCTION colbert._measure_recall(
  source regclass, queries regclass, k integer, sample integer, candidates integer, embeddings name,
  query_column name, filter text, params jsonb, search_path text)
RETURNS TABLE (queries_measured integer, recall float8, milliseconds float8, milliseconds_p95 float8,
               exact_milliseconds float8, speedup float8)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_measure_recall$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _drawn record := colbert._draw_sample(_index, queries, query_column, sample, k, filter, params, search_path);
BEGIN
  RETURN QUERY
    SELECT cardinality(_drawn.sample), m.recall, m.milliseconds, m.milliseconds_p95, _drawn.milliseconds,
           _drawn.milliseconds / m.milliseconds
      FROM colbert._measure(_index, _drawn.sample, k, candidates, filter, params, search_path) AS m;
END
$_measure_recall$;

COMMENT ON FUNCTION colbert._measure_recall(regclass, regclass, integer, integer, integer, name, name, text, jsonb, text) IS
  'The body of measure_recall; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert.measure_recall(
  source regclass,
  queries regclass DEFAULT NULL,
  k integer DEFAULT 10,
  sample integer DEFAULT 50,
  candidates integer DEFAULT NULL,
  embeddings name DEFAULT NULL,
  query_column name DEFAULT NULL,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL)
RETURNS TABLE (queries_measured integer, recall float8, milliseconds float8, milliseconds_p95 float8,
               exact_milliseconds float8, speedup float8)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 1
BEGIN ATOMIC
  SELECT m.queries_measured, m.recall, m.milliseconds, m.milliseconds_p95, m.exact_milliseconds, m.speedup
    FROM colbert._measure_recall(source, queries, k, sample, candidates, embeddings, query_column, filter, params,
                                 current_setting('search_path')) AS m;
END;

COMMENT ON FUNCTION colbert.measure_recall(regclass, regclass, integer, integer, integer, name, name, text, jsonb) IS
  'Recall and median latency of an index against exact search, for queries of a table or view, or drawn from the documents. filter and params are those of the searches.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/tune.sql
-- The cheapest first: how much is read, and when a search stops. They hold for every method and every k.
CREATE OR REPLACE FUNCTION colbert._tuning_trials()
RETURNS SETOF jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
ROWS 20
BEGIN ATOMIC
  SELECT jsonb_build_object('effort', e.effort, 'margin', m.margin)
    FROM unnest(ARRAY[0.25, 0.5, 1, 2, 4]) AS e (effort)
   CROSS JOIN unnest(ARRAY[1.5, 2, 2.5, 3]) AS m (margin);
END;

COMMENT ON FUNCTION colbert._tuning_trials() IS 'The values of knobs that tune tries.';

-- Tries values of knobs on the caller's own data, keeps the fastest that reach the target in the index's options, and
-- returns what it tried, fastest first. Where none reaches it, the options stay as they are. queries, sample, filter
-- and params are as in measure_recall. For the owner of the table, on as quiet a server as there is.
CREATE OR REPLACE FUNCTION colbert._tune(
  source regclass, target_recall float8, queries regclass, k integer, sample integer, embeddings name,
  query_column name, filter text, params jsonb, search_path text)
RETURNS TABLE (setting jsonb, recall float8, milliseconds float8, speedup float8, chosen boolean)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tune$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _session jsonb;  -- the caller's own knobs, which come back at the end
  _drawn record;
  _setting jsonb;
  _measured record;
  _tried jsonb := jsonb '[]';
  _best jsonb;
BEGIN
  PERFORM colbert._refuse_stranger(_index.source);
  IF colbert._method_is_exact(_index.method) THEN
    RAISE EXCEPTION 'an index of method % has nothing to tune', _index.method
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Its searches are exact. Create the index with another method.';
  ELSIF target_recall IS NULL OR target_recall NOT BETWEEN 0 AND 1 THEN
    RAISE EXCEPTION 'target_recall must be from 0 to 1, not %', coalesce(target_recall::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'It is the share of the best k documents to find: target_recall => 0.95.';
  END IF;

  _session := (SELECT jsonb_object_agg(n, coalesce(current_setting('colbert.' || n, true), ''))
                 FROM unnest(ARRAY['effort', 'margin', 'candidates', 'patience', 'nprobe', 'hits', 'ef_search']) AS n);
  PERFORM set_config('colbert.' || n, '', true) FROM jsonb_object_keys(_session) AS n;
  _drawn := colbert._draw_sample(_index, queries, query_column, sample, k, filter, params, search_path);
  FOR _setting IN SELECT t FROM colbert._tuning_trials() AS t LOOP
    PERFORM set_config('colbert.' || s.key, s.value, true) FROM jsonb_each_text(_setting) AS s;
    _measured := colbert._measure(_index, _drawn.sample, k, NULL, filter, params, search_path);
    _tried := _tried || jsonb_build_object(
      'setting', _setting, 'recall', _measured.recall, 'milliseconds', _measured.milliseconds,
      'speedup', _drawn.milliseconds / _measured.milliseconds);
  END LOOP;

  _best := (SELECT t.setting
              FROM jsonb_to_recordset(_tried) AS t (setting jsonb, recall float8, milliseconds float8)
             WHERE t.recall >= target_recall
             ORDER BY t.milliseconds
             LIMIT 1);
  PERFORM set_config('colbert.' || s.key, s.value, true) FROM jsonb_each_text(_session) AS s;
  UPDATE colbert._index AS i SET options = i.options || _best WHERE i.id = _index.id AND _best IS NOT NULL;
  RETURN QUERY
    SELECT t.setting, t.recall, t.milliseconds, t.speedup, t.setting IS NOT DISTINCT FROM _best
      FROM jsonb_to_recordset(_tried) AS t (setting jsonb, recall float8, milliseconds float8, speedup float8)
     ORDER BY t.milliseconds;
END
$_tune$;

COMMENT ON FUNCTION colbert._tune(regclass, float8, regclass, integer, integer, name, name, text, jsonb, text) IS
  'The body of tune; search_path is the caller''s.';

CREATE OR REPLACE FUNCTION colbert.tune(
  source regclass,
  target_recall float8 DEFAULT 0.95,
  queries regclass DEFAULT NULL,
  k integer DEFAULT 10,
  sample integer DEFAULT 50,
  embeddings name DEFAULT NULL,
  query_column name DEFAULT NULL,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL)
RETURNS TABLE (setting jsonb, recall float8, milliseconds float8, speedup float8, chosen boolean)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 20
BEGIN ATOMIC
  SELECT t.setting, t.recall, t.milliseconds, t.speedup, t.chosen
    FROM colbert._tune(source, target_recall, queries, k, sample, embeddings, query_column, filter, params,
                       current_setting('search_path')) AS t;
END;

COMMENT ON FUNCTION colbert.tune(regclass, float8, regclass, integer, integer, name, name, text, jsonb) IS
  'Tries settings of an index, keeps the fastest that reaches the target recall in its options, and returns what it tried. For the owner of the table.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/_explain_search.sql
CREATE OR REPLACE FUNCTION colbert._explain_search(
  source regclass, query vector[], key anyelement, k integer, filter text, params jsonb,
  candidates integer, exact boolean, embeddings name, search_path text,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
SET search_path = pg_catalog, pg_temp
AS $_explain_search$
DECLARE
  _index colbert._index := colbert._find_index(source, embeddings);
  _least_score float8;
  _parts colbert._index[] := ARRAY[_index];
BEGIN
  PERFORM colbert._refuse_search(_index, query, k, key),
          colbert._refuse_key_type(_index.source, (colbert._source_types(_index)).key_base, pg_typeof(key));
  _least_score := colbert._least_score(_index, query, min_score);
  IF colbert._tenant_column(_index) IS NOT NULL THEN
    SELECT t.parts, 'tenants', t.milliseconds, t.detail
      INTO _parts, stage, milliseconds, detail
      FROM colbert._explain_tenants(_index, filter, params, exact, search_path) AS t;
    RETURN NEXT;
  END IF;
  RETURN QUERY
    SELECT e.stage, sum(e.documents)::bigint, sum(e.milliseconds),
           CASE count(*) WHEN 1 THEN min(e.detail) ELSE format('%s parts of the index', count(*)) END,
           sum(e.rows_read)::bigint
      FROM unnest(_parts) AS i
     CROSS JOIN LATERAL colbert._explain_documents(
                          i, query, k, filter, params, candidates, exact, search_path, _least_score)
                        WITH ORDINALITY AS e
     GROUP BY e.stage
     ORDER BY min(e.ordinality);
END
$_explain_search$;

COMMENT ON FUNCTION colbert._explain_search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name, text, float8) IS
  'The body of all forms of explain_search; search_path is the caller''s.';

-- The parts that a search goes through, and how they are found.
CREATE OR REPLACE FUNCTION colbert._explain_tenants(
  index colbert._index, filter text, params jsonb, exact boolean, search_path text,
  OUT parts colbert._index[], OUT milliseconds float8, OUT detail text)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_explain_tenants$
DECLARE
  _started timestamptz := clock_timestamp();
BEGIN
  SELECT array_agg(p) INTO parts FROM colbert._parts_to_search(index, filter, params, exact, search_path) AS p;
  milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
  SELECT format('%s tenants, %s parts of the index', coalesce(sum(cardinality(p.tenants)), 0),
                count(*) FILTER (WHERE p.part > 0))
    INTO detail
    FROM unnest(parts) AS p;
  IF NOT colbert._leads_with_tenant(index) THEN
    detail := detail || format('; all rows are read for that: no index begins with "%s"', colbert._tenant_column(index));
  ELSIF (filter IS NOT NULL OR row_security_active(index.source))
        AND NOT colbert._looks_tenants_up(index, filter, params, search_path) THEN
    detail := detail || format('; all rows are read for that: what the filter and row-level security ask for is no condition '
                               'on an index that begins with "%s"', colbert._tenant_column(index));
  END IF;
END
$_explain_tenants$;

COMMENT ON FUNCTION colbert._explain_tenants(colbert._index, text, jsonb, boolean, text) IS
  'The parts of an index that a search goes through, how long it takes to find them, and why.';

CREATE OR REPLACE FUNCTION colbert._explain_documents(
  index colbert._index, query vector[], k integer, filter text, params jsonb,
  candidates integer, exact boolean, search_path text, least_score float8)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $_explain_documents$
DECLARE
  _scope colbert._scope := colbert._scope(index, filter, params, search_path);
  _reads colbert._index := colbert._method_reads(index);
  _effort colbert._effort;
  _found record;
  _keys text[];
  _read bigint;
  _scored bigint := 0;
  _started timestamptz;
BEGIN
  IF _scope.restricted THEN
    _started := clock_timestamp();
    stage := 'scope';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := CASE WHEN filter IS NULL THEN 'row-level security' ELSE 'filter' END;
    RETURN NEXT;
  END IF;

  IF exact IS NOT TRUE AND NOT colbert._method_is_exact(index.method) THEN
    _effort := colbert._effort(index, _scope, cardinality(query), k, candidates);
    _read := colbert._rows_read(_reads);
    _started := clock_timestamp();
    _found := colbert._candidates(index, query, _scope, _effort);
    stage := 'candidates';
    documents := coalesce(cardinality(_found.keys), 0);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    rows_read := colbert._rows_read(_reads) - _read;
    _keys := _found.keys;
    detail := CASE WHEN NOT colbert._method_finds(index)
                   THEN 'none: row-level security applies, and centroids are of all documents; see the option "tenant"'
                   WHEN _keys IS NULL THEN 'none: scoring the whole scope is the better way'
                   ELSE format('%s query tokens', cardinality(query)) END
              || CASE WHEN _reads.id <> index.id
                      THEN format('; first stage: %s, %s', _reads.embeddings,
                                  CASE WHEN colbert._method_finds(_reads) THEN _reads.method ELSE 'all scored' END)
                      ELSE '' END;
    RETURN NEXT;
    rows_read := NULL;
  END IF;

  IF cardinality(_keys) >= k THEN
    _started := clock_timestamp();
    _scored := (SELECT count(*)
                  FROM colbert._score_candidates(index, query, _scope, _found.keys, _found.gains, _effort,
                                                  least_score) AS s);
    stage := 'scores';
    documents := _scored;
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := concat_ws(', ', format('of at most %s', _effort.candidates), 'patience ' || _effort.patience,
                        'margin ' || round(_effort.margin::numeric, 2),
                        'least score ' || round(least_score::numeric, 4));
    RETURN NEXT;
  END IF;

  IF _scored < coalesce(_effort.k, k) THEN
    _started := clock_timestamp();
    PERFORM count(*)
       FROM colbert._search_documents(index, query, NULL::text, k, filter, params, NULL, true, search_path, least_score) AS s;
    stage := 'all';
    documents := colbert._count_matching(_scope, NULL);
    milliseconds := 1000 * extract(epoch FROM clock_timestamp() - _started);
    detail := 'every document of the scope';
    RETURN NEXT;
  END IF;
END
$_explain_documents$;

COMMENT ON FUNCTION colbert._explain_documents(colbert._index, vector[], integer, text, jsonb, integer, boolean, text, float8) IS
  'The stages of a search of an index, or of a part of it.';

-- PostgreSQL counts rows that are read through indexes, and in scans of whole tables.
CREATE OR REPLACE FUNCTION colbert._rows_read(index colbert._index)
RETURNS bigint
LANGUAGE sql VOLATILE PARALLEL RESTRICTED SECURITY INVOKER
BEGIN ATOMIC
  SELECT (SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(t)), 0) FROM unnest(index.tables) AS t)
         + (SELECT coalesce(sum(pg_stat_get_xact_tuples_fetched(i.indexrelid)), 0)
              FROM pg_catalog.pg_index AS i
             WHERE i.indrelid = ANY (index.tables));
END;

COMMENT ON FUNCTION colbert._rows_read(colbert._index) IS
  'How many rows of an index''s derived tables this transaction has read so far.';
$part$;

EXECUTE $part$
-- sql/functions/tuning/explain_search.sql
-- What each stage of a search does: EXPLAIN ANALYZE for late interaction. The arguments are those of search, so that a
-- call can be pasted. Its stages are run one by one, with the same functions and knobs.
--
--   scope         how many documents the search may see, where a filter or row-level security limits them
--   candidates    how many documents the index names, and what it read for that
--   scores        how many of them were scored exactly before going on changed nothing
--   all           where there are no candidates, or fewer than k: every document of the scope is scored
CREATE OR REPLACE FUNCTION colbert.explain_search(
  source regclass,
  query vector[],
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
BEGIN ATOMIC
  SELECT e.stage, e.documents, e.milliseconds, e.detail, e.rows_read
    FROM colbert._explain_search(source, query, NULL::bigint, k, filter, params, candidates, exact,
                                 embeddings, current_setting('search_path'), min_score) AS e;
END;

COMMENT ON FUNCTION colbert.explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name, float8) IS
  'What each stage of a search does: documents, milliseconds, and what was read. The arguments are those of search.';

CREATE OR REPLACE FUNCTION colbert.explain_search(
  source regclass,
  query vector[],
  key uuid,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
BEGIN ATOMIC
  SELECT e.stage, e.documents, e.milliseconds, e.detail, e.rows_read
    FROM colbert._explain_search(source, query, key, k, filter, params, candidates, exact,
                                 embeddings, current_setting('search_path'), min_score) AS e;
END;

COMMENT ON FUNCTION colbert.explain_search(regclass, vector[], uuid, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for a search with key => NULL::uuid.';

CREATE OR REPLACE FUNCTION colbert.explain_search(
  source regclass,
  query vector[],
  key text,
  k integer DEFAULT 10,
  filter text DEFAULT NULL,
  params jsonb DEFAULT NULL,
  candidates integer DEFAULT NULL,
  exact boolean DEFAULT false,
  embeddings name DEFAULT NULL,
  min_score float8 DEFAULT NULL)
RETURNS TABLE (stage text, documents bigint, milliseconds float8, detail text, rows_read bigint)
LANGUAGE sql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
ROWS 4
BEGIN ATOMIC
  SELECT e.stage, e.documents, e.milliseconds, e.detail, e.rows_read
    FROM colbert._explain_search(source, query, key, k, filter, params, candidates, exact,
                                 embeddings, current_setting('search_path'), min_score) AS e;
END;

COMMENT ON FUNCTION colbert.explain_search(regclass, vector[], text, integer, text, jsonb, integer, boolean, name, float8) IS
  'The same for a search with key => NULL::text.';
$part$;

-- sql/packaging/install_end.sql
-- A caller that goes on in this transaction gets its own settings back.
BEGIN
  PERFORM pg_catalog.set_config('search_path',
                                pg_catalog.current_setting('colbert_pg.caller_search_path'), true);
  PERFORM pg_catalog.set_config('client_min_messages',
                                pg_catalog.current_setting('colbert_pg.caller_messages'), true);
END;

END
$install$;
