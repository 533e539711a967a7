"""Takes secrets out of records before they are written.

Looks for three kinds of secrets in the message and in special items: passwords and the like by the
name that stands before them (`password=…`, `"api_key": "…"`, `--token …`, `Authorization: …`,
`scheme://user:…@host`), tokens by their shape (JSON Web Tokens, private keys, keys of well-known
services) and credit cards by their check digit. What looks like a secret is taken out even if it
is none: a lost word costs less than a leaked password. No such search can find everything; it is
a net below applications that do not log secrets.

All patterns take time linear in the length of the text, whatever is in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from logd.filters.cards import is_card_number, replace_cards

if TYPE_CHECKING:
    from logd.records.job import MsgJob

__all__ = ["Redact"]

_NAMES = (
    r"(?:pass(?:word|wd|phrase|code)|\bpass\b|pwd|secret|token|credential"
    r"|(?:api|access|auth|private|signing|encryption)[_-]?key|session[_-]?id|\bcvv2?\b|\bcvc\b)"
)
_SECRET_NAME = re.compile(_NAMES, re.IGNORECASE)
_NAMED_VALUE = re.compile(
    rf"""(?P<before_secret>{_NAMES}[\w-]{{0,20}}(?:\\{{0,3}}["'])?\s{{0,4}}(?:=>|:=|[=:])\s{{0,4}}
         [bu]?(?P<quote>\\{{0,3}}["'])?)
         (?(quote)
             (?:(?!(?P=quote))(?:\\.|.))*       # up to the closing quote, or the end
           | (?:(?![,;]\s|[,;]["']?[\w.-]{{1,40}}["']?[=:])[^\s&"'])+   # up to the next item
         )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_OPTION_VALUE = re.compile(
    rf"""(?P<before_secret>-[a-z-]{{0,20}}{_NAMES}\s{{1,4}})[^\s-]\S*""", re.IGNORECASE | re.VERBOSE
)
_AUTHORIZATION = re.compile(
    r"""(?P<before_secret>\bauthorization\\{0,3}["']?\s{0,4}[:=]\s{0,4}\\{0,3}["']?
         (?:(?:basic|bearer|digest|token|negotiate|apikey)\s{1,4})?)[^\s"'\\]+""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"(?P<before_secret>\bbearer\s{1,4})[\w.~+/-]{8,}=*", re.IGNORECASE | re.ASCII)
_COOKIE = re.compile(
    r"""(?P<before_secret>\bcookie["']?\s{0,4}:\s{0,4}["']?)[^\r\n"']+""", re.IGNORECASE
)
_USERINFO = re.compile(r"(?P<before_secret>://[^\s/:@]{0,256}:)[^\s/]{1,256}(?=@)")
# The look-behind lets a search begin only where a run of such characters begins: a text of
# nothing but beginnings would be searched to its end from each of them.
_JSON_WEB_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*", re.ASCII)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_SERVICE_KEY = re.compile(
    r"""\b(?:
        (?:AKIA|ASIA)[0-9A-Z]{16}           # Amazon
      | AIza[\w-]{35}                       # Google
      | gh[oprsu]_[A-Za-z0-9]{36,255}       # GitHub
      | github_pat_\w{22,255}
      | glpat-[\w-]{20,255}                 # GitLab
      | xox[abeoprs]-[A-Za-z0-9-]{10,255}   # Slack
      | [rs]k_(?:live|test)_[A-Za-z0-9]{16,255}   # Stripe
      | sk-[\w-]{20,255}                    # OpenAI and others
      | npm_[A-Za-z0-9]{36}
      | pypi-[\w-]{16,255}
    )""",
    re.VERBOSE | re.ASCII,
)
# A text without any of these words, which is nearly every text, can't match any of the patterns
# that begin with a name. Looking for them first is ten times as fast as the patterns are.
_HINTS = (
    *("pass", "pwd", "secret", "token", "credential", "key", "session", "cvv", "cvc"),
    *("authorization", "cookie"),
)
_NAMED = (_AUTHORIZATION, _COOKIE, _NAMED_VALUE, _OPTION_VALUE)
_TOKENS = (_BEARER, _JSON_WEB_TOKEN, _SERVICE_KEY)


class Redact:
    """Replaces secrets in messages and special items.

    Args:
        passwords: values after names such as password, token, api_key, Authorization, Cookie, and
            special items of such names.
        tokens: what has the shape of a token or key.
        cards: credit card numbers; the last four digits are kept, as receipts do.
        names: further names whose values are secrets, as `passwords`; any case.
        patterns: further regular expressions; what they find is replaced, or if they have a
            group named `secret`, that part of it.
        replacement: what stands in place of a secret.

    Attributes:
        redacted: how many records were changed so far.

    Raises:
        ValueError: a pattern that does not compile.
        TypeError: a plain string for names or patterns.
    """

    def __init__(
        self,
        *,
        passwords: bool = True,
        tokens: bool = True,
        cards: bool = True,
        names: Sequence[str] = (),
        patterns: Sequence[str] = (),
        replacement: str = "[redacted]",
    ) -> None:
        for parameter, value in (("names", names), ("patterns", patterns)):
            if isinstance(value, str):
                raise TypeError(f"{parameter}: expected a sequence of str, got the str {value!r}")
        self.redacted = 0
        self._replacement = replacement
        self._cards = cards
        self._passwords = passwords
        self._names = frozenset(name.lower() for name in names)
        # Private keys first: their base64 must not be cut up by the other patterns.
        self._searches_first = [_PRIVATE_KEY] if tokens else []
        self._searches = [
            *([_USERINFO] if passwords else ()),
            *map(_named_value, names),
            *(_TOKENS if tokens else ()),
            *map(_compile, patterns),
        ]

    def __call__(self, jobhist: Sequence[MsgJob], writer: object) -> None:
        """Take the secrets out of the current record."""
        job = jobhist[-1]
        msg = self.redact_text(job.msg)
        special = {key: self._redact_item(key, value) for key, value in job.special.items()}
        if msg != job.msg or special != job.special:
            self.redacted += 1
            job.msg = msg
            job.special = special

    def redact_text(self, text: str) -> str:
        """`text` without its secrets."""
        for search in self._searches_first:
            text = search.sub(self._replace, text)
        if self._passwords and _has_hint(text.lower()):
            for search in _NAMED:
                text = search.sub(self._replace, text)
        for search in self._searches:
            text = search.sub(self._replace, text)
        return replace_cards(text) if self._cards else text

    def _redact_item(self, key: str, value: str | int) -> str | int:
        if key.lower() in self._names or (self._passwords and _SECRET_NAME.search(key)):
            return self._replacement
        if isinstance(value, str):
            return self.redact_text(value)
        digits = str(value)
        if self._cards and digits.isdecimal() and is_card_number(digits):
            return replace_cards(digits)
        return value

    def _replace(self, found: re.Match[str]) -> str:
        groups = found.re.groupindex
        if "secret" in groups and found["secret"] is not None:
            start, end = (position - found.start() for position in found.span("secret"))
            return found[0][:start] + self._replacement + found[0][end:]
        return (found["before_secret"] if "before_secret" in groups else "") + self._replacement


def _has_hint(lowered: str) -> bool:
    return any([hint in lowered for hint in _HINTS])  # noqa: C419 - faster


def _named_value(name: str) -> re.Pattern[str]:
    """Finds the value after one more name, as `_NAMED_VALUE` does after the usual ones."""
    return re.compile(_NAMED_VALUE.pattern.replace(_NAMES, re.escape(name)), _NAMED_VALUE.flags)


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"patterns: {exc} in {pattern!r}") from exc
