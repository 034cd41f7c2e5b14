"""The limits of version 1 of the protocol.

Sizes are in bytes of UTF-8, lengths in characters (code points) or items, times in seconds. Limits that an operator may
configure appear here with their defaults.
"""

from typing import Final

SUBPROTOCOL: Final = "trio-sfu.v1"
PATH: Final = "/ws"

# Limits of one frame.
MAX_REQUEST_BYTES: Final = 256 * 1024
MAX_REQUEST_DEPTH: Final = 32
# A snapshot of a full channel is larger than any request, and nests the clients' values two levels deeper.
MAX_GATEWAY_MESSAGE_BYTES: Final = 16 * 1024 * 1024
MAX_GATEWAY_MESSAGE_DEPTH: Final = 64
# The largest integer that every JSON reader, also a browser, reads exactly (RFC 8259 section 6).
MAX_REQUEST_ID: Final = 2**53 - 1

# Limits of fields.
MAX_ID_CHARACTERS: Final = 128
# The secret of a session has at least 128 random bits, in base64url.
MIN_SECRET_CHARACTERS: Final = 22
MAX_USERNAME_CHARACTERS: Final = 64
# A letter may come as up to four code points, which decoding composes (NFC).
MAX_DECOMPOSED_USERNAME_CHARACTERS: Final = 4 * MAX_USERNAME_CHARACTERS
MAX_TOKEN_CHARACTERS: Final = 8192
MAX_METADATA_BYTES: Final = 4 * 1024
MAX_MESSAGE_BYTES: Final = 16 * 1024
MAX_RECIPIENTS: Final = 1024
# The channels that one ``watch`` may name.
MAX_WATCHED_CHANNELS: Final = 100
# The producers that one ``consume_many`` may name. The answer has up to 1 KB for each.
MAX_CONSUMED_AT_ONCE: Final = 32
MAX_LAYER: Final = 255
MAX_PRIORITY: Final = 255
# The longest time for which a moderator's decision outlives its cause: a month.
MAX_MODERATION_SECONDS: Final = 30 * 24 * 3600
# The largest limit of members that a moderator may set.
MAX_MEMBERS_LIMIT: Final = 1_000_000

# Limits of media objects.
MAX_CODECS: Final = 128
MAX_HEADER_EXTENSIONS: Final = 64
MAX_ENCODINGS: Final = 8
MAX_RTCP_FEEDBACK: Final = 32
MAX_CODEC_PARAMETERS: Final = 64
MAX_CODEC_PARAMETER_CHARACTERS: Final = 1024
MAX_FINGERPRINTS: Final = 16
MIN_UFRAG_CHARACTERS: Final = 4
MIN_ICE_PASSWORD_CHARACTERS: Final = 22
MAX_ICE_CHARACTERS: Final = 256
MAX_SHORT_TEXT_CHARACTERS: Final = 256

# ``voice_state`` carries the whole list of a channel with up to this many members.
MAX_LISTED_PARTICIPANTS: Final = 100
# ``voice_state`` leaves the list out while more bytes than this wait for a client. Otherwise lists would soon fill the
# outbox.
LISTED_BACKLOG: Final = 65536

# The gateway keeps this many bytes of answers and events of a session until the client acknowledges them.
MAX_UNACKNOWLEDGED_BYTES: Final = 256 * 1024
# A client acknowledges them after this many bytes, and at least after this many seconds. An acknowledgement costs the
# gateway as much as any request.
ACKNOWLEDGE_BYTES: Final = 128 * 1024
ACKNOWLEDGE_SECONDS: Final = 10.0
# A ``voice_state`` counts only this, and its ``participant``, because it is kept without the list, which has 30 KB in a
# channel of 100. Otherwise every few changes would cause an acknowledgement of every member.
VOICE_STATE_BYTES: Final = 1024

# The number of bad messages that a connection survives, and the time in which they count.
ERROR_BUDGET: Final = 20
ERROR_BUDGET_WINDOW: Final = 10.0

PING_INTERVAL: Final = 5.0
PONG_TIMEOUT: Final = 4.5
# Seconds from the last traffic on a WebSocket for which media alone keeps the client.
MEDIA_GRACE: Final = 20.0
JOIN_TIMEOUT: Final = 10.0
SESSION_CLEANUP_TIMEOUT: Final = 5.0
GOODBYE_TIMEOUT: Final = 1.0
# The close code 1012 asks a client to come back after a time between these, chosen at random, in milliseconds. So not
# everybody comes in the same moment, and the successor has begun to listen.
LEAST_RESTART_WAIT_MS: Final = 250
MOST_RESTART_WAIT_MS: Final = 1000
