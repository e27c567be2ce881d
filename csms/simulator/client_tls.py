"""A charger's side of TLS: the roots that it knows the server by, and its own certificate if it has one."""

import ssl
import tempfile
from pathlib import Path

from csms.simulator.keyring import Keyring


def client_context(keyring: Keyring, *, shown: bool) -> ssl.SSLContext:
    """As its flash has it now; ``shown``: with its own certificate. Without any root it trusts nobody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for pem in keyring.csms_roots():
        context.load_verify_locations(cadata=pem)
    if shown and keyring.chain is not None and keyring.key is not None:
        _show(context, keyring.chain, keyring.key)
    return context


def _show(context: ssl.SSLContext, chain: str, key: str) -> None:
    # OpenSSL takes a certificate and its key from files only.
    with tempfile.TemporaryDirectory(prefix="ampwave-sim-") as folder:
        pair = Path(folder, "chain.pem"), Path(folder, "key.pem")
        for path, text in zip(pair, (chain, key), strict=True):
            path.touch(mode=0o600)
            path.write_text(text)
        context.load_cert_chain(*pair)
