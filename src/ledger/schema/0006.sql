-- The same content in several items: by what the source quotes of it before it is moved, by its
-- digest afterwards.
CREATE INDEX file_md5 ON file (md5, size) WHERE md5 IS NOT NULL;
CREATE INDEX file_sha256 ON file (sha256) WHERE sha256 IS NOT NULL;
