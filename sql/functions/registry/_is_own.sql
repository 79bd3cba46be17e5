-- Views for everybody read only those tables that belong to the reader. To read another's table, or even to plan that,
-- may run its owner's code (policies, views, casts, expressions of indexes) with the rights of the reader, who may be a
-- superuser. That is left to readers who name the table themselves.
CREATE OR REPLACE FUNCTION colbert._is_own(relation regclass)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN coalesce(colbert._owner(relation) = current_user, false);

COMMENT ON FUNCTION colbert._is_own(regclass) IS 'Whether a table is the caller''s own.';
