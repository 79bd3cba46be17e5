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
