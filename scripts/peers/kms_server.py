"""moto's server, whose KMS signs what was hashed already, too.

    PYTHONPATH=.tools/peers/python python3 scripts/peers/kms_server.py -H 127.0.0.1 -p PORT

moto hashes every message once more, whatever its `MessageType` says. AWS does not where that is
`DIGEST` (the API reference of KMS, action `Sign`), and takes no other message of more than 4,096 bytes.
"""

import contextvars

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from moto.kms.responses import KmsResponse
from moto.kms.utils import ECDSAPrivateKey
from moto.server import main

MESSAGE_TYPE = contextvars.ContextVar("message_type")
asked, hashed_here = KmsResponse.sign, ECDSAPrivateKey.sign


def sign(response):
    MESSAGE_TYPE.set(response._get_param("MessageType"))
    return asked(response)


def sign_hashed(key, message, signing_algorithm):
    if MESSAGE_TYPE.get() != "DIGEST" or signing_algorithm != "ECDSA_SHA_256":
        return hashed_here(key, message, signing_algorithm)
    return key.private_key.sign(message, ec.ECDSA(utils.Prehashed(hashes.SHA256())))


KmsResponse.sign, ECDSAPrivateKey.sign = sign, sign_hashed

if __name__ == "__main__":
    main()
