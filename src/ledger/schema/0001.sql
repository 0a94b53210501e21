-- Texts, integers and blobs only (STRICT). Times are Unix milliseconds, sizes bytes.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE run (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    command      TEXT NOT NULL,
    arguments    TEXT NOT NULL,
    started      INTEGER NOT NULL,
    ended        INTEGER,
    scan_done    INTEGER NOT NULL DEFAULT 0,
    scan_cursor  TEXT,
    already_done INTEGER NOT NULL DEFAULT 0,
    left_out     INTEGER NOT NULL DEFAULT 0,
    outcome      TEXT NOT NULL
) STRICT;

CREATE TABLE item (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    run         INTEGER NOT NULL REFERENCES run (id),
    key         TEXT NOT NULL UNIQUE,
    after       INTEGER REFERENCES item (id),
    -- 1 while the item named by `after` is not done; kept by the trigger below.
    blocked     INTEGER NOT NULL DEFAULT 0,
    kind        TEXT NOT NULL,
    title       TEXT NOT NULL,
    parent      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    -- The name as a container compares it: NFC, lower case.
    folded      TEXT NOT NULL,
    marker      TEXT NOT NULL,
    kin         TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    source      TEXT NOT NULL,
    state       TEXT NOT NULL,
    container   INTEGER,
    node        INTEGER,
    version     INTEGER,
    proof       TEXT NOT NULL DEFAULT 'none',
    bytes       INTEGER NOT NULL DEFAULT 0,
    files       INTEGER NOT NULL DEFAULT 0,
    attempts    INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER NOT NULL DEFAULT 0,
    class       TEXT,
    reason      TEXT,
    message     TEXT
) STRICT;

-- What can be taken: one range for each of the two states, already in order.
CREATE INDEX item_due ON item (run, state, next_at, id)
    WHERE blocked = 0 AND state IN ('planned', 'waiting');
-- Pages of a run, counts by state without touching the rows.
CREATE INDEX item_run ON item (run);
CREATE INDEX item_state ON item (run, state, id, bytes);
CREATE INDEX item_after ON item (after) WHERE after IS NOT NULL;
CREATE INDEX item_blocked ON item (run) WHERE blocked = 1;
CREATE INDEX item_name ON item (parent, folded);

CREATE TRIGGER item_done AFTER UPDATE OF state ON item
WHEN (OLD.state = 'done') <> (NEW.state = 'done')
BEGIN
    UPDATE item SET blocked = (NEW.state <> 'done') WHERE after = NEW.id;
END;

CREATE TABLE file (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    item        INTEGER NOT NULL REFERENCES item (id),
    seq         INTEGER NOT NULL,
    role        TEXT NOT NULL,
    marker      TEXT NOT NULL,
    name        TEXT NOT NULL,
    dir         TEXT NOT NULL,
    size        INTEGER NOT NULL,
    offset      INTEGER NOT NULL,
    mime        TEXT NOT NULL,
    locator     TEXT NOT NULL,
    md5         TEXT,
    content     BLOB,
    step        TEXT NOT NULL DEFAULT 'planned',
    validator   TEXT,
    session_key TEXT,
    part_size   INTEGER,
    part_count  INTEGER,
    sha256      BLOB,
    outer_state BLOB,
    intent      TEXT,
    node        INTEGER,
    version     INTEGER,
    proof       TEXT NOT NULL DEFAULT 'none',
    bytes_sent  INTEGER NOT NULL DEFAULT 0,
    restarts    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (item, seq)
) STRICT;

CREATE TABLE part (
    file   INTEGER NOT NULL REFERENCES file (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    digest BLOB NOT NULL,
    state  BLOB NOT NULL,
    acked  INTEGER NOT NULL,
    PRIMARY KEY (file, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    item      INTEGER REFERENCES item (id),
    kind      TEXT NOT NULL,
    payload   TEXT NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    next_at   INTEGER NOT NULL DEFAULT 0,
    message   TEXT,
    delivered INTEGER
) STRICT;

CREATE INDEX outbox_due ON outbox (next_at, id) WHERE delivered IS NULL;

-- No references: a line outlives what it speaks of.
CREATE TABLE journal (
    seq    INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    run    INTEGER,
    item   INTEGER,
    file   INTEGER,
    event  TEXT NOT NULL,
    data   TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;

CREATE INDEX journal_run ON journal (run) WHERE run IS NOT NULL;
CREATE INDEX journal_item ON journal (item) WHERE item IS NOT NULL;
