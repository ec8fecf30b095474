#!/usr/bin/env python3
"""Runs the opener's primitives over published vectors and counts them.

    vectors.py WYCHEPROOF CCTV HPKE

The arguments are the folders testvectors_v1 of C2SP Wycheproof and testdata of
C2SP CCTV age, and the file crypto/hpke/testdata/hpke-pq.json of Go 1.26. The
vectors of draft-connolly-cfrg-xwing-kem are generated, as the draft does it:
only their hash is in here.
"""

import hashlib
import json
import os
import sys
import zlib

import agefile
import chacha
import xwing


def main():
    wycheproof, cctv, hpke = sys.argv[1:]
    counts = {
        "chacha20-poly1305": sum(map(aead, tests(wycheproof, "chacha20_poly1305_test"))),
        "x25519": sum(map(exchange, tests(wycheproof, "x25519_test"))),
        "ml-kem keygen": sum(map(keygen, tests(wycheproof, "mlkem_768_keygen_seed_test"))),
        "ml-kem encaps": sum(map(encaps, tests(wycheproof, "mlkem_768_encaps_test"))),
        "ml-kem decaps": sum(map(decaps, tests(wycheproof, "mlkem_768_test"))),
        "x-wing": draft_xwing(),
        "hpke": hpke_messages(hpke),
        "age": sum(age_file(os.path.join(cctv, name)) for name in sorted(os.listdir(cctv))),
    }
    print(json.dumps(counts))


def check(truth, what):
    if not truth:
        sys.exit(f"wrong: {what}")


def tests(folder, name):
    """The tests of a Wycheproof file, hexadecimal values as bytes."""
    with open(os.path.join(folder, name + ".json"), encoding="utf-8") as f:
        groups = json.load(f)["testGroups"]
    for test in (t for g in groups for t in g["tests"]):
        for k, v in test.items():
            if isinstance(v, str) and k not in ("comment", "result"):
                test[k] = bytes.fromhex(v)
        yield test


def outcome(test, got):
    """Whether a test went as it should; got raises for what is to be refused."""
    try:
        ok = got()
    except (xwing.Malformed, chacha.Forged):
        check(test["result"] == "invalid", test)
        return 1
    check(ok and test["result"] != "invalid", test)
    return 1


def aead(t):
    if len(t["iv"]) != 12:
        return 0  # the age file has no other nonces

    def run():
        sealed = t["ct"] + t["tag"]
        return chacha.open(t["key"], t["iv"], sealed, t["aad"]) == t["msg"] and chacha.seal(t["key"], t["iv"], t["msg"], t["aad"]) == sealed

    return outcome(t, run)


def exchange(t):
    check(xwing.x25519(t["private"], t["public"]) == t["shared"], t)
    check(xwing.low_order(t["public"]) == (t["shared"] == bytes(32)), t)
    return 1


def keygen(t):
    return outcome(t, lambda: xwing.mlkem_keygen(t["seed"][:32], t["seed"][32:])[0] == t["ek"])


def encaps(t):
    return outcome(t, lambda: xwing.mlkem_encaps(t["ek"], t["m"]) == (t["K"], t["c"]))


def decaps(t):
    if len(t["seed"]) != 64:
        return 0  # a seed of X-Wing always gives one of 64 bytes
    ek, key = xwing.mlkem_keygen(t["seed"][:32], t["seed"][32:])
    return outcome(t, lambda: xwing.mlkem_decaps(key, t["c"]) == t["K"] and ek == t.get("ek", ek))


def draft_xwing():
    """spec/test-vectors.txt of the draft, made again, and its hash."""
    random, text, n = hashlib.shake_128(b"").digest(3 * 96), b"", 0
    for n in range(3):
        seed, eseed = random[96 * n : 96 * n + 32], random[96 * n + 32 : 96 * n + 96]
        key = xwing.PrivateKey(seed)
        ss, ct = xwing.encapsulate(key.public, eseed)
        check(key.decapsulate(ct) == ss, "X-Wing decapsulation")
        for name, value in (("seed", seed), ("sk", seed), ("pk", key.public), ("eseed", eseed), ("ct", ct), ("ss", ss)):
            text += wrapped(name, value.hex())
        text += b"\n"
    check(hashlib.shake_128(text).hexdigest(32) == "1bcd0057d861d6b866239936cadcaeee1ec0164dedc181c386e9e54fe46156fe", "X-Wing draft")
    return n + 1


def wrapped(name, digits):
    """A value as the draft prints it: 74 columns wide, indented by two."""
    if len(name) + len(digits) + 5 < 74:
        return f"{name}     {digits}\n".encode()
    return (name + "\n" + "".join(f"  {digits[i : i + 72]}\n" for i in range(0, len(digits), 72))).encode()


def hpke_messages(path):
    n = 0
    with open(path, encoding="utf-8") as f:
        vectors = [v for v in json.load(f) if (v["mode"], v["kem_id"], v["kdf_id"], v["aead_id"]) == (0, 0x647A, 1, 3)]
    for v in vectors:
        key = xwing.PrivateKey(bytes.fromhex(v["skRm"]))
        check(key.public.hex() == v["pkRm"], "HPKE public key")
        for i, m in enumerate(v["encryptions"]):
            enc, info, aad, ct = (bytes.fromhex(h) for h in (v["enc"], v["info"], m["aad"], m["ct"]))
            check(agefile.hpke_open(key, enc, info, aad, ct, i).hex() == m["pt"], f"HPKE message {i}")
            n += 1
    return n


# Files that age opens and FORMAT.md refuses: two have a stanza of another type;
# armored ones are refused as well.
BY_POLICY = ("hybrid_and_x25519", "hybrid_grease")


def age_file(path):
    """One vector of CCTV, if it is for a post-quantum identity."""
    with open(path, "rb") as f:
        head, _, body = f.read().partition(b"\n\n")
    lines = [line.split(": ", 1) for line in head.decode().split("\n")]
    values, ids = dict(lines), [v for k, v in lines if k == "identity"]
    if not any(i.startswith(agefile.PREFIX) for i in ids):
        return 0
    data = zlib.decompress(body) if "compressed" in values else body
    keys = agefile.parse_keys([i for i in ids if i.startswith(agefile.PREFIX)], path)
    try:
        plain = agefile.decrypt(data, agefile.Header(data), keys)
    except agefile.Refused:
        check(values["expect"] != "success" or "armored" in values or os.path.basename(path) in BY_POLICY, path)
        return 1
    check(values["expect"] == "success" and hashlib.sha256(plain).hexdigest() == values["payload"], path)
    return 1


if __name__ == "__main__":
    main()
