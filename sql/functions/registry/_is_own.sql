-- Views for everybody read tables of the reader's own alone. To read another's, even to plan it, may run that other's
-- code (policies, views, casts, expressions of indexes) with the reader's rights, which may be a superuser's; so that is
-- for those who name the table.
CREATE OR REPLACE FUNCTION colbert._is_own(relation regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(colbert._owner(relation) = current_user, false);

COMMENT ON FUNCTION colbert._is_own(regclass) IS 'Whether a table is the caller''s own.';
