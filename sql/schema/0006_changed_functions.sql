-- 0.2.0: functions of 0.1.0 whose arguments or results are others now, for text columns
DROP FUNCTION IF EXISTS colbert._sync_problem(colbert._index);
DROP FUNCTION IF EXISTS colbert._sync_names(colbert._index);
DROP FUNCTION IF EXISTS colbert._create_derived(colbert._index, text, text, text);
