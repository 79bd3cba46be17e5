-- A query vector of another length than 1 weighs its token: its inner products are as many times as large. It is taken
-- apart into the unit vector of its direction, which fits into every type, and its length, the weight.
--
-- What is within 0.01 of 1, the tolerance of documents, weighs 1 and stays as it is.
CREATE OR REPLACE FUNCTION colbert._weight(token vector)
RETURNS float8
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN colbert._norm(token) BETWEEN 0.99 AND 1.01 THEN 1 ELSE colbert._norm(token) END;

COMMENT ON FUNCTION colbert._weight(vector) IS 'What a query token weighs: its length.';

CREATE OR REPLACE FUNCTION colbert._query_weights(query vector[])
RETURNS float8[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_query_weights$
DECLARE
  _weights float8[];
BEGIN
  SELECT array_agg(colbert._weight(u.token) ORDER BY u.position)
    INTO _weights
    FROM unnest(query) WITH ORDINALITY AS u (token, position);
  RETURN CASE WHEN 1 = ALL (_weights) THEN '{}' ELSE _weights END;
END
$_query_weights$;

COMMENT ON FUNCTION colbert._query_weights(vector[]) IS
  'The weights of a query''s tokens; an empty array where each is 1.';

CREATE OR REPLACE FUNCTION colbert._unit_query(query vector[])
RETURNS vector[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_unit_query$
BEGIN
  RETURN ARRAY(SELECT CASE WHEN colbert._weight(u.token) = 1 THEN u.token ELSE colbert._unit(u.token) END
                 FROM unnest(query) WITH ORDINALITY AS u (token, position)
                ORDER BY u.position);
END
$_unit_query$;

COMMENT ON FUNCTION colbert._unit_query(vector[]) IS
  'The vectors of a query without their weights; the lower bound is 1.';

-- SQL for the query $1 as maxsim compares it with documents of a type, without its weights.
CREATE OR REPLACE FUNCTION colbert._query_sql(element regtype)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE SECURITY INVOKER
RETURN CASE WHEN element = 'bit'::regtype THEN 'colbert.binary_quantize($1)'
            ELSE format('colbert._unit_query($1)::%s[]', element) END;

COMMENT ON FUNCTION colbert._query_sql(regtype) IS
  'SQL for the vectors of the query $1 as an array of a type, without weights.';
