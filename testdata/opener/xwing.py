"""X-Wing (draft-connolly-cfrg-xwing-kem): ML-KEM-768 (FIPS 203) and X25519
(RFC 7748) in one key encapsulation. It is not in constant time.
"""

import hmac
from hashlib import sha3_256, sha3_512, shake_128, shake_256

Q, K = 3329, 3
ETA = 2
DU, DV = 10, 4
EK_SIZE, CT_SIZE = 1184, 1088
PUBLIC_SIZE, ENC_SIZE, SEED_SIZE = EK_SIZE + 32, CT_SIZE + 32, 32


class Malformed(Exception):
    """A key or ciphertext that the specifications tell to refuse."""


# ---- ML-KEM-768: FIPS 203; names of algorithms in its order.


def _bitrev(i):
    return int(f"{i:07b}"[::-1], 2)


_ZETAS = [pow(17, _bitrev(i), Q) for i in range(128)]
_GAMMAS = [pow(17, 2 * _bitrev(i) + 1, Q) for i in range(128)]


def _byte_encode(f, d):
    n = 0
    for c in reversed(f):
        n = n << d | c
    return n.to_bytes(32 * d, "little")


def _byte_decode(b, d):
    n, mask = int.from_bytes(b, "little"), (1 << d) - 1
    return [n >> (d * i) & mask for i in range(256)]


def _compress(f, d):
    return [((c << (d + 1)) + Q) // (2 * Q) % (1 << d) for c in f]


def _decompress(f, d):
    return [(c * Q * 2 + (1 << d)) >> (d + 1) for c in f]


def _sample_ntt(seed):
    stream, f = shake_128(seed).digest(1344), []
    for i in range(0, len(stream), 3):
        a, b, c = stream[i : i + 3]
        for v in (a + 256 * (b % 16), b // 16 + 16 * c):
            if v < Q and len(f) < 256:
                f.append(v)
    if len(f) < 256:
        raise Malformed("a seed that no one has: SampleNTT needs more than 1,344 bytes")
    return f


def _sample_cbd(seed, n):
    bits = int.from_bytes(shake_256(seed + bytes([n])).digest(64 * ETA), "little")
    pair = lambda i: (bits >> i & 1) + (bits >> (i + 1) & 1)
    return [(pair(4 * i) - pair(4 * i + 2)) % Q for i in range(256)]


def _ntt(f):
    f, i, length = list(f), 1, 128
    while length >= 2:
        for start in range(0, 256, 2 * length):
            zeta, i = _ZETAS[i], i + 1
            for j in range(start, start + length):
                t = zeta * f[j + length] % Q
                f[j + length], f[j] = (f[j] - t) % Q, (f[j] + t) % Q
        length //= 2
    return f


def _inverse_ntt(f):
    f, i, length = list(f), 127, 2
    while length <= 128:
        for start in range(0, 256, 2 * length):
            zeta, i = _ZETAS[i], i - 1
            for j in range(start, start + length):
                t = f[j]
                f[j], f[j + length] = (t + f[j + length]) % Q, zeta * (f[j + length] - t) % Q
        length *= 2
    return [c * 3303 % Q for c in f]


def _multiply(f, g):
    h = []
    for i, gamma in enumerate(_GAMMAS):
        a, b, c, d = f[2 * i], f[2 * i + 1], g[2 * i], g[2 * i + 1]
        h += [(a * c + b * d * gamma) % Q, (a * d + b * c) % Q]
    return h


def _add(*polynomials):
    return [sum(c) % Q for c in zip(*polynomials)]


def _dot(a, b):
    return _add(*(_multiply(f, g) for f, g in zip(a, b)))


def _pke_encrypt(ek, m, r):
    t = [_byte_decode(ek[384 * i : 384 * i + 384], 12) for i in range(K)]
    rho = ek[384 * K :]
    y = [_ntt(_sample_cbd(r, i)) for i in range(K)]
    c = b""
    for i in range(K):
        column = [_sample_ntt(rho + bytes([i, j])) for j in range(K)]  # the transpose
        u = _add(_inverse_ntt(_dot(column, y)), _sample_cbd(r, K + i))
        c += _byte_encode(_compress(u, DU), DU)
    v = _add(_inverse_ntt(_dot(t, y)), _sample_cbd(r, 2 * K), _decompress(_byte_decode(m, 1), 1))
    return c + _byte_encode(_compress(v, DV), DV)


def mlkem_keygen(d, z):
    """ML-KEM.KeyGen_internal: the encapsulation key, and what decapsulation needs."""
    g = sha3_512(d + bytes([K])).digest()
    rho, sigma = g[:32], g[32:]
    s = [_ntt(_sample_cbd(sigma, i)) for i in range(K)]
    ek = b""
    for i in range(K):
        row = [_sample_ntt(rho + bytes([j, i])) for j in range(K)]
        ek += _byte_encode(_add(_dot(row, s), _ntt(_sample_cbd(sigma, K + i))), 12)
    ek += rho
    return ek, (s, ek, z)


def mlkem_encaps(ek, m):
    """ML-KEM.Encaps_internal with the checks of section 7.2: shared key, ciphertext."""
    if len(ek) != EK_SIZE:
        raise Malformed("an ML-KEM-768 key of another length")
    if any(c >= Q for i in range(K) for c in _byte_decode(ek[384 * i : 384 * i + 384], 12)):
        raise Malformed("an ML-KEM-768 key that is not reduced")
    g = sha3_512(m + sha3_256(ek).digest()).digest()
    return g[:32], _pke_encrypt(ek, m, g[32:])


def mlkem_decaps(key, c):
    """ML-KEM.Decaps_internal: a foreign ciphertext gives a random key, no error."""
    if len(c) != CT_SIZE:
        raise Malformed("an ML-KEM-768 ciphertext of another length")
    s, ek, z = key
    u = [_decompress(_byte_decode(c[320 * i : 320 * i + 320], DU), DU) for i in range(K)]
    v = _decompress(_byte_decode(c[320 * K :], DV), DV)
    w = [(a - b) % Q for a, b in zip(v, _inverse_ntt(_dot(s, [_ntt(f) for f in u])))]
    m = _byte_encode(_compress(w, 1), 1)
    g = sha3_512(m + sha3_256(ek).digest()).digest()
    if hmac.compare_digest(_pke_encrypt(ek, m, g[32:]), c):
        return g[:32]
    return shake_256(z + c).digest(32)


# ---- X25519: RFC 7748, section 5.

_P = 2**255 - 19


def x25519(scalar, u):
    """The shared secret; 32 zero bytes for a point of low order."""
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = (int.from_bytes(u, "little") & (1 << 255) - 1) % _P
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in range(254, -1, -1):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a % _P, b * b % _P, d * a % _P, c * b % _P
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % _P, x1 * (da - cb) ** 2 % _P
        x2, z2 = aa * bb % _P, e * (aa + 121665 * e) % _P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, _P - 2, _P) % _P).to_bytes(32, "little")


BASE = bytes([9]) + bytes(31)


def low_order(u):
    return x25519(BASE, u) == bytes(32)  # clamped, any scalar is a multiple of 8


# ---- X-Wing: both secrets, and what binds the X25519 half, in one hash.


def _combine(ss_m, ss_x, ct_x, pk_x):
    return sha3_256(ss_m + ss_x + ct_x + pk_x + rb"\.//^" + b"\\").digest()


class PrivateKey:
    def __init__(self, seed):
        if len(seed) != SEED_SIZE:
            raise Malformed("an X-Wing seed of another length")
        full = shake_256(seed).digest(96)
        ek, self._mlkem = mlkem_keygen(full[:32], full[32:64])
        self._x = full[64:]
        self._public_x = x25519(self._x, BASE)
        self.public = ek + self._public_x

    def decapsulate(self, enc):
        ct_m, ct_x = enc[:CT_SIZE], enc[CT_SIZE:]
        if len(ct_x) != 32 or low_order(ct_x):
            raise Malformed("an X25519 share of low order")
        return _combine(mlkem_decaps(self._mlkem, ct_m), x25519(self._x, ct_x), ct_x, self._public_x)


def encapsulate(public, seed):
    """Shared secret and encapsulation; the 64 random bytes are given."""
    ek, pk_x = public[:EK_SIZE], public[EK_SIZE:]
    if len(pk_x) != 32 or low_order(pk_x):
        raise Malformed("an X25519 key of low order")
    ss_m, ct_m = mlkem_encaps(ek, seed[:32])
    ct_x = x25519(seed[32:], BASE)
    return _combine(ss_m, x25519(seed[32:], pk_x), ct_x, pk_x), ct_m + ct_x
