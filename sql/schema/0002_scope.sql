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
