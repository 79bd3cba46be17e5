-- Settings for tune to try, the cheapest first: how much is read, and when a search stops. They hold for every k.
CREATE OR REPLACE FUNCTION colbert._plaid_settings(index colbert._index)
RETURNS SETOF jsonb
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
ROWS 16
BEGIN ATOMIC
  SELECT jsonb_build_object('effort', e.effort, 'margin', m.margin)
    FROM unnest(ARRAY[0.25, 0.5, 1, 2, 4]) AS e (effort)
   CROSS JOIN unnest(ARRAY[1.5, 2, 2.5, 3]) AS m (margin);
END;

COMMENT ON FUNCTION colbert._plaid_settings(colbert._index) IS 'Settings of a plaid index that tune tries.';
