-- What a walk over the destination found of longhaul's versions, for a ledger that was lost.
CREATE TABLE adopted (
    marker  TEXT NOT NULL,
    node    INTEGER NOT NULL,
    version INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    sha256  BLOB,
    PRIMARY KEY (marker, node, version)
) STRICT, WITHOUT ROWID;

-- What a person declined holds up what comes after it no more than what is done.
DROP TRIGGER item_done;
CREATE TRIGGER item_settled AFTER UPDATE OF state ON item
WHEN (OLD.state IN ('done', 'declined')) <> (NEW.state IN ('done', 'declined'))
BEGIN
    UPDATE item SET blocked = (NEW.state NOT IN ('done', 'declined')) WHERE after = NEW.id;
END;
