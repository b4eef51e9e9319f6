# Issue, Derive, Watch with generated Python: docs/clients.md says how it is generated and run.
import os
import sys

import google
import grpc

sys.path.insert(0, "gen")
# google.rpc is generated too; protobuf's own package of that name comes first.
google.__path__.append(os.path.abspath("gen/google"))

from ichor.v1 import admin_service_pb2, admin_service_pb2_grpc  # noqa: E402
from ichor.v1 import api_key_pb2, derivation_service_pb2, derivation_service_pb2_grpc  # noqa: E402
from ichor.v1 import key_set_pb2  # noqa: E402

url = os.environ.get("ICHOR_URL", "http://127.0.0.1:8420")
channel = grpc.insecure_channel(url.split("//")[1])
admin = admin_service_pb2_grpc.AdminServiceStub(channel)
derivation = derivation_service_pb2_grpc.DerivationServiceStub(channel)


def as_holder(credential):
    return (("authorization", "Bearer " + credential),)


root = as_holder(os.environ["ICHOR_CREDENTIAL"])
issued = admin.IssueApiKey(
    admin_service_pb2.IssueApiKeyRequest(name="from Python", scopes=["invoices:*"]), metadata=root, timeout=10
)
print("issued", issued.api_key.id)

derived = derivation.DeriveToken(
    derivation_service_pb2.DeriveTokenRequest(
        format=api_key_pb2.TOKEN_FORMAT_JWT, audiences=["https://api.example"]
    ),
    metadata=as_holder(issued.credential),
    timeout=10,
)
print("derived", derived.token_id)

revocation = 0
stream = derivation.WatchKeySet(key_set_pb2.WatchKeySetRequest(), metadata=root)
for event in stream:
    kind = event.WhichOneof("event")
    if kind == "snapshot_end":
        request = admin_service_pb2.RevokeApiKeyRequest(key_id=issued.api_key.id)
        revocation = admin.RevokeApiKey(request, metadata=root, timeout=10).revision
    elif kind == "delta" and event.delta.revision >= revocation:
        print("told of the revocation of", len(event.delta.items.marked_keys) // 16, "key")
        break
stream.cancel()
