-- 0.3.0: workers encode columns of pictures as they do texts
-- What calls the function in a SQL-standard body goes on calling it by its new name.
DO $rename$
BEGIN
  IF pg_catalog.to_regprocedure('colbert._text_column(colbert._index)') IS NOT NULL THEN
    ALTER FUNCTION colbert._text_column(colbert._index) RENAME TO _encoded_column;
  END IF;
END
$rename$;
DROP FUNCTION IF EXISTS colbert._find_text_index(regclass, name);
