-- Items and bytes of a run by state and proof: what is asked of a run costs the same whatever its
-- number of items. Kept by the triggers below, in the transaction of what they follow.
CREATE TABLE tally (
    run       INTEGER NOT NULL,
    state     TEXT NOT NULL,
    proof     TEXT NOT NULL,
    items     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    committed INTEGER NOT NULL,
    PRIMARY KEY (run, state, proof)
) STRICT, WITHOUT ROWID;

-- Bytes of the item's files that have a version at the destination.
ALTER TABLE item ADD COLUMN committed INTEGER NOT NULL DEFAULT 0;
UPDATE item SET committed = found.bytes
FROM (SELECT item, sum(size) AS bytes FROM file WHERE version IS NOT NULL GROUP BY item) AS found
WHERE item.id = found.item;
INSERT INTO tally
SELECT run, state, proof, count(*), sum(bytes), sum(committed) FROM item GROUP BY run, state, proof;

CREATE TRIGGER item_tallied AFTER INSERT ON item
BEGIN
    INSERT INTO tally VALUES (NEW.run, NEW.state, NEW.proof, 1, NEW.bytes, NEW.committed)
    ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + NEW.bytes,
        committed = committed + NEW.committed;
END;

CREATE TRIGGER item_retallied AFTER UPDATE OF run, state, proof, bytes, committed ON item
WHEN (OLD.run, OLD.state, OLD.proof, OLD.bytes, OLD.committed)
    IS NOT (NEW.run, NEW.state, NEW.proof, NEW.bytes, NEW.committed)
BEGIN
    UPDATE tally SET items = items - 1, bytes = bytes - OLD.bytes,
        committed = committed - OLD.committed
    WHERE run = OLD.run AND state = OLD.state AND proof = OLD.proof;
    INSERT INTO tally VALUES (NEW.run, NEW.state, NEW.proof, 1, NEW.bytes, NEW.committed)
    ON CONFLICT DO UPDATE SET items = items + 1, bytes = bytes + NEW.bytes,
        committed = committed + NEW.committed;
END;

CREATE TRIGGER file_committed AFTER UPDATE OF version, size ON file
WHEN iif(OLD.version IS NULL, 0, OLD.size) <> iif(NEW.version IS NULL, 0, NEW.size)
BEGIN
    UPDATE item SET committed = committed + iif(NEW.version IS NULL, 0, NEW.size)
        - iif(OLD.version IS NULL, 0, OLD.size)
    WHERE id = NEW.item;
END;

CREATE TRIGGER file_forgotten AFTER DELETE ON file WHEN OLD.version IS NOT NULL
BEGIN
    UPDATE item SET committed = committed - OLD.size WHERE id = OLD.item;
END;
