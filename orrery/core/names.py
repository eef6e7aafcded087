"""What a name may look like (OpenNebula's rules)."""

import re

from orrery.core.errors import InvalidInput

FORBIDDEN = re.compile(
    "[&|:\\\\\";/'#{}$<>\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]"
)
"""Among them what XML or UTF-8 cannot carry, and what ends a line."""
MAX_LENGTH = 128


def check_name(field: str, name: str) -> str:
    """The name, if it is one.

    Raises:
        InvalidInput: empty, over 128 characters, or with a character that templates, shells or XML
        give a meaning.
    """
    if not name.strip():
        raise InvalidInput(field, name, "is empty: give a name")
    if len(name) > MAX_LENGTH:
        raise InvalidInput(field, name, f"is too long: at most {MAX_LENGTH} characters")
    bad = FORBIDDEN.search(name)
    if bad:
        raise InvalidInput(
            field,
            name,
            f"contains {bad[0]!r}: none of & | : \\ \" ; / ' # {{ }} $ < > or control characters",
        )
    return name


def check_user_name(name: str) -> str:
    """A user's name: besides, no blanks, since session strings are split at them."""
    if any(c.isspace() for c in name):
        raise InvalidInput("NAME", name, "contains a blank: user names have none")
    return check_name("NAME", name)
