"""A receiver of OpenTelemetry logs (OTLP over HTTP, protobuf), read by OpenTelemetry's own definitions. Prints where it
listens; then one JSON object per line: {"do": "answer", "status": …, "rejected": …} is how it answers from then on, and
{"do": "got"} says what arrived, also while it refused."""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

got = []
messages = []
how = {"status": 200, "rejected": 0}
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with lock:
            status, rejected = how["status"], how["rejected"]
            request = ExportLogsServiceRequest()
            request.ParseFromString(body)
            known = ExportLogsServiceRequest()
            known.CopyFrom(request)
            known.DiscardUnknownFields()
            # As its makers' definitions read it, and whether these would write the very same bytes.
            same = known.SerializeToString(deterministic=True) == body
            messages.append({"status": status, "same": same, "message": MessageToDict(request)})
            for resource in request.resource_logs:
                said = {each.key: each.value.string_value for each in resource.resource.attributes}
                for logs in resource.scope_logs:
                    for record in logs.log_records:
                        attributes = {}
                        for each in record.attributes:
                            attributes[each.key] = getattr(each.value, each.value.WhichOneof("value"))
                        got.append(
                            {
                                "status": status,
                                "path": self.path,
                                "headers": dict(self.headers),
                                "resource": said,
                                "scope": logs.scope.name,
                                "time": record.time_unix_nano,
                                "severity": record.severity_number,
                                "event": record.event_name,
                                "body": record.body.string_value,
                                "attributes": attributes,
                                "all": MessageToDict(record),
                            }
                        )
        answer = ExportLogsServiceResponse()
        if rejected:
            answer.partial_success.rejected_log_records = rejected
            answer.partial_success.error_message = "too old"
        text = answer.SerializeToString()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


http = ThreadingHTTPServer(("localhost", 0), Handler)
threading.Thread(target=http.serve_forever, daemon=True).start()
print(json.dumps({"entity": f"http://localhost:{http.server_port}/v1/logs", "metadata": ""}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    with lock:
        if asked["do"] == "answer":
            how.update(asked)
        print(json.dumps({"got": got, "messages": messages}), flush=True)
