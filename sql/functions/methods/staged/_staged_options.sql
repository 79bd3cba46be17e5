-- The option of staged:
--
--   first_stage   the column of the source whose index names the candidates
CREATE OR REPLACE FUNCTION colbert._staged_options()
RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER
RETURN '{"first_stage": "string"}'::jsonb;

COMMENT ON FUNCTION colbert._staged_options() IS 'The options of the method staged.';
