-- What a flow remembers of an object field by field, to tell later what has changed; `open` is 1
-- while a person has to decide.
CREATE TABLE fact (
    flow   TEXT NOT NULL,
    object TEXT NOT NULL,
    field  TEXT NOT NULL,
    data   TEXT NOT NULL,
    open   INTEGER NOT NULL DEFAULT 0,
    at     INTEGER NOT NULL,
    PRIMARY KEY (flow, object, field)
) STRICT, WITHOUT ROWID;
CREATE INDEX fact_open ON fact (flow, object, field) WHERE open = 1;
