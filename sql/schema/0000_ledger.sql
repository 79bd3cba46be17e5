-- 0.1.0: the ledger of the steps in this folder that a database has taken
CREATE TABLE colbert._migration (
  name text PRIMARY KEY,
  version text NOT NULL
);
COMMENT ON TABLE colbert._migration IS
  'Steps of sql/schema that this database has taken, and the version that brought each.';
