# Expands rights sidecars as a JSON-LD processor does, with the context of the fixtures.
import json, sys
from pyld import jsonld

context, *sidecars = sys.argv[1:]
context = json.load(open(context))


def load(url, options=None):
    assert url == "http://www.w3.org/ns/odrl.jsonld", f"{url} would be fetched"
    return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": context}


ODRL = "http://www.w3.org/ns/odrl/2/"
for path in sidecars:
    policy = json.load(open(path))
    (expanded,) = jsonld.expand(policy, {"documentLoader": load})
    assert expanded["@type"][0].startswith(ODRL), f"{path}: {expanded['@type']}"
    rules = [rule for kind in ("permission", "prohibition") for rule in expanded.get(ODRL + kind, [])]
    wanted = len(policy.get("permission", [])) + len(policy.get("prohibition", []))
    assert rules and len(rules) == wanted, f"{path}: {len(rules)} of {wanted} rules"
    for rule in rules:
        assert rule[ODRL + "action"][0]["@id"].startswith(ODRL), f"{path}: {rule}"
        assert rule[ODRL + "target"][0]["@id"].startswith("urn:iconik:asset:"), f"{path}: {rule}"
        for one in rule.get(ODRL + "constraint", []):
            assert one[ODRL + "leftOperand"][0]["@id"].startswith(ODRL), f"{path}: {one}"
            assert one[ODRL + "operator"][0]["@id"].startswith(ODRL), f"{path}: {one}"
            for right in one[ODRL + "rightOperand"]:
                typed = right.get("@type", "").endswith("#date") or "@id" in right or "@value" in right
                assert typed, f"{path}: {right}"
print(f"{len(sidecars)} rights sidecars are ODRL")
