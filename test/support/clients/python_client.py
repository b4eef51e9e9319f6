"""Calls Ichor with grpcio: reads {"method", "body"} as JSON lines, writes {"body"} or {"reason"} as JSON lines.

Arguments: the server's host:port. The credential comes in ICHOR_TEST_CREDENTIAL, the generated stubs by PYTHONPATH.
"""

import json
import os
import sys

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status_details import status_details
from ichor.v1 import admin_service_pb2, admin_service_pb2_grpc

stub = admin_service_pb2_grpc.AdminServiceStub(grpc.insecure_channel(sys.argv[1]))
metadata = (("authorization", "Bearer " + os.environ["ICHOR_TEST_CREDENTIAL"]),)

for line in sys.stdin:
    call = json.loads(line)
    method = call["method"].split("/")[1]
    request = json_format.ParseDict(call["body"], getattr(admin_service_pb2, method + "Request")())
    try:
        response = getattr(stub, method)(request, metadata=metadata, timeout=30)
        answer = {"body": json_format.MessageToDict(response)}
    except grpc.RpcError as error:
        answer = {"reason": status_details(error)}
    print(json.dumps(answer), flush=True)
