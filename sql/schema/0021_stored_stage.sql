-- 0.3.0: store_encoded takes the vectors of the first stage, too
DROP FUNCTION IF EXISTS colbert.store_encoded(regclass, text, text, vector[], text, name);
