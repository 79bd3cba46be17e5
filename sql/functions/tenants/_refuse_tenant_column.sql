-- Refuses a tenant column that cannot keep an index apart; a hint where searches would be slow.
CREATE OR REPLACE FUNCTION colbert._refuse_tenant_column(source regclass, method text, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_tenant_column$
DECLARE
  _name name := options ->> 'tenant';
  _column pg_attribute;
BEGIN
  IF _name IS NULL THEN
    RETURN;
  END IF;
  SELECT a.* INTO _column
    FROM pg_attribute AS a
   WHERE a.attrelid = source AND a.attname = _name AND a.attnum > 0 AND NOT a.attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'tenant column "%" of table "%" does not exist', _name, source
      USING ERRCODE = 'undefined_column',
            HINT = 'Name the column that says whose a document is: options => ''{"tenant": "tenant_id"}''.';
  ELSIF _column.atttypid NOT IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype, 'text'::regtype,
                                 'varchar'::regtype)
        OR (SELECT NOT c.collisdeterministic FROM pg_collation AS c WHERE c.oid = _column.attcollation) THEN
    RAISE EXCEPTION 'tenant column "%" of table "%" is of type %', _name, source,
                    format_type(_column.atttypid, _column.atttypmod)
      USING ERRCODE = 'datatype_mismatch',
            HINT = 'It must be bigint, integer, smallint, uuid, text or varchar, of a deterministic collation.';
  ELSIF NOT _column.attnotnull THEN
    RAISE EXCEPTION 'tenant column "%" of table "%" may be NULL', _name, source
      USING ERRCODE = 'not_null_violation',
            DETAIL = 'A document without a tenant would belong to nobody.',
            HINT = format('ALTER TABLE %s ALTER %I SET NOT NULL', source, _name);
  ELSIF method NOT IN ('exact', 'plaid') THEN
    RAISE EXCEPTION 'method % does not keep tenants apart', method
      USING ERRCODE = 'feature_not_supported',
            DETAIL = CASE method WHEN 'staged' THEN 'Its first stage is one index of the documents of all.'
                                 ELSE 'Its index is one graph, or one set of lists, of the tokens of all.' END,
            HINT = 'Use the method plaid with the option "tenant", or leave the option out: row-level security holds then, too.';
  END IF;
END
$_refuse_tenant_column$;

COMMENT ON FUNCTION colbert._refuse_tenant_column(regclass, text, jsonb) IS
  'Raises unless the column that option "tenant" names can keep an index apart; does nothing without the option.';
