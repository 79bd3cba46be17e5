-- 0.3.0: functions of 0.2.0 whose arguments or results are others now
DROP FUNCTION IF EXISTS colbert.search(regclass, vector[], anyelement, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.search_parents(regclass, vector[], name, anyelement, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.hybrid_search(regclass, vector[], text, anyelement, integer, text, regconfig, text, float8, integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert.rerank(regclass, vector[], anyarray, integer, name);
DROP FUNCTION IF EXISTS colbert.explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name);
DROP FUNCTION IF EXISTS colbert._explain_search(regclass, vector[], integer, text, jsonb, integer, boolean, name, text);
DROP FUNCTION IF EXISTS colbert.measure_recall(regclass, regclass, integer, integer, integer, name, name);
DROP FUNCTION IF EXISTS colbert.tune(regclass, float8, regclass, integer, integer, name, name);
DROP FUNCTION IF EXISTS colbert._draw_sample(colbert._index, regclass, name, integer, integer);
DROP FUNCTION IF EXISTS colbert._measure(colbert._index, colbert._sample[], integer, integer);
DROP FUNCTION IF EXISTS colbert._timed_search(colbert._index, colbert._sample, integer, integer, boolean);
DROP FUNCTION IF EXISTS colbert._refuse_text_column(regclass, jsonb);
