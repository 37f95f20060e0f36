"""A REST client as somebody might write it: it knows an issuer, a credential and its own certificate,
exchanges the credential for tokens that are bound to the certificate, calls an API, and comes with a
fresh token where the API says that the one it has is not good any more.

    rest_client.py ISSUER API CA CERTIFICATE KEY CREDENTIAL [SECONDS ...]

calls the API at once and again after each of the pauses; prints status and what the API saw, or the
error of the token endpoint.
"""

import json
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

AUDIENCE = "https://api.example"
_URN = "urn:ietf:params:oauth:"


class TokenError(Exception):
    """What the token endpoint answers instead of a token (RFC 6749, section 5.2)."""


class Client:
    def __init__(self, issuer: str, authority: str, certificate: str, key: str):
        self._context = ssl.create_default_context(cafile=authority)
        self._context.load_cert_chain(certificate, key)
        self._issuer = issuer
        self._tokens = {}

    def log_in(self, credential: str):
        """RFC 8693, section 2.1."""
        self._ask_for_tokens(
            grant_type=_URN + "grant-type:token-exchange",
            subject_token=credential,
            subject_token_type=_URN + "token-type:access_token",
            audience=AUDIENCE,
        )

    def get(self, url: str):
        """The API's answer; refreshes the token once if the API does not take it (RFC 6750, section 3.1)."""
        try:
            return self._get(url)
        except urllib.error.HTTPError as refused:
            if refused.code != 401 or 'error="invalid_token"' not in refused.headers.get("WWW-Authenticate", ""):
                raise
        self._ask_for_tokens(grant_type="refresh_token", refresh_token=self._tokens["refresh_token"])
        return self._get(url)

    def _get(self, url: str):
        headers = {"Authorization": f"{self._tokens['token_type']} {self._tokens['access_token']}"}
        return self._open(urllib.request.Request(url, headers=headers))

    def _ask_for_tokens(self, **parameters):
        metadata = self._metadata()
        endpoints = {**metadata, **metadata.get("mtls_endpoint_aliases", {})}  # RFC 8705, section 5
        body = urllib.parse.urlencode(parameters).encode()
        try:
            fresh = json.load(self._open(urllib.request.Request(endpoints["token_endpoint"], body)))
        except urllib.error.HTTPError as refused:
            raise TokenError(json.load(refused)["error"]) from None
        self._tokens = {**self._tokens, **fresh}

    def _metadata(self) -> dict:
        """RFC 8414, section 3."""
        parts = urllib.parse.urlsplit(self._issuer)
        path = "/.well-known/oauth-authorization-server" + parts.path.rstrip("/")
        metadata = json.load(self._open(urllib.request.Request(f"{parts.scheme}://{parts.netloc}{path}")))
        if metadata["issuer"] != self._issuer:
            raise TokenError("the metadata is another issuer's")
        return metadata

    def _open(self, request: urllib.request.Request):
        return urllib.request.urlopen(request, context=self._context, timeout=15)


def main(issuer, api, authority, certificate, key, credential, *pauses):
    client = Client(issuer, authority, certificate, key)
    try:
        client.log_in(credential)
        for pause in ["0", *pauses]:
            time.sleep(float(pause))
            answer = client.get(api)
            seen = dict(json.load(answer)["headers"])
            print(answer.status, seen.get("X-User"), seen.get("X-Scope"))
    except TokenError as refused:
        print("no token:", refused)


if __name__ == "__main__":
    main(*sys.argv[1:])
