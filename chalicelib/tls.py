"""TLS as a client: which authorities are trusted, and why a handshake failed, in words that tell one cause from
another."""

from __future__ import annotations

import ssl

import certifi

NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "PACKET_LENGTH_TOO_LONG"})
"""OpenSSL's reasons when what came is no record of TLS."""

OLD_VERSION = frozenset(
    {"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW"}
)

WANTS_CERTIFICATE = frozenset(
    {
        "TLSV13_ALERT_CERTIFICATE_REQUIRED",
        "SSLV3_ALERT_NO_CERTIFICATE",
        "SSLV3_ALERT_BAD_CERTIFICATE",
        "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE",
        "SSLV3_ALERT_CERTIFICATE_UNKNOWN",
        "TLSV1_ALERT_UNKNOWN_CA",
        "TLSV1_ALERT_ACCESS_DENIED",
    }
)
"""Alerts about the client's certificate (RFC 8446, 6.2): kkbida has none."""

HANDSHAKE_FAILURE = "SSLV3_ALERT_HANDSHAKE_FAILURE"
UNKNOWN_NAME = "TLSV1_UNRECOGNIZED_NAME"

UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""X509_V_ERR_ codes of a chain that leads to no authority that is trusted, self-signed ones included."""


def client_context(ca_bundle: str = "") -> ssl.SSLContext:
    """Trusts the public authorities that certifi lists, and those in the PEM file `ca_bundle`. Takes tens of
    milliseconds. Raises OSError, ssl.SSLError."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_bundle:
        context.load_verify_locations(cafile=ca_bundle)
    return context


class Handshake:
    """A mixin for `ssl.SSLSocket` that keeps what an error alone does not tell: `cipher_chosen` of the exception."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands."""
        try:
            super().do_handshake(block)  # type: ignore[misc]
        except ssl.SSLError as error:
            error.cipher_chosen = self.cipher() is not None  # type: ignore[attr-defined]
            raise


def certificate_failure(host: str, error: ssl.SSLCertVerificationError) -> str:
    """Why the certificate of `host` is not accepted."""
    why = error.verify_message
    if error.verify_code not in UNKNOWN_AUTHORITY:
        return f"The certificate of {host} is not accepted: {why}."
    return (
        f"The certificate of {host} is not accepted: {why}. Either its authority is not known here (KKBIDA_CA_BUNDLE "
        "adds authorities), or the receiver does not send the intermediate certificates."
    )


def tls_failure(host: str, error: ssl.SSLError) -> str:
    """Why TLS with `host` failed, in OpenSSL's word where it has no sentence of its own."""
    reason = error.reason or ""
    if reason in NOT_TLS:
        return f"{host} does not speak TLS on this port; it may expect http:// instead of https://."
    if reason in OLD_VERSION:
        return f"{host} supports no version of TLS from 1.2 on; older ones are not secure."
    if reason in WANTS_CERTIFICATE or (reason == HANDSHAKE_FAILURE and getattr(error, "cipher_chosen", False)):
        return f"{host} requires a client certificate, and kkbida has none."
    if reason == HANDSHAKE_FAILURE:
        return f"{host} refused the TLS handshake: it has no cipher suite in common with kkbida."
    if reason == UNKNOWN_NAME:
        return f"{host} refused the TLS handshake: it does not serve this host name."
    return f"TLS with {host} failed ({reason or type(error).__name__})."
