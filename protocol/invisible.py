"""Characters that nobody sees, or that turn the text around them. In a name they only deceive."""

import re
from typing import Final

# The Unicode categories Cf, Zl and Zp, and four letters without ink: the fillers of Hangul. This is a list, not a look
# into the interpreter's Unicode tables, so that gateways and clients with different tables agree on every name.
_RANGES: Final = (
    (0x00AD, 0x00AD),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x115F, 0x1160),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x206F),
    (0x3164, 0x3164),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF9, 0xFFFB),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0001, 0xE0001),
    (0xE0020, 0xE007F),
)

_INVISIBLE: Final = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _RANGES) + "]")


def first_invisible(text: str) -> str | None:
    """Return the first invisible or bidirectional control character of a text, as ``U+200B``. None if it has none."""
    if text.isascii():
        return None
    found = _INVISIBLE.search(text)
    return None if found is None else f"U+{ord(found[0]):04X}"
