-- 0.2.0: the workers that encode texts, and what each has done
CREATE TABLE colbert._worker (
  index_id integer NOT NULL REFERENCES colbert._index ON DELETE CASCADE,
  role name NOT NULL DEFAULT current_user,
  worker text NOT NULL,
  started_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  seen_at timestamptz NOT NULL DEFAULT statement_timestamp(),
  busy interval NOT NULL DEFAULT '0',
  documents bigint NOT NULL DEFAULT 0,
  tokens bigint NOT NULL DEFAULT 0,
  failures bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (index_id, role, worker)
);

COMMENT ON TABLE colbert._worker IS
  'What each worker has done for each index. Not a public interface: read the view colbert.workers.';
COMMENT ON COLUMN colbert._worker.role IS 'The role as which it works, the only one that writes its row.';
COMMENT ON COLUMN colbert._worker.busy IS 'The time from a claim to what was stored of it, summed up.';

-- Everybody may read; a role writes its own rows, for indexes whose arrays it may write.
ALTER TABLE colbert._worker ENABLE ROW LEVEL SECURITY;
CREATE POLICY read ON colbert._worker FOR SELECT USING (true);
CREATE POLICY write ON colbert._worker
  USING (role = current_user)
  WITH CHECK (role = current_user
              AND EXISTS (SELECT FROM colbert._index AS i
                           WHERE i.id = index_id
                             AND pg_catalog.has_column_privilege(i.source, i.embeddings, 'UPDATE')));

GRANT SELECT, INSERT, UPDATE, DELETE ON colbert._worker TO PUBLIC;
