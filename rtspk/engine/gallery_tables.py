"""The gallery's tables: what makes an empty file, and what brings one of an older version to today's."""

from collections.abc import Sequence

__all__ = ["APPLICATION", "FROM_FIRST", "MAGIC", "PAGE", "SCHEMA", "VERSION", "marks"]

MAGIC = b"SQLite format 3\x00"  # what every SQLite file begins with
APPLICATION = 0x72747370  # "rtsp": tells our files from other programs' (PRAGMA application_id)
VERSION = 2  # of the tables (PRAGMA user_version)
PAGE = 16_384  # bytes: a 192-d print is 0.9 kB, and of smaller pages a fifth would stay empty

NOW = "DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))"
EXEMPLARS = f"""CREATE TABLE exemplars (
        id INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: what is new is behind what is known
        speaker INTEGER NOT NULL REFERENCES speakers (id) ON DELETE CASCADE,
        vector BLOB NOT NULL, -- float32, little-endian, unit length
        source TEXT NOT NULL, -- what it was made from
        net_speech INTEGER NOT NULL, -- samples at 16 kHz
        quality REAL NOT NULL, -- 0 to 1
        created TEXT NOT NULL {NOW})"""
OWNERS = "CREATE INDEX exemplars_of_speaker ON exemplars (speaker)"
CODES = """CREATE TABLE codes ( -- short codes of the exemplars, once there are very many
        id INTEGER PRIMARY KEY CHECK (id = 1),
        generation INTEGER NOT NULL, covered INTEGER NOT NULL,
        ids BLOB NOT NULL, codes BLOB NOT NULL, codebook BLOB NOT NULL)"""
SCHEMA = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    f"""CREATE TABLE speakers (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL {NOW})""",
    EXEMPLARS,
    OWNERS,
    CODES,
)
FROM_FIRST = (  # what makes a file of version 2 of one of version 1
    "ALTER TABLE exemplars RENAME TO former",
    "DROP INDEX exemplars_of_speaker",
    EXEMPLARS,
    "INSERT INTO exemplars SELECT id, speaker, vector, source, net_speech, quality, created FROM former",
    "DROP TABLE former",
    OWNERS,
    CODES,
    f"PRAGMA user_version = {VERSION}",
)


def marks(values: Sequence[int]) -> str:
    """What stands for so many values in a query."""
    return ",".join("?" * len(values))
