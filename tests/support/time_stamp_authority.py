"""A time stamp authority of OpenSSL's own making, so that nothing of ours vouches for ours."""

import subprocess
from pathlib import Path

_CONFIG = """
[req]
distinguished_name = dn
[dn]
[tsa]
default_tsa = t
[t]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
certs = {folder}/tsa.pem
default_policy = 1.2.3.4.1
digests = sha256, sha512
signer_digest = sha256
accuracy = secs:1
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


class Authority:
    """``post`` is what ``signing.timestamping`` asks for; ``root`` the PEM to check it by."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.root = folder / "ca.pem"
        self.config = folder / "tsa.cnf"
        self.config.write_text(_CONFIG.format(folder=folder))
        (folder / "serial").write_text("01\n")
        self._issue("ca", "ca", "/CN=Some CA", "-x509")
        self._issue(
            "tsa", "leaf", "/CN=Some TSA", "-x509", "-CA", str(self.root), "-CAkey", f"{folder}/ca.key"
        )

    async def post(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        options = ("-config", str(self.config), "-queryfile", f"{self.folder}/query")
        self._openssl("ts", "-reply", *options, "-out", f"{self.folder}/answer")
        return (self.folder / "answer").read_bytes()

    def _issue(self, name: str, extensions: str, subject: str, *more: str) -> None:
        key, out = f"{self.folder}/{name}.key", f"{self.folder}/{name}.pem"
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key)
        options = ("-config", str(self.config), "-extensions", extensions, "-subj", subject, "-days", "30")
        self._openssl("req", *more, *curve, *options, "-out", out)

    @staticmethod
    def _openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
