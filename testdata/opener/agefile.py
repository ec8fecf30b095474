"""The age v1 file with mlkem768x25519 stanzas only: FORMAT.md, section 1."""

import base64
import hmac

import chacha
import xwing

CHUNK, TAG, STANZA, FIXED = 65536, 16, 1557, 86
MAX_STANZAS = 64
INTRO = b"age-encryption.org/v1\n"
START = b"-> mlkem768x25519 "
INFO = b"age-encryption.org/mlkem768x25519"


class Refused(Exception):
    """An object that a reader must not accept, and why."""


class NotReader(Refused):
    """None of the keys opens any stanza."""


def _base64_line(line, size):
    """The bytes of a line in the one base64 form that it may have."""
    try:
        b = base64.b64decode(line + b"=" * (-len(line) % 4), validate=True)
    except ValueError:
        raise Refused("the header has malformed base64") from None
    if len(b) != size or base64.b64encode(b).rstrip(b"=") != line:
        raise Refused("the header has malformed base64")
    return b


class Header:
    """What stands before the first chunk."""

    def __init__(self, data):
        if not data.startswith(INTRO):
            raise Refused("not an age v1 file")
        at, self.stanzas = len(INTRO), []
        while not data.startswith(b"---", at):
            stanza = data[at : at + STANZA]
            if not stanza.startswith(START):
                raise Refused("the header has a stanza of another type, or ends within one")
            if len(self.stanzas) == MAX_STANZAS:
                raise Refused(f"the header has more than {MAX_STANZAS} stanzas")
            lines = stanza[len(START) :].split(b"\n")
            if len(lines) != 3 or lines[2] != b"":
                raise Refused("a stanza is malformed")
            self.stanzas.append((_base64_line(lines[0], xwing.ENC_SIZE), _base64_line(lines[1], 32)))
            at += STANZA
        if not self.stanzas:
            raise Refused("the header has no stanza")
        self.signed = data[: at + 3]
        if data[at + 3 : at + 4] != b" " or data[at + 47 : at + 48] != b"\n":
            raise Refused("the header's last line is malformed")
        self.mac = _base64_line(data[at + 4 : at + 47], 32)
        self.nonce = data[at + 48 : at + 64]
        self.size = FIXED + STANZA * len(self.stanzas)
        if len(self.nonce) != 16 or at + 64 != self.size:
            raise Refused("the file ends within its header")
        if any(xwing.low_order(enc[-32:]) for enc, _ in self.stanzas):
            raise Refused("a stanza has an X25519 share of low order")

    def plain_size(self, file_size):
        """The length P of the plaintext in a file of this size."""
        body = file_size - self.size
        chunks = -(-body // (CHUNK + TAG))
        if chunks < 1 or body - (chunks - 1) * (CHUNK + TAG) < TAG:
            raise Refused("no file has this size: it was cut or added to")
        return body - TAG * chunks


def decrypt(data, header, keys):
    """The plaintext, all of it checked."""
    key = _file_key(header, keys)
    mac_key = _hkdf(key, b"", b"header")
    if not hmac.compare_digest(hmac.digest(mac_key, header.signed, "sha256"), header.mac):
        raise Refused("the MAC of the header does not fit")
    header.plain_size(len(data))
    payload_key = _hkdf(key, header.nonce, b"payload")
    out = []
    for i, at in enumerate(range(header.size, len(data), CHUNK + TAG)):
        chunk = data[at : at + CHUNK + TAG]
        last = at + len(chunk) == len(data)
        try:
            out.append(chacha.open(payload_key, i.to_bytes(11, "big") + bytes([last]), chunk))
        except chacha.Forged:
            raise Refused(f"chunk {i} was altered, or is not the last") from None
    return b"".join(out)


def _file_key(header, keys):
    for key in keys:
        for enc, body in header.stanzas:
            try:
                file_key = hpke_open(key, enc, INFO, b"", body)
            except chacha.Forged:
                continue  # someone else's, or a dummy
            return file_key
    raise NotReader("none of the keys is a reader of this object")


# ---- HPKE, RFC 9180: base mode, X-Wing, HKDF-SHA256, ChaCha20-Poly1305.

_SUITE = b"HPKE" + bytes.fromhex("647a00010003")


def hpke_open(key, enc, info, aad, ciphertext, sequence=0):
    aead_key, base_nonce = _key_schedule(key.decapsulate(enc), info)
    nonce = int.from_bytes(base_nonce, "big") ^ sequence
    return chacha.open(aead_key, nonce.to_bytes(12, "big"), ciphertext, aad)


def _key_schedule(shared_secret, info):
    def extract(salt, label, ikm):
        return hmac.digest(salt, b"HPKE-v1" + _SUITE + label + ikm, "sha256")

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared_secret, b"secret", b"")

    def expand(label, size):
        return _expand(secret, size.to_bytes(2, "big") + b"HPKE-v1" + _SUITE + label + context, size)

    return expand(b"key", 32), expand(b"base_nonce", 12)


def _expand(key, info, size):
    return hmac.digest(key, info + b"\1", "sha256")[:size]  # 32 bytes at most


def _hkdf(key, salt, info):
    return _expand(hmac.digest(salt, key, "sha256"), info, 32)


# ---- Key files: lines of Bech32 (BIP 173, without its limit of length).

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
PREFIX = "AGE-SECRET-KEY-PQ-1"


def read_keys(path):
    """The secret keys in a file of age-keygen -pq."""
    with open(path, encoding="ascii") as f:
        return parse_keys(f.read().split("\n"), path)


def parse_keys(lines, path):
    keys = []
    for number, line in enumerate(lines, 1):
        if line == "" or line.startswith("#"):
            continue
        if not line.startswith(PREFIX):
            raise ValueError(f"{path}:{number}: expected {PREFIX}… in upper case")
        keys.append(xwing.PrivateKey(_bech32_seed(line, f"{path}:{number}")))
    if not keys:
        raise ValueError(f"{path}: no secret key in it")
    return keys


def _bech32_seed(text, where):
    prefix, data = text[: len(PREFIX) - 1].lower(), text[len(PREFIX) :].lower()
    if text != text.upper() or any(c not in _CHARSET for c in data):
        raise ValueError(f"{where}: not Bech32 in upper case")
    values = [_CHARSET.index(c) for c in data]
    check = 1
    for v in [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ v
        for i, g in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= g if top >> i & 1 else 0
    bits = "".join(f"{v:05b}" for v in values[:-6])
    if check != 1 or len(bits) != 260 or bits[256:] != "0000":
        raise ValueError(f"{where}: a character of the key is wrong")
    return int(bits[:256], 2).to_bytes(32, "big")
