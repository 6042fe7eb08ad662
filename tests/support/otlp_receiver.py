"""A receiver of OTLP/HTTP as a process of its own: prints its port, then what it receives.

One line of JSON for each span and each metric. It ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            for resource in traces.resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        tell("span", span.name, span.trace_id, span.span_id, span.parent_span_id)
        else:
            for measured in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                for each in measured.scope_metrics:
                    for metric in each.metrics:
                        tell("metric", metric.name)
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def tell(kind: str, name: str, *ids: bytes) -> None:
    print(json.dumps([kind, name, *(each.hex() for each in ids)]), flush=True)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_port, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
