"""Calls Ichor with grpcio: reads {"method", "body"} as JSON lines, writes {"body"} or {"reason"} as JSON lines.

Arguments: the server's host:port and the folder of the generated stubs. The credential comes in PRESENTED_CREDENTIAL.
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

from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from ichor.v1 import admin_service_pb2, admin_service_pb2_grpc  # noqa: E402

methods = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].methods_by_name


def reason_of(error):
    """The reason of the ErrorInfo in a failed call's status details; the code's name if there is none."""
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    for detail in status_pb2.Status.FromString(details).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    return error.code().name


stub = admin_service_pb2_grpc.AdminServiceStub(grpc.insecure_channel(target))
metadata = (("authorization", "Bearer " + os.environ["PRESENTED_CREDENTIAL"]),)

for line in sys.stdin:
    call = json.loads(line)
    method = call["method"].split("/")[1]
    request = json_format.ParseDict(call["body"], methods[method].input_type._concrete_class())
    try:
        response = getattr(stub, method)(request, metadata=metadata, timeout=30)
        answer = {"body": json_format.MessageToDict(response)}
    except grpc.RpcError as error:
        answer = {"reason": reason_of(error)}
    print(json.dumps(answer), flush=True)
