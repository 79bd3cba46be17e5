-- The methods hnsw and ivfflat: a table with a row for every document token, and pgvector's own index on it. This says
-- how tokens are kept: as halfvec (half the bytes of vector, and as good), as vector, or as bit (one bit a dimension,
-- compared by Hamming distance: the smallest and the roughest).
--
-- Bits of the source are kept as they are.
--
-- Three of the answers are templates for format(). conversion turns an expression for a document token into one for a
-- kept token, and query_conversion one for a query token. similarity turns an expression for a distance from the query
-- token q into one for what that adds to the score, as near as it can be: vectors whose signs differ in a share h of the
-- dimensions are at an angle of about 180 degrees times h. Where the score counts bits, half of them are alike by chance:
-- that adds nothing. (All OPERATOR() are of one precedence.)
CREATE OR REPLACE FUNCTION colbert._tokens_layout(
  index colbert._index,
  OUT type text, OUT operator_class text, OUT operator text, OUT conversion text,
  OUT query_conversion text, OUT similarity text)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_tokens_layout$
DECLARE
  _bits boolean := coalesce(colbert._element_type(index.source, index.embeddings) = 'bit'::regtype, false);
  _token_type text := CASE WHEN _bits THEN 'bit' ELSE coalesce(index.options ->> 'token_type', 'halfvec') END;
  _schema name := colbert._vector_schema();
BEGIN
  IF _token_type NOT IN ('halfvec', 'vector', 'bit') THEN
    RAISE EXCEPTION 'unknown token type "%"', _token_type
      USING ERRCODE = 'invalid_parameter_value',
            HINT = 'Drop the index, and create it with token_type halfvec, vector or bit.';
  ELSIF _token_type = 'bit' THEN
    type := format('bit(%s)', index.dimensions);
    operator_class := format('%I.bit_hamming_ops', _schema);
    operator := format('OPERATOR(%I.<~>)', _schema);
    query_conversion := format('(%I.binary_quantize(%%s))::%s', _schema, type);
    conversion := CASE WHEN _bits THEN '%s' ELSE query_conversion END;
    similarity := format(
      'q.weight OPERATOR(pg_catalog.*) '
      || CASE WHEN _bits THEN '(0.5::pg_catalog.float8 OPERATOR(pg_catalog.-) ((%%s) OPERATOR(pg_catalog./) %s))'
              ELSE 'pg_catalog.cos(pg_catalog.pi() OPERATOR(pg_catalog.*) (%%s) OPERATOR(pg_catalog./) %s)' END,
      index.dimensions);
  ELSE
    type := format('%I.%s(%s)', _schema, _token_type, index.dimensions);
    operator_class := format('%I.%s_ip_ops', _schema, _token_type);
    operator := format('OPERATOR(%I.<#>)', _schema);
    conversion := format('(%%s)::%s', type);
    query_conversion := conversion;
    similarity := '- (%s)';
  END IF;
END
$_tokens_layout$;

COMMENT ON FUNCTION colbert._tokens_layout(colbert._index) IS
  'How a token table keeps its tokens: column type, operator class and operator, and templates for the conversions to that type and from distance to similarity.';
