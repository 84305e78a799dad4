"""The signatures that botocore makes of calls, as JSON from standard input to standard output."""
import json
import sys

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

given = json.load(sys.stdin)
credentials = Credentials(given["access_key_id"], given["secret_access_key"])
signatures = []
for call in given["calls"]:
    kind = S3SigV4Auth if call["service"] == "s3" else SigV4Auth
    auth = kind(credentials, call["service"], given["region"])
    request = AWSRequest(call["method"], call["url"], headers=call["headers"], data=call["body"].encode())
    request.context["timestamp"] = call["at"]
    if call["service"] == "s3":
        # Otherwise botocore would compute its own hash of the body.
        request.context["payload_signing_enabled"] = False
    canonical = auth.canonical_request(request)
    signatures.append(auth.signature(auth.string_to_sign(request, canonical), request))
json.dump(signatures, sys.stdout)
