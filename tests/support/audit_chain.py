"""Checks the test vectors of the audit log's chain (docs/audit-log.md) and prints how many there are."""
import hashlib, json, sys

def canonical(value):
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return "{" + ",".join(canonical(name) + ":" + canonical(value[name]) for name in names) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, ensure_ascii=False)

vectors, previous = json.load(sys.stdin), "0" * 64
for vector in vectors:
    text = canonical({name: value for name, value in vector["entry"].items() if value not in (None, "")})
    digest = hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest()
    assert (vector["previous"], vector["canonical"], vector["hash"]) == (previous, text, digest), vector["entry"]["id"]
    previous = digest
print(len(vectors))
