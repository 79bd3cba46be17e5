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
