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
