-- About how many documents of a hybrid search there are, and how many of them hold each of some lexemes, without
-- reading them all. NULL where PostgreSQL has no index in which to look the lexemes up.
--
-- The planner is asked. From the last ANALYZE it knows the share of the thousand most frequent lexemes, or as many as
-- the column's statistics target gives. Of the others it only knows that they are rare: it expects as many as of a
-- lexeme that nobody uses. Those are counted, five hundred documents at most. What is more frequent than that is
-- measured by how far into the table the first five hundred reach: an index scan comes to documents in the order of
-- their place. More than one in forty would be among the most frequent, which ANALYZE knows.
--
-- The estimates are of the whole table and of the filter's share of it. Whom row-level security limits must not learn
-- from them, so they are not for such callers (_text_part).
CREATE OR REPLACE FUNCTION colbert._word_counts(
  index colbert._index, document text, lexemes tsquery[], filter text, params jsonb, search_path text,
  OUT documents float8, OUT counts float8[])
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_word_counts$
DECLARE
  _at_most constant integer := 500;
  _planned float8[] := colbert._planned_rows(
    ARRAY[colbert._holders_sql(index, document, NULL, filter),
          colbert._holders_sql(index, document, '''no such lexeme''', filter)]
    || ARRAY(SELECT colbert._holders_sql(index, document, l.lexeme, filter)
               FROM unnest(lexemes) WITH ORDINALITY AS l (lexeme, position) ORDER BY l.position),
    params, search_path);
  _knows boolean := _planned[2] < (SELECT max(p) FROM unnest(_planned[3:]) AS p);  -- what ANALYZE has seen
  _counted record;
BEGIN
  IF _planned IS NULL THEN
    RETURN;
  END IF;
  documents := CASE WHEN filter IS NULL THEN _planned[1]
                    ELSE colbert._filtered_rows(index, filter, params, search_path, _planned[1]) END;
  counts := ARRAY(SELECT documents * least(1, p / _planned[1])
                    FROM unnest(_planned[3:]) WITH ORDINALITY AS p (p, position) ORDER BY position);
  FOR _position IN 1 .. cardinality(counts) LOOP
    IF _planned[2 + _position] <= _planned[2] THEN
      _counted := colbert._count_holders(
        colbert._holders_sql(index, document, lexemes[_position], filter), params, search_path, _at_most, true);
      counts[_position] := CASE
        WHEN _counted.holders < _at_most THEN _counted.holders
        ELSE greatest(_at_most, colbert._likely_holders(
               index, documents, CASE WHEN _knows THEN documents / 40 ELSE documents END,
               _counted.holders, _counted.pages))
      END;
    END IF;
  END LOOP;
  documents := greatest(documents, (SELECT max(c) FROM unnest(counts) AS c));
END
$_word_counts$;

COMMENT ON FUNCTION colbert._word_counts(colbert._index, text, tsquery[], text, jsonb, text) IS
  'About how many documents meet a filter, and how many of them hold each of some lexemes; NULLs where no index knows.';

-- The places of the documents that hold a lexeme and meet the filter; of all that meet the filter where lexeme is NULL.
-- document is SQL for the tsvector of a row.
CREATE OR REPLACE FUNCTION colbert._holders_sql(index colbert._index, document text, lexeme tsquery, filter text)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(
  '(SELECT d.place FROM %s AS d)',
  colbert._source_rows_sql(
    index, 'place', 'ctid',
    CASE
      WHEN lexeme IS NULL THEN filter
      ELSE concat('(' || filter || E'\n) AND ', document,
                  format(' OPERATOR(pg_catalog.@@) %L::pg_catalog.tsquery', lexeme))
    END));

COMMENT ON FUNCTION colbert._holders_sql(colbert._index, text, tsquery, text) IS
  'SQL for the places of the documents that hold a lexeme and meet a filter.';

-- How many rows the planner expects of each of some relations, given as SQL. NULL where none of them is found in an
-- index by its lexemes. EXPLAIN reads nothing. It counts as no reading statement, so that a STABLE function may not run
-- it: hence the function is VOLATILE. Its settings make the planner show whether there is an index.
CREATE OR REPLACE FUNCTION colbert._planned_rows(relations text[], params jsonb, search_path text)
RETURNS float8[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off
SET max_parallel_workers_per_gather = 0
AS $_planned_rows$
DECLARE
  _statement text := format(
    'EXPLAIN (FORMAT JSON) SELECT %s',
    (SELECT string_agg(format('(SELECT pg_catalog.count(*) FROM %s AS r)', r.relation), ', ' ORDER BY r.position)
       FROM unnest(relations) WITH ORDINALITY AS r (relation, position)));
  _plan jsonb;
BEGIN
  PERFORM set_config('search_path', search_path, true);
  EXECUTE _statement INTO _plan USING NULL::pg_catalog.text, params;
  PERFORM set_config('search_path', 'pg_catalog, pg_temp', true);
  IF NOT jsonb_path_exists(_plan, '$.**."Index Cond" ? (@ like_regex "@@")') THEN
    RETURN NULL;
  END IF;
  RETURN ARRAY(SELECT jsonb_path_query_first(
                        c.plan, '$.Plans[*] ? (@."Parent Relationship" == "Outer")."Plan Rows"')::float8
                 FROM jsonb_array_elements(_plan #> '{0, Plan, Plans}') WITH ORDINALITY AS c (plan, position)
                ORDER BY c.position);
END
$_planned_rows$;

COMMENT ON FUNCTION colbert._planned_rows(text[], jsonb, text) IS
  'How many rows the planner expects of some relations, given as SQL; NULL where no index answers for their lexemes.';

-- Counts the rows of a relation of places, no further than at_most, and the pages of the table up to the last of them.
-- by_index keeps the planner from reading the table, where an index knows the rows.
CREATE OR REPLACE FUNCTION colbert._count_holders(
  relation text, params jsonb, search_path text, at_most integer, by_index boolean,
  OUT holders bigint, OUT pages bigint)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = on
SET jit = off
AS $_count_holders$
BEGIN
  IF by_index THEN
    PERFORM set_config('enable_seqscan', 'off', true);
  END IF;
  PERFORM set_config('search_path', search_path, true);
  EXECUTE pg_catalog.format(
    'SELECT pg_catalog.count(*),'
    '       1 OPERATOR(pg_catalog.+) pg_catalog.max((m.place::pg_catalog.text::pg_catalog.point)[0])'
    '  FROM (SELECT r.place FROM %s AS r LIMIT $3) AS m', relation)
     INTO holders, pages
    USING NULL::pg_catalog.text, params, at_most;
END
$_count_holders$;

COMMENT ON FUNCTION colbert._count_holders(text, jsonb, text, integer, boolean) IS
  'How many rows a relation of places has, counted no further than at_most, and how many pages they reach over.';

-- About how many documents meet a filter. What the planner expects is good for a comparison of a column with a value.
-- For other expressions it can be too low by a hundred times. How far into the table the first hundred reach is good
-- where they are spread evenly. Both are too low when they are wrong, mostly, so the higher one is taken.
CREATE OR REPLACE FUNCTION colbert._filtered_rows(
  index colbert._index, filter text, params jsonb, search_path text, planned float8)
RETURNS float8
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_filtered_rows$
DECLARE
  _at_most constant integer := 100;
  _counted record := colbert._count_holders(
    colbert._holders_sql(index, NULL, NULL, filter), params, search_path, _at_most, false);
BEGIN
  RETURN CASE
    WHEN _counted.holders < _at_most THEN greatest(1, _counted.holders)
    ELSE greatest(_at_most, planned, _counted.holders * colbert._pages(index.source) / _counted.pages)
  END;
END
$_filtered_rows$;

COMMENT ON FUNCTION colbert._filtered_rows(colbert._index, text, jsonb, text, float8) IS
  'About how many documents meet a filter.';

-- The pages of a table. NULL for a partitioned one: each of its partitions has pages of its own, which say nothing of
-- those of the others.
CREATE OR REPLACE FUNCTION colbert._pages(source regclass)
RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
BEGIN ATOMIC
  SELECT pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::float8
    FROM pg_catalog.pg_class AS c
   WHERE c.oid = source AND c.relkind = 'r';
END;

COMMENT ON FUNCTION colbert._pages(regclass) IS 'The pages of a table; NULL for a partitioned one.';

-- How many of so many documents hold a lexeme, when the first of them, so many, are on the first pages of the table.
-- Where pages say nothing, one in two hundred is between what is possible.
CREATE OR REPLACE FUNCTION colbert._likely_holders(
  index colbert._index, documents float8, at_most float8, holders bigint, pages bigint)
RETURNS float8
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN least(at_most, coalesce(holders * colbert._pages(index.source) / pages, documents / 200));

COMMENT ON FUNCTION colbert._likely_holders(colbert._index, float8, float8, bigint, bigint) IS
  'How many documents hold a lexeme, when the first of them reach over so many pages.';
