"""Why a text, or four parts, is no provider ID."""


class ProviderIDError(ValueError):
    """No provider ID. ``text`` is the whole of what was read, or would have been written."""

    text: str


class BadScheme(ProviderIDError):
    """The text does not start with ``expected``, the scheme and ``://`` of the generation that was asked for."""

    def __init__(self, text: str, expected: str) -> None:
        super().__init__(text, expected)
        self.text = text
        self.expected = expected

    def __str__(self) -> str:
        return f"provider ID {self.text!r} does not start with {self.expected!r}"


class BadPart(ProviderIDError):
    """A part is missing, empty or invalid, or there is one too many; the leftmost of them is named.

    ``position`` counts from 0: namespace, name, ref, uid; 4 is what stands after the uid. ``value`` is the part as it
    was found ("" if missing), ``reason`` says what is wrong with it.
    """

    def __init__(self, position: int, value: str, reason: str, text: str) -> None:
        super().__init__(position, value, reason, text)
        self.position = position
        self.value = value
        self.reason = reason
        self.text = text

    def __str__(self) -> str:
        return f"provider ID {self.text!r}: part {self.position} {self.value!r} {self.reason}"
