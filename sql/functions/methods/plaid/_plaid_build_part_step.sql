-- The first step finds the tenants that get a part, the largest first. Each step after that makes one part. The last one
-- makes the planner see them.
--
-- A part is trained, and its documents are filed. A build that keeps what has not outgrown the index (_plaid_former) takes
-- such parts over as they are, with the ids of their centroids: this reads and writes rows, and compares no vectors.
CREATE OR REPLACE FUNCTION colbert._plaid_build_part_step(index colbert._index, step integer, steps integer)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_part_step$
DECLARE
  _tenants regclass := colbert._derived_table(index, 'tenants');
  _documents regclass := colbert._derived_table(index, 'documents');
  _former colbert._index := colbert._plaid_former(index);
  _tenant text;
  _kept boolean;
BEGIN
  IF step = 1 THEN
    PERFORM colbert._plaid_skip_numbers(index, _former);
    EXECUTE format('INSERT INTO %s (part, tenant, documents, centroids, postings) OVERRIDING SYSTEM VALUE '
                   'SELECT coalesce(t.part, nextval(%L)), t.tenant, coalesce(t.filed, 0), coalesce(t.centroids, 0), '
                   '       coalesce(t.postings, 0) '
                   '  FROM (%s) AS t ORDER BY t.documents DESC LIMIT $1',
                   _tenants, pg_get_serial_sequence(_tenants::text, 'part'),
                   colbert._plaid_tenants_sql(index, _former))
      USING steps - 2;
    EXECUTE format('ANALYZE %s', _tenants);
    RETURN;
  ELSIF step = steps THEN
    PERFORM colbert._plaid_clear_trees(index);
    EXECUTE format('ANALYZE %s, %s, %s, %s, %s', _tenants, _documents, colbert._derived_table(index, 'postings'),
                   colbert._derived_table(index, 'lists'), colbert._derived_table(index, 'centroids'));
    RETURN;
  END IF;

  EXECUTE format('SELECT t.tenant::text, t.documents > 0 AND EXISTS (SELECT FROM %s AS f WHERE f.part = t.part) '
                 '  FROM %s AS t ORDER BY t.part OFFSET $1 - 2 LIMIT 1',
                 colbert._derived_table(_former, 'tenants'), _tenants)
     INTO _tenant, _kept
    USING step;
  IF _kept THEN
    PERFORM colbert._plaid_keep_part(colbert._part_of(index, _tenant), _former);
  ELSIF _tenant IS NOT NULL THEN  -- there may be fewer than there were when the steps were counted
    PERFORM colbert._plaid_build_part(colbert._part_of(index, _tenant));
  END IF;
END
$_plaid_build_part_step$;

COMMENT ON FUNCTION colbert._plaid_build_part_step(colbert._index, integer, integer) IS
  'Finds the tenants that get a part of the index, or makes one part.';

CREATE OR REPLACE FUNCTION colbert._plaid_build_part(part colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_build_part$
DECLARE
  _documents regclass := colbert._derived_table(part, 'documents');
BEGIN
  PERFORM colbert._plaid_train(part);
  EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest, part) '
                 'SELECT a.doc_id::%s, a.tokens, a.centroid_ids, a.digest, $2 FROM colbert._plaid_filed($1, 1, 1) AS a',
                 _documents, (colbert._source_types(part)).key_type)
    USING part, part.part;
  PERFORM colbert._plaid_post(part),
          colbert._plaid_fell_tree(part);
  EXECUTE format('UPDATE %s AS t '
                 '   SET documents = d.documents, postings = d.postings, '
                 '       centroids = (SELECT count(*) FROM %s AS c JOIN %s AS l ON l.id = c.list_id WHERE l.part = $1) '
                 '  FROM (SELECT count(*) AS documents, coalesce(sum(cardinality(d.centroid_ids)), 0) AS postings '
                 '          FROM %s AS d WHERE d.part = $1) AS d '
                 ' WHERE t.part = $1',
                 colbert._derived_table(part, 'tenants'), colbert._derived_table(part, 'centroids'),
                 colbert._derived_table(part, 'lists'), _documents)
    USING part.part;
END
$_plaid_build_part$;

COMMENT ON FUNCTION colbert._plaid_build_part(colbert._index) IS
  'Trains a part of an index, and files its documents.';

-- Documents get new ordinals: the former ones are given out further while this build goes on.
CREATE OR REPLACE FUNCTION colbert._plaid_keep_part(part colbert._index, former colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_keep_part$
DECLARE
  _lists regclass := colbert._derived_table(former, 'lists');
BEGIN
  EXECUTE format('INSERT INTO %s (id, part, centre) OVERRIDING SYSTEM VALUE '
                 'SELECT l.id, l.part, l.centre FROM %s AS l WHERE l.part = $1',
                 colbert._derived_table(part, 'lists'), _lists)
    USING part.part;
  EXECUTE format('INSERT INTO %s (id, centroid, trained, part, list_id) OVERRIDING SYSTEM VALUE '
                 'SELECT c.id, c.centroid, c.trained, c.part, c.list_id FROM %s AS l JOIN %s AS c ON c.list_id = l.id '
                 ' WHERE l.part = $1',
                 colbert._derived_table(part, 'centroids'), _lists, colbert._derived_table(former, 'centroids'))
    USING part.part;
  EXECUTE format('INSERT INTO %s (doc_id, tokens, centroid_ids, digest, part) '
                 'SELECT d.doc_id, d.tokens, d.centroid_ids, d.digest, d.part FROM %s AS d WHERE d.part = $1',
                 colbert._derived_table(part, 'documents'), colbert._derived_table(former, 'documents'))
    USING part.part;
  PERFORM colbert._plaid_post(part);
END
$_plaid_keep_part$;

COMMENT ON FUNCTION colbert._plaid_keep_part(colbert._index, colbert._index) IS
  'Takes a part over from the tables that an index had before.';

-- Numbers of parts, lists and centroids that are taken over keep clear of new ones.
CREATE OR REPLACE FUNCTION colbert._plaid_skip_numbers(index colbert._index, former colbert._index)
RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_skip_numbers$
DECLARE
  _name text;
  _column text;
BEGIN
  FOR _name, _column IN VALUES ('tenants', 'part'), ('lists', 'id'), ('centroids', 'id') LOOP
    EXECUTE format('SELECT setval(%L, max(f.%I)) FROM %s AS f HAVING count(*) > 0',
                   pg_get_serial_sequence(colbert._derived_table(index, _name)::text, _column), _column,
                   colbert._derived_table(former, _name));
  END LOOP;
END
$_plaid_skip_numbers$;

COMMENT ON FUNCTION colbert._plaid_skip_numbers(colbert._index, colbert._index) IS
  'Lets the new numbers of an index that is built begin after those of the tables that it had before.';

-- The index as it is searched while it is built anew, where the build keeps what has not outgrown it. Else the index
-- itself, which has nothing to take over yet.
CREATE OR REPLACE FUNCTION colbert._plaid_former(index colbert._index)
RETURNS colbert._index
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT coalesce((SELECT i
                     FROM colbert._index AS i
                     JOIN colbert._build AS b ON b.index_id = i.id
                    WHERE i.id = index.id AND b.keeps),
                  index);
END;

COMMENT ON FUNCTION colbert._plaid_former(colbert._index) IS
  'The index from which parts may be taken over.';

CREATE OR REPLACE FUNCTION colbert._plaid_large_tenants_sql(index colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT s.%1$I AS tenant, count(*) AS documents FROM %2$s AS s WHERE pg_column_size(s.%3$I) > 24 '
  ' GROUP BY s.%1$I HAVING count(*) >= %4$s',
  colbert._tenant_column(index), index.source, index.embeddings, colbert._plaid_few_documents());

COMMENT ON FUNCTION colbert._plaid_large_tenants_sql(colbert._index) IS
  'SQL for the tenants with enough documents for a part of the index, and how many they have.';

-- The tenants with enough documents for a part of the index, and how many these are; with the part that they have, and
-- how many documents were filed as that was built, unless there are more than twice as many by now.
CREATE OR REPLACE FUNCTION colbert._plaid_tenants_sql(index colbert._index, former colbert._index)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  'SELECT g.tenant, g.documents, t.part, t.documents AS filed, t.centroids, t.postings FROM (%s) AS g '
  '  LEFT JOIN %s AS t ON t.tenant = g.tenant AND g.documents <= 2 * t.documents',
  colbert._plaid_large_tenants_sql(index), colbert._derived_table(former, 'tenants'));

COMMENT ON FUNCTION colbert._plaid_tenants_sql(colbert._index, colbert._index) IS
  'SQL for the tenants with enough documents for a part of the index, and the parts that they have and have not outgrown.';

CREATE OR REPLACE FUNCTION colbert._plaid_large_tenants(index colbert._index)
RETURNS integer
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_plaid_large_tenants$
DECLARE
  _count integer;
BEGIN
  IF colbert._tenant_column(index) IS NOT NULL THEN
    EXECUTE format('SELECT count(*) FROM (%s) AS t', colbert._plaid_large_tenants_sql(index)) INTO _count;
  END IF;
  RETURN _count;
END
$_plaid_large_tenants$;

COMMENT ON FUNCTION colbert._plaid_large_tenants(colbert._index) IS
  'How many tenants have enough documents for a part of the index; NULL where it is not kept apart.';
