"""The one family of errors: what happened, where, and what to do about it."""

from __future__ import annotations

from citymap.i18n import DEFAULT_LANGUAGE, t


class CitymapError(Exception):
    """An error meant for a person.

    `key` names the message `error.<key>` and the remedy `remedy.<key>` in the catalogue; `place`
    says where (file, and line, feature or field where known); `values` fill both texts.
    """

    def __init__(self, key: str, /, *, place: str | None = None, **values: object) -> None:
        self.key = key
        self.place = place
        self.values = values
        super().__init__(self.message("en"))

    def message(self, lang: str = DEFAULT_LANGUAGE) -> str:
        """One or two lines: place, what happened, remedy."""
        values = {"place": self.place, **self.values}
        text = t(f"error.{self.key}", lang, **values)
        remedy = t(f"remedy.{self.key}", lang, **values)
        named = "{place}" in t(f"error.{self.key}", lang)  # the text itself says where
        head = f"{self.place}: {text}" if self.place and not named else text
        return head if remedy == f"remedy.{self.key}" else f"{head}\n→ {remedy}"

    def as_dict(self, lang: str = DEFAULT_LANGUAGE) -> dict[str, str | None]:
        """The same for machines (`--json`)."""
        values = {"place": self.place, **self.values}
        return {
            "error": self.key,
            "place": self.place,
            "message": t(f"error.{self.key}", lang, **values),
            "remedy": t(f"remedy.{self.key}", lang, **values),
        }


class BadInputError(CitymapError):
    """A file that cannot be used as it is."""


class UsageError(BadInputError):
    """Something that cannot be asked for, whatever the data: a command ends with exit 2."""


class SchemaError(CitymapError):
    """A table that does not match its declared columns."""


class CancelledError(CitymapError):
    """The person stopped the work."""

    def __init__(self) -> None:
        super().__init__("cancelled")
