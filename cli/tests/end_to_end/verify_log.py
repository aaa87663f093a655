"""Checks an audit log with libraries of third parties alone: the entries in the C2SP tiles of the
directory lead to the root in its checkpoint, which is signed with the key in audit.vkey. Further
arguments are verifier keys of witnesses, one of which at least must have cosigned."""

import base64
import hashlib
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pymerkle import InmemoryTree


def key(text, kind):
    name, key_id, encoded = text.strip().split("+", 2)
    public = base64.b64decode(encoded)
    assert public[0] == kind
    assert hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] == key_id
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(public[1:])


def signatures(lines, name, key_id):
    for line in lines.splitlines():
        dash, signer, encoded = line.split(" ")
        signature = base64.b64decode(encoded)
        if (dash, signer, signature[:4]) == ("\u2014", name, key_id):
            yield signature[4:]


def bundle_path(index, width):
    number = f"{index % 1000:03}"
    while index >= 1000:
        index //= 1000
        number = f"x{index % 1000:03}/{number}"
    return f"tile/entries/{number}" + (f".p/{width}" if width < 256 else "")


def entries(log, size):
    for first in range(0, size, 256):
        width = min(256, size - first)
        bundle = (log / bundle_path(first // 256, width)).read_bytes()
        for _ in range(width):
            (length,) = struct.unpack_from(">H", bundle)
            yield bundle[2 : 2 + length]
            bundle = bundle[2 + length :]
        assert not bundle


log = Path(sys.argv[1])
body, lines = (log / "checkpoint").read_text().split("\n\n")
body += "\n"
origin, size, root = body.splitlines()[:3]

name, key_id, public = key((log / "audit.vkey").read_text(), 1)
assert name == origin
own = list(signatures(lines, name, key_id))
assert own
for signature in own:
    public.verify(signature, body.encode())

tree = InmemoryTree(algorithm="sha256")
for entry in entries(log, int(size)):
    tree.append_entry(entry)
assert base64.b64encode(tree.get_root()).decode() == root, "the entries do not lead to the root"

cosigned = 0
for text in sys.argv[2:]:
    name, key_id, public = key(text, 4)
    for signature in signatures(lines, name, key_id):
        (time,) = struct.unpack_from(">Q", signature)
        public.verify(signature[8:], f"cosignature/v1\ntime {time}\n{body}".encode())
        cosigned += 1
assert cosigned or not sys.argv[2:], "no witness has cosigned"
print(f"{origin}: {size} entries, {cosigned} cosignatures")
