-- Refuses options that say nothing of bits.
CREATE OR REPLACE FUNCTION colbert._refuse_bit_options(source regclass, embeddings name, options jsonb)
RETURNS void
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER
SET search_path = pg_catalog, pg_temp
AS $_refuse_bit_options$
BEGIN
  IF colbert._element_type(source, embeddings) <> 'bit'::regtype THEN
    RETURN;
  END IF;
  IF options ? 'normalized' THEN
    RAISE EXCEPTION 'option "normalized" has no meaning for column "%" of table "%"', embeddings, source
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'Bits have a direction and no length.',
            HINT = 'Leave the option out.';
  ELSIF options ->> 'token_type' <> 'bit' THEN
    RAISE EXCEPTION 'tokens of column "%" of table "%" cannot be kept as %', embeddings, source,
                    options ->> 'token_type'
      USING ERRCODE = 'invalid_parameter_value',
            DETAIL = 'The column has bits, which are kept as they are.',
            HINT = 'Leave option "token_type" out.';
  END IF;
END
$_refuse_bit_options$;

COMMENT ON FUNCTION colbert._refuse_bit_options(regclass, name, jsonb) IS
  'Raises for options that say nothing of bits, where the column has bits.';
