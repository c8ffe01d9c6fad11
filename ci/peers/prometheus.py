"""Reads Prometheus' text format by Prometheus' own client library; prints the type of each family by its name. A sample of no
family, and a family without a sample, is an error."""

import json
import sys

from prometheus_client.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    if family.name in families:
        sys.exit(f"{family.name} is there twice")
    if family.type == "unknown":
        sys.exit(f"{family.name} has no type")
    if not family.samples:
        sys.exit(f"{family.name} has no sample")
    families[family.name] = family.type
json.dump(families, sys.stdout)
