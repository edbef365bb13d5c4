"""Provider IDs, read and written.

``ProviderID`` is the checked value; ``parse`` reads one and ``str`` writes it. Depends on nothing but attrs, so that
any program which meets such an ID can use it.
"""

from provider.errors import BadPart, BadScheme, ProviderIDError
from provider.ids import Meaning, ProviderID, Scheme, parse

__all__ = ["BadPart", "BadScheme", "Meaning", "ProviderID", "ProviderIDError", "Scheme", "parse"]
