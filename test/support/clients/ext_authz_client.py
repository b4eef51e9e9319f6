"""Asks as Envoy does, by grpcio: reads CheckRequests as JSON lines, writes {"body"} or {"error"} as JSON lines.

Arguments: the side-car's host:port and the folder of the stubs that protoc made from Envoy's protos.
"""

import json
import os
import sys

import google
import grpc
from google.protobuf import json_format

target, stubs = sys.argv[1:]
sys.path.insert(0, stubs)
google.__path__.append(os.path.join(stubs, "google"))

from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc  # noqa: E402

stub = external_auth_pb2_grpc.AuthorizationStub(grpc.insecure_channel(target))

for line in sys.stdin:
    request = json_format.ParseDict(json.loads(line), external_auth_pb2.CheckRequest())
    try:
        answer = {"body": json_format.MessageToDict(stub.Check(request, timeout=30))}
    except grpc.RpcError as error:
        answer = {"error": error.code().name}
    print(json.dumps(answer), flush=True)
