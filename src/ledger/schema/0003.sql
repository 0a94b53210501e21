-- What the destination is to make of an item beyond its bytes, as JSON; nothing for plain filing.
ALTER TABLE item ADD COLUMN record TEXT;
