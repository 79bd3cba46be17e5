-- 0.3.0: the text of an index may be an expression
-- Its own file defines the view anew, with a column text that is not of type name.
DROP VIEW IF EXISTS colbert.pending;
DROP FUNCTION IF EXISTS colbert._create_derived(colbert._index, text, text, text, name);
