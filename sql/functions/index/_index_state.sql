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
