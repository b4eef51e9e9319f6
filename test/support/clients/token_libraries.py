"""Checks tokens with PyJWT and pymacaroons: reads requests as JSON lines, answers each with a JSON line.

{"jwt": text, "jwks": url, "audience", "issuer"} -> {"claims"} or {"refused": the error's name}
{"macaroon": v2 base64url, "key": hex, "add": [caveats], "satisfied": [caveats]} -> {"valid", "narrowed": v2 base64url}
"""

import json
import sys

import jwt
from pymacaroons import Macaroon, Verifier

ALGORITHMS = ["EdDSA", "ES256", "RS256"]


def check_jwt(request):
    try:
        key = jwt.PyJWKClient(request["jwks"]).get_signing_key_from_jwt(request["jwt"]).key
        claims = jwt.decode(
            request["jwt"], key, algorithms=ALGORITHMS, audience=request["audience"], issuer=request["issuer"]
        )
        return {"claims": claims}
    except jwt.exceptions.PyJWTError as error:
        return {"refused": type(error).__name__}


def check_macaroon(request):
    macaroon = Macaroon.deserialize(request["macaroon"])
    for caveat in request["add"]:
        macaroon.add_first_party_caveat(caveat)
    verifier = Verifier()
    for caveat in request["satisfied"]:
        verifier.satisfy_exact(caveat)
    try:
        valid = verifier.verify(macaroon, bytes.fromhex(request["key"]))
    except Exception:  # its one error for a wrong signature and for an unmet caveat
        valid = False
    return {"valid": valid, "narrowed": macaroon.serialize()}


for line in sys.stdin:
    request = json.loads(line)
    answer = check_jwt(request) if "jwt" in request else check_macaroon(request)
    print(json.dumps(answer), flush=True)
