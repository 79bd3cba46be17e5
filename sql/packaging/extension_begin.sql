-- Nothing may stand in the schema yet: an object planted there could stand in for one of ours.
DO $empty$
DECLARE
  _found text;
BEGIN
  SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    INTO _found
    FROM pg_catalog.pg_depend d
   WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
     AND d.refobjid = (SELECT n.oid FROM pg_catalog.pg_namespace n WHERE n.nspname = 'colbert')
     AND d.deptype = 'n'
     AND d.classid <> 'pg_catalog.pg_extension'::pg_catalog.regclass
   LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'schema "colbert" is not empty'
      USING ERRCODE = 'object_not_in_prerequisite_state',
            DETAIL = pg_catalog.format('It holds %s.', _found),
            HINT = CASE WHEN pg_catalog.to_regclass('colbert._migration') IS NULL
                        THEN 'Move what it holds to another schema.'
                        ELSE 'colbert_pg was installed by install.sql here: go on with that.' END;
  END IF;
END
$empty$;
