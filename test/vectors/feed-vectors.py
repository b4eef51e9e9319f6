#!/usr/bin/env python3
"""Writes feeds.json, from the words of key_set.proto alone: another way than the code, so that neither can be wrong unseen."""

import hashlib
import json
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
import base64


def sha(data):
    return hashlib.sha256(data).digest()


def sized(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">H", len(data)) + data


def content_hash(items):
    rest = b""
    if "signingKeys" in items:
        rest += b"\x01" + struct.pack(">I", len(items["signingKeys"]))
        for key in items["signingKeys"]:
            rest += sized(key["kid"]) + sized(key["state"]) + sized(key["publicJwk"])
    if "tenantDisabled" in items:
        rest += b"\x02" + (b"\x01" if items["tenantDisabled"] else b"\x00")
    if "issuedBeforeMs" in items:
        rest += b"\x03" + struct.pack(">Q", items["issuedBeforeMs"])
    if "audienceKeys" in items:
        rest += b"\x04" + struct.pack(">I", len(items["audienceKeys"]))
        for key in items["audienceKeys"]:
            rest += sized(key["audience"]) + sized(key["masterId"]) + struct.pack(">Q", key["generation"])
            rest += sized(bytes.fromhex(key["key"]))
            rest += (b"\x01" if "endTimeMs" in key else b"\x00") + struct.pack(">Q", key.get("endTimeMs", 0))
    if items.get("imported"):
        rest += b"\x05"
    columns = [
        bytes.fromhex(items.get("markedKeys", "")),
        b"".join(struct.pack(">I", mark) for mark in items.get("marks", [])),
        bytes.fromhex(items.get("revokedTokens", "")),
        bytes.fromhex(items.get("forgottenTokens", "")),
        bytes.fromhex(items.get("changedKeys", "")),
        rest,
    ]
    return sha(b"".join(sha(column) for column in columns))


def statement(said, content):
    kind = {"snapshot": 1, "delta": 2, "heartbeat": 3}[said["kind"]]
    names = b"".join(sized(said[name]) for name in ("issuer", "tenantId", "feed", "storeEpoch"))
    return (
        b"ichor/v1/feed\x00"
        + bytes([kind])
        + names
        + struct.pack(">QQ", int(said["prevRevision"]), int(said["revision"]))
        + bytes.fromhex(said["hash"])
        + bytes.fromhex(said["digest"])
        + struct.pack(">Q", said["asOfMs"])
        + content
    )


def raw_public(key):
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def thumbprint(key):
    x = base64.urlsafe_b64encode(raw_public(key)).rstrip(b"=").decode()
    return base64.urlsafe_b64encode(sha(f'{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}'.encode())).rstrip(b"=").decode()


def ids(*bytes_):
    return "".join(f"{byte:02x}" * 16 for byte in bytes_)


first = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
second = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))
place = {
    "issuer": "https://keys.example",
    "tenantId": "ten_00000000000000000000000001",
    "feed": "public",
    "storeEpoch": "00112233445566778899aabbccddeeff",
    "prevRevision": "0",
    "revision": "9007199254740993",
    "hash": "11" * 32,
    "digest": "22" * 32,
    "asOfMs": 1790000000123,
}
all_items = {
    "markedKeys": ids(1, 2, 3),
    "marks": [1, 0x80000000, 0xFFFFFFFF],
    "revokedTokens": ids(4, 5),
    "forgottenTokens": ids(6),
    "changedKeys": ids(1, 7),
    "signingKeys": [
        {"kid": "kid-1", "state": "ACTIVE", "publicJwk": '{"alg":"EdDSA","crv":"Ed25519","kid":"kid-1","kty":"OKP","x":"é"}'},
        {"kid": "kid-2", "state": "NEXT", "publicJwk": "{}"},
    ],
    "tenantDisabled": False,
    "issuedBeforeMs": 1700000000000,
    "imported": True,
}
audience_items = {
    "audienceKeys": [
        {"audience": "https://api.example", "masterId": "mas_1", "generation": 2, "key": "aa" * 32},
        {"audience": "https://api.example", "masterId": "mas_0", "generation": 1, "key": "bb" * 32, "endTimeMs": 0},
    ]
}
events = [
    ({**place, "kind": "snapshot"}, {k: v for k, v in all_items.items() if k not in ("forgottenTokens", "changedKeys", "imported")}),
    ({**place, "kind": "delta", "prevRevision": "41"}, all_items),
    ({**place, "kind": "delta", "feed": "aud:https://api.example"}, audience_items),
    ({**place, "kind": "delta", "issuer": "https://keys.example/t/ten_00000000000000000000000002"}, {"signingKeys": [], "tenantDisabled": True}),
    ({**place, "kind": "heartbeat", "prevRevision": "9007199254740993"}, {}),
]
vectors = {
    "comment": "Made by feed-vectors.py.",
    "feedKey": {"publicKey": raw_public(first).hex(), "feedKeyId": thumbprint(first)},
    "handover": {
        "predecessorId": thumbprint(first),
        "publicKey": raw_public(second).hex(),
        "feedKeyId": thumbprint(second),
        "signature": first.sign(b"ichor/v1/feed-key\x00" + raw_public(second)).hex(),
    },
    "events": [
        {
            "said": said,
            "items": items,
            "contentHash": content_hash(items).hex(),
            "statement": statement(said, content_hash(items)).hex(),
            "signature": first.sign(statement(said, content_hash(items))).hex(),
        }
        for said, items in events
    ],
}
print(json.dumps(vectors, indent=2, ensure_ascii=False))
