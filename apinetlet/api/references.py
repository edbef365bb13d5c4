"""How one object names another, in both clusters."""

from attrs import frozen


@frozen
class LocalRef:
    """An object of a known kind in the same namespace. An unchecked server may leave the name out."""

    name: str = ""


@frozen
class UIDRef:
    """An object of a known kind in the same namespace, and which one of that name."""

    name: str = ""
    uid: str = ""
