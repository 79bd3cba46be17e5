-- What a worker is given to encode, and gives back, so that a change meanwhile is seen: a text, the path of a picture, or
-- the digest of a picture's bytes, which may be many. Texts are compared letter by letter, whatever their type and
-- collation take to be equal. The value is that of the row s of the source, where no other is given.
CREATE OR REPLACE FUNCTION colbert._content_sql(index colbert._index, value text DEFAULT NULL)
RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE SECURITY INVOKER
RETURN format(CASE WHEN colbert._has_picture_bytes(index) THEN 'encode(sha256(%s), ''hex'')'
                   ELSE '%s::text COLLATE "C"' END,
              coalesce(value, colbert._encoded_sql(index)));

COMMENT ON FUNCTION colbert._content_sql(colbert._index, text) IS
  'SQL for what a worker is given to encode: a text, a path, or the digest of a picture.';
