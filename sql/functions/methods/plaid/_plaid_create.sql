-- The method plaid keeps no token: every document token is filed under its nearest centroid. After Santhanam et al.,
-- PLAID (2022), https://arxiv.org/abs/2205.09707. It has three tables.
--
--   centroids    points that stand for the tokens near them. Trained ones are means. The others are tokens that came in
--                since (_plaid_grow).
--   postings     under which centroids a document has tokens, each once
--   documents    what was filed: the document's ordinal, which stands for its key in the postings and is given out once;
--                the centroids of its postings; and a digest of its array, by which problems are found
--
-- A posting takes 40 bytes with its share of the index, whatever the type of the key. Postings as one array for each
-- centroid would take 3.5 bytes a token instead of 25 and save a millisecond of a search (SciFact), but every writer of a
-- document would have to change the arrays of a hundred centroids that other writers are changing. Twice as many
-- centroids find one or two points more, for twice their size and 1.4 times the time to build.
CREATE OR REPLACE FUNCTION colbert._plaid_create(index colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_create$
DECLARE
  _postings regclass;
BEGIN
  IF index.dimensions > 4000 THEN
    RAISE EXCEPTION 'plaid takes vectors of at most 4000 dimensions, not %', index.dimensions
      USING ERRCODE = 'program_limit_exceeded',
            HINT = 'That is the limit of pgvector''s index on the centroids. Use the method exact.';
  END IF;
  PERFORM colbert._create_derived(
    index, 'centroids',
    format('id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, centroid %s NOT NULL, trained boolean NOT NULL',
           colbert._plaid_type(index)));
  _postings := colbert._create_derived(
    index, 'postings', 'centroid_id integer NOT NULL, ordinal integer NOT NULL');
  EXECUTE format('CREATE INDEX ON %s (centroid_id)', _postings);
  PERFORM colbert._create_derived(
    index, 'documents',
    format('doc_id %s PRIMARY KEY, ordinal integer GENERATED ALWAYS AS IDENTITY UNIQUE, '
           'tokens integer NOT NULL, centroid_ids integer[] NOT NULL, digest bytea NOT NULL',
           (colbert._source_types(index)).key_type),
    'doc_id');
END
$_plaid_create$;

COMMENT ON FUNCTION colbert._plaid_create(colbert._index) IS
  'Makes the tables of a plaid index, empty: centroids, postings, documents.';
