"""The record at the end of a sealed object: FORMAT.md, section 2."""

import re

SIZE = 1024


class Malformed(Exception):
    """Bytes that are not the one form of a record."""


def parse(b):
    """The lines of a record by their keys, values as they stand there."""
    if len(b) != SIZE or not b.startswith(b"roadseal/"):
        raise Malformed("no record")
    if not b.startswith(b"roadseal/1\n"):
        raise Malformed("a record of another version")
    if not b.endswith(b"\n"):
        raise Malformed("the last line has no end")
    fields, keys = {}, list(_FIELDS)
    for line in b.rstrip(b"\n").split(b"\n")[1:]:
        key, colon, value = line.partition(b": ")
        key = key.decode("ascii", "replace")
        if not colon or key not in keys:
            raise Malformed("a line that is no `key: value`, unknown, there twice or out of order")
        keys = keys[keys.index(key) + 1 :]
        valid, _ = _FIELDS[key]
        if not valid(value):
            raise Malformed(f"{key}: not a value that it may have")
        fields[key] = value.decode("utf-8")
    for key, (_, required) in _FIELDS.items():
        if required and key not in fields:
            raise Malformed(f"{key}: missing")
    return fields


# ---- Values. Each function says whether bytes are the one form of a value.


def _number(below):
    return lambda b: re.fullmatch(rb"0|[1-9][0-9]*", b) is not None and int(b) < below


def _time(b):
    """RFC 3339 in UTC; no leap second, and not the instant that stands for unknown."""
    m = re.fullmatch(rb"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{3}Z", b)
    if not m or b == b"0001-01-01T00:00:00.000Z":
        return False
    year, month, day, hour, minute, second = (int(g) for g in m.groups())
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    return 1 <= month <= 12 and 1 <= day <= days[month - 1] and hour < 24 and minute < 60 and second < 60


def _media_type(b):
    return re.fullmatch(rb"[ -$&-~]{1,64}", b) is not None and b"/" in b


def _word(b):
    return re.fullmatch(rb"[a-z0-9-]{1,24}", b) is not None


def _flags(b):
    words = b.split(b" ")
    cut = sum(w.endswith(b"-truncated") for w in words)
    return all(map(_word, words)) and len(set(words)) == len(words) and cut <= 6 and len(words) - cut <= 6


def _nonce(b):
    return re.fullmatch(rb"[0-9a-f]{32}", b) is not None


def _text(limit):
    return lambda b: 0 < len(b) <= limit and _escape(_unescape(b)) == b


def _unescape(b):
    return re.sub(rb"%([0-9A-F]{2})", lambda m: bytes([int(m[1], 16)]), b)


def _escape(b):
    out, at = b"", 0
    while at < len(b):
        c = _character(b, at)
        if c is None or _escaped(ord(c)):
            n = len(c.encode()) if c else 1
            out += b"".join(b"%%%02X" % v for v in b[at : at + n])
        else:
            n = len(c.encode())
            out += b[at : at + n]
        at += n
    return out


def _character(b, at):
    """The well-formed UTF-8 character at this place, if there is one."""
    for n in range(1, 5):
        try:
            return b[at : at + n].decode("utf-8")
        except UnicodeDecodeError:
            pass
    return None


def _escaped(c):
    ranges = ((0, 0x1F), (0x7F, 0x9F), (0x25, 0x25), (0x61C, 0x61C), (0x200E, 0x200F), (0x2028, 0x202E), (0x2066, 0x2069), (0xFEFF, 0xFEFF))
    return any(low <= c <= high for low, high in ranges)


_FIELDS = {  # key: value, never absent
    "length": (_number(1 << 63), True),
    "media-type": (_media_type, True),
    "stream": (_text(64), True),
    "kind": (_text(64), False),
    "source": (_text(64), True),
    "channel": (_text(64), False),
    "vehicle": (_text(64), False),
    "start": (_time, False),
    "end": (_time, False),
    "clock": (_word, True),
    "boot": (_number(1 << 32), True),
    "sequence": (_number(1 << 32), True),
    "flags": (_flags, False),
    "file": (_text(SIZE), False),
    "nonce": (_nonce, True),
}
