"""What is taken for a secret: by the name it has, or by its look. All patterns are bounded: a capture may hold anything."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Header fields whose whole value is a secret, or a list of them.
SECRET_FIELDS = _words(
    "authorization proxy-authorization cookie set-cookie x-forwarded-client-cert client-cert client-cert-chain ssl-client-cert "
    "x-ssl-client-cert x-ssl-cert x-client-cert x-client-certificate x-arr-clientcert x-amzn-mtls-clientcert"
)
URL_FIELDS = _words(
    "location referer content-location x-envoy-original-path x-original-uri x-original-url x-forwarded-uri x-rewrite-url "
    "x-envoy-original-url refresh link :path"
)
# Values that are long and random and no secret: identities of requests, traces and contents, names of hosts.
PLAIN_FIELDS = _words(
    "host :authority via forwarded etag if-match if-none-match content-md5 digest content-digest repr-digest want-digest "
    "b3 traceparent tracestate grpc-trace-bin x-cloud-trace-context x-ot-span-context sw8 baggage x-envoy-peer-metadata "
    "x-envoy-decorator-operation user-agent sec-websocket-key sec-websocket-accept content-security-policy server-timing"
)

LONGEST_NAME = 200  # characters that are looked at

# Schemes of credentials: the IANA registry (RFC 9110 section 16.4.1), and others in use. What comes behind one is the secret.
SCHEMES = re.compile(
    r"\s{0,8}(Basic|Bearer|Concealed|Digest|DPoP|GNAP|HOBA|Mutual|Negotiate|OAuth|PrivateToken|SCRAM-SHA-1|SCRAM-SHA-256|vapid|Token"
    r"|ApiKey|Api-Key|Key|AWS4-HMAC-SHA256|AWS4-ECDSA-P256-SHA256|NTLM|Hawk|MAC|SharedAccessSignature|SharedKey|SharedKeyLite"
    r"|GoogleLogin|SSWS|Splunk|Signature|Snowflake|GenieKey|JWT)[ \t+]{1,8}(?=\S)",
    re.IGNORECASE | re.ASCII,
)

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_ALWAYS = _words(
    "password passwords passwd pwd passphrase passcode secret secrets token tokens jwt jws credential credentials apikey "
    "authorization cookie cookies signature sig hmac sessionid sid csrf xsrf otp totp cvv cvc assertion jsessionid "
    "phpsessid accesskey secretkey privatekey authtoken accesstoken refreshtoken idtoken clientsecret xsrftoken csrftoken "
    "pin puk passkey"
)
# What a name in one piece ends with: dbpassword, usertoken.
_ENDS = tuple(
    _words("password passwd passphrase passcode secret token apikey secretkey accesskey privatekey sessionid")
)
_ONE_VALUE = _words("pin puk")  # a pin on a map has parts, a PIN has none
_KEYS = _words("api access private secret signing encryption shared account subscription auth")  # before "key"
# A name with one of these words holds a secret where its value looks like one.
_PERHAPS = _words("key auth code nonce session state ticket hash cert certificate")
# Last words of names that tell of a secret and hold none: token_type, password_policy.
_ABOUT = _words(
    "type types count limit used usage name names expires expiry expiration in uri url endpoint ttl length policy method "
    "methods age at alg algorithm version status required enabled hint reset strength budget remaining total seconds ms "
    "date signedheaders"
)
_NUMBERED = _words(
    "password passwd pwd passphrase passcode otp totp cvv cvc secret pin puk"
)  # a number is a secret too
_COUNTED = _words("max min num prompt completion total used")  # max_tokens

# Looks. A word boundary before each, and an end to each repetition, keep the search linear.
LOOKS = re.compile(
    r"(?<![\w-])(?:"
    r"eyJ[\w-]{5,4096}\.[\w-]{5,16384}(?:\.[\w-]{0,16384}){0,3}"  # a JWT: RFC 7519 section 3
    r"|(?:gh[pousr]_|github_pat_|glpat-|xox[abeprs]-|sk_(?:live|test)_|rk_(?:live|test)_|sk-proj-|sk-ant-|shpat_|hf_|npm_|pypi-|dop_v1_)[\w-]{16,512}"
    r"|(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Z])"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,512}|SG\.[\w-]{16,64}\.[\w-]{16,128}"
    r")",
    re.ASCII,
)
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_RANDOM = re.compile(r"[\w+/=.~-]{20,}", re.ASCII)
_SIGNS = str.maketrans("", "", "_+/=.~-")
_RUNS = re.compile(r"[a-z]+|[A-Z]+|[0-9]+")
_HEX = re.compile(r"[0-9a-fA-F]{32,}")


def parts_of(name: str) -> list[str]:
    """The words of a name: `X-Api-Key`, `x_api_key` and `xApiKey` have the same."""
    return [part.lower() for part in _PARTS.findall(name)]


@lru_cache(maxsize=1 << 12)
def _judge(name: str) -> tuple[bool, bool, bool]:
    """Whether the name says secret, whether it may, and whether it says so of numbers too."""
    parts = parts_of(name)
    if not parts:
        return False, False, False
    counted = parts[-1] == "tokens" and not _COUNTED.isdisjoint(parts)
    if parts[-1] in _ABOUT or counted:
        return False, False, False
    always = not _ALWAYS.isdisjoint(parts) or "".join(parts) in _ALWAYS or parts[-1] == "session" or parts == ["pass"]
    always = always or any(part.endswith(_ENDS) for part in parts)
    always = always or any((b == "key" and a in _KEYS) or (a, b) == ("session", "id") for a, b in pairwise(parts))
    return always, always or not _PERHAPS.isdisjoint(parts), always and not _NUMBERED.isdisjoint(parts)


def is_secret(name: str) -> bool:
    """Whether what is called `name` is a secret, whatever it looks like."""
    return _judge(name[:LONGEST_NAME])[0]


def may_be_secret(name: str) -> bool:
    """Whether it is one where it looks like one."""
    return _judge(name[:LONGEST_NAME])[1]


def may_be_number(name: str) -> bool:
    """Whether a number called `name` is a secret (a PIN is, `"token": 3` is not)."""
    return _judge(name[:LONGEST_NAME])[2]


def of_one_value(name: str) -> bool:
    """Whether what is called `name` is a secret only where it is a single value."""
    return not _ONE_VALUE.isdisjoint(parts_of(name[:LONGEST_NAME]))


def looks_secret(value: str) -> bool:
    """Whether a value with a suspicious name, or alone in a query or a header, looks like a secret: long and random."""
    if len(value) < 20 or _UUID.fullmatch(value):
        return False
    if LOOKS.fullmatch(value):
        return True
    if not _RANDOM.fullmatch(value):
        return False
    return is_mixed(value) or _HEX.fullmatch(value) is not None


def is_mixed(value: str) -> bool:
    """Lower case, upper case and digits in quick change, as random text has them and words and names have not."""
    alone = value[:200].translate(_SIGNS)
    runs = _RUNS.findall(alone)
    if 3 * (len(runs) - 1) < len(alone):
        return False
    return any(map(str.islower, runs)) and any(map(str.isupper, runs)) and any(map(str.isdigit, runs))
