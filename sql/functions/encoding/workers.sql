CREATE OR REPLACE VIEW colbert.workers WITH (security_invoker = true) AS
SELECT i.source,
       i.embeddings,
       w.worker,
       w.role,
       w.started_at,
       w.seen_at,
       w.documents,
       w.tokens,
       w.failures,
       CASE WHEN w.busy > interval '0'
            THEN (60 * w.documents / extract(epoch FROM w.busy))::numeric(20, 1) END AS documents_per_minute
  FROM colbert._worker AS w
  JOIN colbert._index AS i ON i.id = w.index_id;

COMMENT ON VIEW colbert.workers IS
  'The workers that were seen in the last day or so, and what each has done.';

COMMENT ON COLUMN colbert.workers.source IS 'The table.';
COMMENT ON COLUMN colbert.workers.embeddings IS 'Its column of token-vector arrays.';
COMMENT ON COLUMN colbert.workers.worker IS 'The name that it gave itself: colbert-pg worker says host and process.';
COMMENT ON COLUMN colbert.workers.role IS 'The role as which it works.';
COMMENT ON COLUMN colbert.workers.started_at IS 'When it was first seen.';
COMMENT ON COLUMN colbert.workers.seen_at IS 'When it last asked for documents, or stored one.';
COMMENT ON COLUMN colbert.workers.documents IS 'How many documents it has stored.';
COMMENT ON COLUMN colbert.workers.tokens IS 'How many vectors they had.';
COMMENT ON COLUMN colbert.workers.failures IS 'How often it failed.';
COMMENT ON COLUMN colbert.workers.documents_per_minute IS 'Its throughput while there was work to do.';

GRANT SELECT ON colbert.workers TO PUBLIC;
