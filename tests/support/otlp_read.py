"""Reads requests of OTLP/JSON with OpenTelemetry's own messages, and prints their spans."""

import base64
import json
import sys

from google.protobuf.json_format import MessageToDict, Parse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

IDS = ("traceId", "spanId", "parentSpanId")


def recoded(value, code):
    """The ids of OTLP are hex, those of protobuf's JSON base64."""
    if isinstance(value, dict):
        return {name: code(item) if name in IDS else recoded(item, code) for name, item in value.items()}
    return [recoded(item, code) for item in value] if isinstance(value, list) else value


spans = []
for body in json.load(sys.stdin):
    given = recoded(json.loads(body), lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    # An unknown field is an error.
    read = MessageToDict(Parse(json.dumps(given), ExportTraceServiceRequest()))
    for resource in recoded(read, lambda text: base64.b64decode(text).hex())["resourceSpans"]:
        service = resource["resource"]["attributes"][0]["value"]["stringValue"]
        for span in resource["scopeSpans"][0]["spans"]:
            values = {item["key"]: next(iter(item["value"].values())) for item in span["attributes"]}
            spans.append({**span, "attributes": values, "service": service})
print(json.dumps(spans))
