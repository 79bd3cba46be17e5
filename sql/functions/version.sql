-- The installed version of colbert_pg, as in the control file.
CREATE OR REPLACE FUNCTION colbert.version()
RETURNS text
LANGUAGE sql
STABLE
PARALLEL SAFE
RETURN '@version@';

COMMENT ON FUNCTION colbert.version() IS 'The installed version of colbert_pg.';
