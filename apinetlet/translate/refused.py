"""What a source object asks for that nothing on the other side can be made of.

Raised while translating, told as an Event, and not tried again before something that the object depends on changes.
Source API servers refuse most of it themselves; this is for those that do not. Pure.
"""


class Refused(ValueError):
    """``reason`` is one word for an Event, ``field`` the dotted path of what is wrong; the text says both and why."""

    def __init__(self, reason: str, field: str, why: str) -> None:
        super().__init__(f"{field} {why}")
        self.reason = reason
        self.field = field


def invalid(field: str, why: str) -> Refused:
    """A field whose value no valid object has."""
    return Refused("InvalidSpec", field, why)
