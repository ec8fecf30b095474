"""ChaCha20-Poly1305 (RFC 8439).

All blocks of a message are computed at once: one Python integer holds the
same word of every block, 64 bits apart, so that sums and rotations have room.
It is not in constant time.
"""

import hmac


class Forged(Exception):
    """The tag does not fit: wrong key, or altered bytes."""


def seal(key, nonce, plaintext, aad=b""):
    ciphertext = _xor(plaintext, _stream(key, nonce, 1, len(plaintext)))
    return ciphertext + _tag(key, nonce, ciphertext, aad)


def open(key, nonce, sealed, aad=b""):
    if len(sealed) < 16:
        raise Forged("shorter than a tag")
    ciphertext, tag = sealed[:-16], sealed[-16:]
    if not hmac.compare_digest(tag, _tag(key, nonce, ciphertext, aad)):
        raise Forged("the tag does not fit")
    return _xor(ciphertext, _stream(key, nonce, 1, len(ciphertext)))


def _words(b):
    return [int.from_bytes(b[i : i + 4], "little") for i in range(0, len(b), 4)]


def _stream(key, nonce, counter, length):
    """The key stream from block counter on, cut to length bytes."""
    n = -(-length // 64)
    ones = int.from_bytes(b"\1\0\0\0\0\0\0\0" * n, "little")
    mask = ones * 0xFFFFFFFF
    start = [w * ones for w in _words(b"expand 32-byte k" + key)]
    start.append(int.from_bytes(b"".join((counter + i).to_bytes(8, "little") for i in range(n)), "little"))
    start += [w * ones for w in _words(nonce)]
    x = list(start)

    def quarter(a, b, c, d):
        for p, q, r, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = (x[p] + x[q]) & mask
            x[r] ^= x[p]
            x[r] = (x[r] << bits | x[r] >> (32 - bits)) & mask

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)

    out = bytearray(64 * n)
    for w in range(16):
        lanes = ((x[w] + start[w]) & mask).to_bytes(8 * n, "little")
        for j in range(4):
            out[4 * w + j :: 64] = lanes[j::8]
    return bytes(out[:length])


def _xor(a, b):
    return (int.from_bytes(a, "little") ^ int.from_bytes(b, "little")).to_bytes(len(a), "little")


def _tag(key, nonce, ciphertext, aad):
    one_time = _stream(key, nonce, 0, 32)
    r = int.from_bytes(one_time[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    s = int.from_bytes(one_time[16:], "little")
    pad = lambda b: b + bytes(-len(b) % 16)
    message = pad(aad) + pad(ciphertext) + len(aad).to_bytes(8, "little") + len(ciphertext).to_bytes(8, "little")
    acc = 0
    for i in range(0, len(message), 16):
        acc = (acc + int.from_bytes(message[i : i + 16], "little") + (1 << 128)) * r % ((1 << 130) - 5)
    return ((acc + s) % (1 << 128)).to_bytes(16, "little")
