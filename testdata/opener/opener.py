#!/usr/bin/env python3
"""Opens sealed objects without roadseal, as FORMAT.md says.

With --age the stock age command decrypts; without it nothing but Python's
standard library is needed. Everything that FORMAT.md tells a reader to refuse
is refused. For each object one line of JSON is printed: its name, its record,
and the SHA-256 of the content, or "refused" and why, and whether all that is
wrong is that the keys are not those of a reader. Exit status 1: one was refused.
Each object is held in memory.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys

import agefile
import record
from agefile import NotReader, Refused


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--identity", required=True, metavar="FILE", help="key file, as age-keygen -pq makes it")
    p.add_argument("--age", metavar="COMMAND", help="decrypt with this age command, 1.3 or newer")
    p.add_argument("--out", metavar="DIR", help="write each content to DIR/NAME, once all of it was checked")
    p.add_argument("--stanzas", type=int, metavar="S", help="refuse objects that do not have exactly S stanzas")
    p.add_argument("object", nargs="+")
    args = p.parse_args()
    try:
        keys = agefile.read_keys(args.identity)
    except (OSError, ValueError) as e:
        p.error(str(e))
    failed = False
    for path in args.object:
        result = {"object": path}
        try:
            with open(path, "rb") as f:
                data = f.read()
            result["name"] = hashlib.sha256(data).hexdigest()
            content = open_object(data, path, keys, args, result)
            if args.out:
                with open(os.path.join(args.out, result["name"]), "xb") as f:
                    f.write(content)
        except (OSError, Refused, record.Malformed) as e:
            result["refused"] = str(e)
            result["stranger"] = isinstance(e, NotReader)
            failed = True
        print(json.dumps(result), flush=True)
    sys.exit(1 if failed else 0)


def open_object(data, path, keys, args, result):
    """Checks an object to its end and returns its content."""
    header = agefile.Header(data)
    if args.stanzas not in (None, len(header.stanzas)):
        raise Refused(f"{len(header.stanzas)} stanzas, expected {args.stanzas}")
    if args.age:
        plain = stock_age(args.age, args.identity, path)
    else:
        plain = agefile.decrypt(data, header, keys)
    if len(plain) != header.plain_size(len(data)):
        raise Refused("the file's size is not that of its plaintext")
    if len(plain) < record.SIZE:
        raise Refused("no record: the plaintext is too short")
    fields = record.parse(plain[-record.SIZE :])
    if padme(len(plain)) != len(plain):
        raise Refused("the length of the plaintext is not on the grid")
    length = int(fields["length"])
    if length > len(plain) - record.SIZE:
        raise Refused("the length does not fit into the plaintext")
    if plain[length : -record.SIZE].strip(b"\0"):
        raise Refused("the padding is not zero")
    content = plain[:length]
    result.update(stanzas=len(header.stanzas), record=fields, content_sha256=hashlib.sha256(content).hexdigest())
    if content.startswith(TRACK[0][:17]):
        result["track"] = check_track(content, fields)
    return content


def stock_age(command, identity, path):
    done = subprocess.run([command, "-d", "-i", identity, path], capture_output=True, check=False)
    if done.returncode == 0:
        return done.stdout
    why = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
    raise (NotReader if "no identity matched" in why else Refused)(why)


def padme(n):
    """The next length on the grid: section 1.3."""
    if n < 2:
        return n
    e = n.bit_length() - 1
    unit = 1 << max(0, e - e.bit_length())  # bit_length(e) is ⌊log₂ e⌋ + 1
    return -(-n // unit) * unit


# ---- Track documents: package agent/track.

TRACK = (
    b"# roadseal-track/1",
    b"# boot ",
    b"# sequence ",
    b"# columns: mono_s,utc,clock,lat_deg,lon_deg,alt_m,speed_mps,course_deg,quality,satellites,hdop,accuracy_m,marks",
    b"# units: seconds since the agent's start; UTC as said by clock; degrees WGS 84; metres above the geoid; degrees from true north",
)


def check_track(content, fields):
    """Checks the header of a track document and counts its fixes."""
    lines = content.split(b"\n")
    boot, sequence = (fields[k].encode() for k in ("boot", "sequence"))
    want = [TRACK[0], TRACK[1] + boot, TRACK[2] + sequence, *TRACK[3:]]
    if lines[: len(want)] != want or lines[-1] != b"":
        raise Refused("the header of the track document is not that of its record and version")
    fixes = lines[len(want) : -1]
    if any(line.count(b",") != TRACK[3].count(b",") for line in fixes):
        raise Refused("a line of the track document has another number of columns")
    return {"boot": int(boot), "sequence": int(sequence), "fixes": len(fixes)}


if __name__ == "__main__":
    main()
