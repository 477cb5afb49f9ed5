"""Columns of the parser's working arrays: what the kernels read and write, one name a column.

Stream rows are by stream slot, connection rows by connection slot, message rows in the order in which messages start.
"""

from __future__ import annotations

from typing import NamedTuple

from inspector.http.tables import Fact
from inspector.table import I64, U8, U64

NONE = -1

# Kinds of message, and of stream.
REQUEST = 1
RESPONSE = 2

# How a stream is read now (column MODE).
FIRST = 0  # its first bytes decide what it is
START = 1  # between messages
HEADERS = 2
BODY = 3  # REMAIN bytes are left of the content
UNTIL_CLOSE = 4
CHUNK_SIZE = 5
CHUNK_DATA = 6  # REMAIN bytes are left of the chunk
CHUNK_END = 7
TRAILERS = 8
HOLD = 9  # an upgrade or a CONNECT was asked for: the response decides what follows
SEARCH = 10  # the boundary was lost: look for the next message
HELLO = 11  # a TLS handshake record
STOPPED = 12

# Columns of a stream.
STREAM = 0
KIND = 1
MODE = 2
POS = 3  # offset up to which the stream is read
PROTOCOL = 4
FIRST_OFFSET = 5
SEEN = 6  # offset up to which bytes (or gaps) were passed on
ENDED = 7  # tcp's End, 0 while open
ROW = 8  # message row, NONE between messages
REMAIN = 9
METHOD = 10  # of the request that the message answers (or is): see below
SCANNED = 11  # bytes of an unfinished line that hold no line end
HEAD_BYTES = 12  # of head lines read, or of trailer lines
LINES = 13
CODING = 14  # transfer-encoding: see below
LENGTH = 15  # content-length: NONE absent, INVALID contradicting or unreadable
FLAGS = 16  # of the head: see below
NEXT_FACTS = 17  # MIDSTREAM, RESYNCED: facts of the next message
HELD = 18  # id of the request for whose response a HOLD waits
PEER = 19  # the message's first byte came in a packet that acknowledged this offset
SYNCED = 20  # its start was captured
PEERS = 21  # the last distinct peers, CARRIED of them
CARRIED = 16
SPOKE = PEERS + CARRIED  # the offset of the first chunk with each of them
STREAM_WIDTH = SPOKE + CARRIED

# Values of METHOD.
OTHER_METHOD = 0
HEAD = 1
CONNECT = 2
UNKNOWN_METHOD = 3

# Values of CODING and LENGTH.
CODING_NONE = 0
CODING_CHUNKED = 1
CODING_OTHER = 2
INVALID = -2

# Bits of FLAGS.
FLAG_CLOSE = 1
FLAG_KEEP_ALIVE = 2
FLAG_UPGRADE = 4
FLAG_H2C = 8  # what the upgrade is to
FLAG_WEBSOCKET = 16

# Columns of a connection.
LOST = 0  # a boundary was lost in either direction: responses go by exact fit
LOST_AT = 1  # requests from this offset on follow each other without loss
FRONT = 2  # of the queue of pending requests: a node, NONE when empty
BACK = 3
COUNT = 4
EARLY = 5  # requests that start before this offset were answered before they were complete
PIPELINED = 6
LAST_PEER = 7
INSIDE = 8  # a CONNECT succeeded: what goes through its tunnel is looked at as a new connection is
CONNECTION_WIDTH = 9

# Columns of a pending request.
N_ID = 0
N_START = 1
N_HEAD_END = 2
N_PEER = 3
N_METHOD = 4
N_NEXT = 5
NODE_WIDTH = 6

# Columns of a message row.
R_ID = 0
R_REQUEST = 1
R_SLOT = 2
R_STREAM = 3
R_KIND = 4
R_VERSION = 5
R_START = 6
R_HEAD_END = 7
R_END = 8
R_FACTS = 9
R_MARKS = 10
R_STATUS = 11
R_ATTEMPT = 12
R_BODY = 13
R_GAP = 14
R_DONE = 15  # 0 open, 1 ended, 2 dropped
R_TRACE_LEVEL = 16
R_LINES = 17  # of a response: how many of its header lines are kept in `lines`
R_LINES_AT = 18  # and from where on
R_CODINGS = 19  # content codings of a response: see below
R_CODED = 20  # how many of its coded bytes this block brought, in `coded`
R_CODED_AT = 21  # and from where on
R_PEER = 22  # what the packet of its first byte acknowledged of the other stream
R_AT = 23  # six text fields: where each stands in the text
R_LENGTH = R_AT + 6
ROW_WIDTH = R_LENGTH + 6

# Values of R_CODINGS: 0 none, NONE one that cannot be undone, or else digits to CODING_BASE, the coding applied last the lowest.
CODING_BASE = 8
CODINGS_FULL = CODING_BASE**3  # four are there: codings.MAX_CODINGS
GZIP_CODE = 1
DEFLATE_CODE = 2
BROTLI_CODE = 3
ZSTD_CODE = 4

LINES_KEPT = 32  # header lines of a response that are compared

# Text fields, in the order of tables.FIELDS.
T_METHOD = 0
T_TARGET = 1
T_HOST = 2
T_REQUEST_ID = 3
T_XFF = 4
T_CONTENT_TYPE = 5

# Columns of a row's hashes.
H_BODY = 0
H_METHOD = 1
H_TARGET = 2
H_HOST = 3
H_REQUEST_ID = 4
H_XFF = 5
H_TRACE = 6
H_SPAN = 7
H_PARENT = 8
H_HEADERS = 9
HASH_WIDTH = 10

# Counters.
C_ROWS = 0
C_TEXT = 1
C_NEWS = 2
C_UNANSWERED = 3
C_NEXT_ID = 4
C_FREE = 5  # a list of free nodes
C_NODES = 6  # nodes ever used
C_AGAIN = 7  # a request stream was released from HOLD
C_UNCONFIRMED = 8  # packets behind a gap that begin like a message, but nothing shows that one begins there
C_FULL = 9  # as many requests as may wait for a response were read, and more follow in this block
C_PENDING = 10  # requests that wait for a response, on all connections
C_OVERTAKEN = 11  # requests given up because too many waited for a response
C_ALONE = 12  # messages that were taken up though only their direction was captured
C_LINES = 13
C_CODED = 14
COUNTER_WIDTH = 15

# Columns of news: what a stream is, and a server name in the text.
NEWS_WIDTH = 6

# Limits (columns of the limits array), see parser.Options.
L_HEAD = 0
L_LINES = 1
L_FIELD = 2
L_TARGET = 3
L_PENDING = 4
L_WAIT = 5
L_CHUNK_LINE = 6
L_HELLO = 7
L_PENDING_TOTAL = 8

# Columns of packed runs and chunks.
RUN_OFFSET = 0
RUN_AT = 1
RUN_LENGTH = 2
RUN_REASON = 3
RUN_GAP = 4
CHUNK_OFFSET = 0
CHUNK_PEER = 1
CHUNK_TURN = 2

# Columns of an active connection: ranges of its runs and chunks for slots 2c and 2c + 1, its ends.
A_SLOT = 0
A_RUNS = 1  # three bounds
A_CHUNKS = 4  # three bounds
A_HOW = 7  # two
A_END = 9  # two
A_ALONE = 11  # two: it has ended, and no packet of the other direction was seen
ACTIVE_WIDTH = 13

# Facts as global integers, which kernels may read.
COMPLETE = int(Fact.COMPLETE)
HEAD_COMPLETE = int(Fact.HEAD_COMPLETE)
CHUNKED = int(Fact.CHUNKED)
CLOSE_DELIMITED = int(Fact.UNTIL_CLOSE)
NO_BODY = int(Fact.NO_BODY)
BODY_GAP = int(Fact.BODY_GAP)
CUT = int(Fact.CUT)
ABORTED = int(Fact.ABORTED)
MIDSTREAM = int(Fact.MIDSTREAM)
RESYNCED = int(Fact.RESYNCED)
INTERIM = int(Fact.INTERIM)
UPGRADED = int(Fact.UPGRADED)
HAS_TRAILERS = int(Fact.TRAILERS)
BARE_LF = int(Fact.BARE_LF)
FOLDED = int(Fact.FOLDED)
LENGTH_CONFLICT = int(Fact.LENGTH_CONFLICT)
HEAD_TOO_LONG = int(Fact.HEAD_TOO_LONG)
CLOSE = int(Fact.CLOSE)
BAD_CHUNK = int(Fact.BAD_CHUNK)
BAD_LINE = int(Fact.BAD_LINE)
UNCONFIRMED = int(Fact.UNCONFIRMED)


class Near(NamedTuple):
    """Rows of `chunks` that belong to a stream in this block (from low to high), and to the other direction; its end."""

    low: int
    high: int
    other_low: int
    other_high: int
    alone: int  # the stream has ended, and no packet of the other direction was seen


class Http(NamedTuple):
    """What the inner loops work on: one block's work, tables of names, state of streams and connections, and what they give."""

    active: I64
    runs: I64
    chunks: I64
    names: U8
    table: I64
    known: I64
    known_words: U64
    state: I64
    conns: I64
    pool: I64
    rows: I64
    hashes: U64
    lines: U64
    coded: U8
    text: U8
    lanes: U64
    tails: U8
    news: I64
    unanswered: I64
    overtaken: I64
    counters: I64
    limits: I64
    cell: U64
