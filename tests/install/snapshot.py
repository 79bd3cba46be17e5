"""Everything in schema colbert as text that two databases can be compared by."""

import psycopg
from psycopg import sql

# Each query gives (name, what it is), the name unique within its kind and free of OIDs.
QUERIES = {
    "schema": """
        SELECT n.nspname, concat_ws(' ', n.nspowner::regrole, n.nspacl)
          FROM pg_namespace n
         WHERE n.nspname = 'colbert'
    """,
    "function": """
        SELECT p.oid::regprocedure::text,
               concat_ws(E'\\n', p.proowner::regrole, p.proacl, p.prokind,
                         CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
                         p.procost, p.prorows, p.prosupport)
          FROM pg_proc p
         WHERE p.pronamespace = 'colbert'::regnamespace
    """,
    "aggregate": """
        SELECT a.aggfnoid::text, (to_jsonb(a) - 'aggfnoid')::text
          FROM pg_aggregate a
          JOIN pg_proc p ON p.oid = a.aggfnoid
         WHERE p.pronamespace = 'colbert'::regnamespace
    """,
    "relation": """
        SELECT c.oid::regclass::text,
               concat_ws(E'\\n', c.relkind, c.relowner::regrole, c.relacl, c.relpersistence,
                         c.relreplident, c.relrowsecurity, c.relforcerowsecurity, c.reloptions,
                         CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) END,
                         CASE WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END)
          FROM pg_class c
         WHERE c.relnamespace = 'colbert'::regnamespace
    """,
    "column": """
        SELECT concat(a.attrelid::regclass, '.', a.attname),
               concat_ws(E'\\n', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                         a.attidentity, a.attgenerated, a.attstorage, a.attacl,
                         a.attcollation::regcollation, pg_get_expr(d.adbin, d.adrelid))
          FROM pg_attribute a
          JOIN pg_class c ON c.oid = a.attrelid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
         WHERE c.relnamespace = 'colbert'::regnamespace
           AND a.attnum > 0
           AND NOT a.attisdropped
    """,
    "constraint": """
        SELECT concat(c.conrelid::regclass, '.', c.conname),
               concat_ws(E'\\n', c.contype, c.convalidated, pg_get_constraintdef(c.oid))
          FROM pg_constraint c
         WHERE c.connamespace = 'colbert'::regnamespace
    """,
    "trigger": """
        SELECT concat(t.tgrelid::regclass, '.', t.tgname),
               concat_ws(E'\\n', t.tgenabled, pg_get_triggerdef(t.oid))
          FROM pg_trigger t
          JOIN pg_class c ON c.oid = t.tgrelid
         WHERE c.relnamespace = 'colbert'::regnamespace
           AND NOT t.tgisinternal
    """,
    "policy": """
        SELECT concat(p.polrelid::regclass, '.', p.polname),
               concat_ws(E'\\n', p.polcmd, p.polpermissive, p.polroles::regrole[],
                         pg_get_expr(p.polqual, p.polrelid),
                         pg_get_expr(p.polwithcheck, p.polrelid))
          FROM pg_policy p
          JOIN pg_class c ON c.oid = p.polrelid
         WHERE c.relnamespace = 'colbert'::regnamespace
    """,
    "sequence": """
        SELECT s.seqrelid::regclass::text, (to_jsonb(s) - 'seqrelid')::text
          FROM pg_sequence s
          JOIN pg_class c ON c.oid = s.seqrelid
         WHERE c.relnamespace = 'colbert'::regnamespace
    """,
    "type": """
        SELECT t.oid::regtype::text,
               concat_ws(E'\\n', t.typtype, t.typowner::regrole, t.typacl, t.typnotnull,
                         format_type(t.typbasetype, t.typtypmod), t.typdefault,
                         (SELECT array_agg(e.enumlabel ORDER BY e.enumsortorder)
                            FROM pg_enum e
                           WHERE e.enumtypid = t.oid))
          FROM pg_type t
         WHERE t.typnamespace = 'colbert'::regnamespace
    """,
    "operator": """
        SELECT o.oid::regoperator::text,
               concat_ws(E'\\n', o.oprowner::regrole, o.oprcode, o.oprrest, o.oprjoin)
          FROM pg_operator o
         WHERE o.oprnamespace = 'colbert'::regnamespace
    """,
    # All that depends on the schema, whatever its kind, and what is said about it.
    "object": """
        SELECT concat_ws(' ', a.type, a.object_names, a.object_args), ''
          FROM pg_depend d,
               pg_identify_object_as_address(d.classid, d.objid, d.objsubid) a
         WHERE d.refclassid = 'pg_namespace'::regclass
           AND d.refobjid = 'colbert'::regnamespace
           AND d.classid <> 'pg_extension'::regclass
    """,
    "comment": """
        SELECT DISTINCT concat_ws(' ', a.type, a.object_names, a.object_args), c.description
          FROM pg_description c,
               pg_identify_object_as_address(c.classoid, c.objoid, c.objsubid) a
         WHERE a.object_names[1] = 'colbert'
    """,
}


def snapshot(conninfo: str) -> dict[tuple[str, str], str]:
    """Map (kind, name) to the definition of each object in schema colbert, rows included."""
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET search_path = pg_catalog")
        taken = {
            (kind, name): text
            for kind, query in QUERIES.items()
            for name, text in connection.execute(query).fetchall()
        }
        tables = connection.execute(
            "SELECT relname FROM pg_class "
            "WHERE relnamespace = 'colbert'::regnamespace AND relkind IN ('r', 'p')"
        ).fetchall()
        for (table,) in tables:
            query = sql.SQL("SELECT t::text FROM {} t ORDER BY 1")
            rows = connection.execute(query.format(sql.Identifier("colbert", table))).fetchall()
            taken["rows", table] = "\n".join(row for (row,) in rows)
        return taken
