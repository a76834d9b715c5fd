"""Holds bundles to other people's libraries: their envelopes to securesystemslib, and the statements in
them to in-toto's own types, that of SLSA's provenance and that of its verification summary.

    PYTHONPATH=.tools/peers/python python3 scripts/peers/check_statements.py KEY.pem... FILE...

Keys are public and end with `.pem`. Prints one line of JSON for each other file: why its signature and why
its statement is refused, or null. Ends with 1 where there is anything.
"""

import base64
import hashlib
import json
import sys

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key
from google.protobuf import json_format
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.predicates.vsa.v1 import vsa_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

PREDICATES = {
    "https://slsa.dev/provenance/v1": provenance_pb2.Provenance,
    "https://slsa.dev/verification_summary/v1": vsa_pb2.VerificationSummary,
}


def key(path):
    with open(path, "rb") as file:
        public = load_pem_public_key(file.read())
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = base64.b64encode(hashlib.sha256(der).digest()).decode()
    return SSlibKey.from_crypto(public, name)


def refused(check, *args):
    try:
        check(*args)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:2000]


def check_signature(bundle, keys):
    Envelope.from_dict(bundle["dsseEnvelope"]).verify(keys, 1)


def check_statement(payload):
    statement = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(statement).validate()
    predicate = json.loads(payload)["predicate"]
    if statement.predicate_type.startswith("https://slsa.dev/verification_summary/"):
        # One text in in-toto's type, and a list in SLSA's specification, which decides.
        levels = predicate.pop("verifiedLevels")
        if not levels or not all(isinstance(level, str) for level in levels):
            raise ValueError(f"verifiedLevels: {levels!r} is no list of texts")
    if statement.predicate_type in PREDICATES:
        json_format.ParseDict(predicate, PREDICATES[statement.predicate_type]())


def check(path, keys):
    with open(path, encoding="utf-8") as file:
        bundle = json.load(file)
    payload = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    return {
        "file": path,
        "signature": refused(check_signature, bundle, keys),
        "statement": refused(check_statement, payload),
    }


named = sys.argv[1:]
known = [key(name) for name in named if name.endswith(".pem")]
found = [check(name, known) for name in named if not name.endswith(".pem")]
for one in found:
    print(json.dumps(one))
sys.exit(any(one["signature"] or one["statement"] for one in found))
