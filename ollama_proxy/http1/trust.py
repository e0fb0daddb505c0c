"""Owns the default TLS context for upstreams: the platform's own trust, always verified. Knows no connection.

macOS and Windows keep their certificate authorities behind an API that only `truststore` speaks. Elsewhere they are a
file that OpenSSL reads, and truststore reads it again for every connection: 20 ms in the event loop each time (measured
with truststore 0.10.5 and 140 authorities). There we read the same file ourselves, once.
"""

from __future__ import annotations

import ssl
import sys
from pathlib import Path

__all__ = ["platform_context"]

#: Where distributions keep the bundle when OpenSSL was built for another place (portable Python builds).
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # BSD, Alpine
)


def platform_context() -> ssl.SSLContext:
    """A context that verifies chain and host name against what the platform trusts. Reads files: up to 50 ms.

    Raises: OSError where they cannot be read.
    """
    if sys.platform in ("darwin", "win32"):
        import truststore

        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # CERT_REQUIRED and check_hostname are its defaults
        _load_bundle(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_bundle(context: ssl.SSLContext) -> None:
    """SSL_CERT_FILE and SSL_CERT_DIR, or OpenSSL's own place, else the first bundle that exists."""
    context.set_default_verify_paths()
    paths = ssl.get_default_verify_paths()
    if paths.cafile and not context.cert_store_stats()["x509"]:
        # OpenSSL passes over a default file that it cannot open. This does not: who trusts nobody, for lack of one
        # descriptor, must not be kept.
        context.load_verify_locations(paths.cafile)
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return
    bundle = next((name for name in _BUNDLES if Path(name).is_file()), None)
    if bundle:
        context.load_verify_locations(bundle)
