"""Says how many operations of the API were answered with success at least once, and which were not, with what they were
answered. Arguments: what api_hooks.py wrote, and the description. Fails if an operation that is expected to be was not."""

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

# Who answers these is not there: an identity provider, a runner of jobs; and the link is no answer but a conversation.
ELSEWHERE = {
    "GET /v1/agent/link",
    "POST /v1/identity-providers",
    "POST /v1/identity-providers/{id}/backchannel-logout",
    "DELETE /v1/users/{email}/identity-links/{id}",
    "POST /v1/workloads",
    "DELETE /v1/workloads/{id}",
    "POST /v1/workloads/{id}/token",
}

# What is signed is stored once; it was, before this began.
BEFORE = {"PUT /v1/trust", "PUT /v1/databases/{db}/bundle"}

seen = defaultdict(Counter)
for line in Path(sys.argv[1]).read_text().splitlines():
    for operation, counts in json.loads(line)["counts"].items():
        seen[operation].update(counts)
paths = json.loads(Path(sys.argv[2]).read_text())["paths"]
every = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
never = [operation for operation in every if not any(status.startswith("2") for status in seen[operation])]
print(f"{len(every) - len(never)} of {len(every)} operations were answered with success at least once")


def why(operation):
    if operation in BEFORE:
        return " (done before this began, and can be done once)"
    return " (its other side is not there)" if operation in ELSEWHERE else ""


for operation in never:
    said = ", ".join(f"{count} times {status}" for status, count in sorted(seen[operation].items())) or "not tried"
    print(f"  never {operation}: {said}{why(operation)}")
if unexpected := [operation for operation in never if operation not in ELSEWHERE | BEFORE]:
    sys.exit(f"without success: {', '.join(unexpected)}")
