"""What kubeconfig files say, as values, merged as kubectl merges them.

Pure: it takes documents that were already read, and answers with values or a ``LoginError`` that names the file, the
place in it and the remedy. Secrets are never part of a ``repr`` or of a message. ``access.py`` makes sense of one
context of it, ``login.py`` reads the files.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve, field, fields, frozen

from reconcile.kube.errors import KubeError

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")


class LoginError(KubeError):
    """No way to log in. ``problem``: what is wrong; ``where``: file, context, user; ``remedy``: what to do about it."""

    def __init__(self, problem: str, *, where: str = "", remedy: str = "") -> None:
        super().__init__(problem + (f" ({where})" if where else "") + (f"; {remedy}" if remedy else ""))
        self.problem = problem
        self.where = where
        self.remedy = remedy


@frozen
class EnvVar:
    name: str = ""
    value: str = field(default="", repr=False)


@frozen
class ExecPlugin:
    """A program that prints credentials. ``directory``: of the file that names it; relative commands start there."""

    api_version: str = field(default="", metadata={"wire": "apiVersion"})
    command: str = ""
    args: tuple[str, ...] = field(default=(), repr=False)
    env: tuple[EnvVar, ...] = ()
    install_hint: str = field(default="", metadata={"wire": "installHint"})
    provide_cluster_info: bool = field(default=False, metadata={"wire": "provideClusterInfo"})
    interactive_mode: str = field(default="", metadata={"wire": "interactiveMode"})
    directory: Path = field(default=Path(), metadata={"wire": ""})


@frozen
class Extension:
    name: str = ""
    extension: Any = None


@frozen
class Cluster:
    server: str = ""
    certificate_authority: str = ""
    certificate_authority_data: str = field(default="", repr=False)
    insecure_skip_tls_verify: bool = False
    tls_server_name: str = ""
    proxy_url: str = field(default="", repr=False)
    extensions: tuple[Extension, ...] = ()


@frozen
class User:
    client_certificate: str = ""
    client_certificate_data: str = field(default="", repr=False)
    client_key: str = ""
    client_key_data: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = field(default="", metadata={"wire": "tokenFile"})
    username: str = ""
    password: str = field(default="", repr=False)
    as_user: str = field(default="", metadata={"wire": "as"})
    as_uid: str = ""
    as_groups: tuple[str, ...] = ()
    as_user_extra: Mapping[str, tuple[str, ...]] = field(factory=dict)
    auth_provider: Any = field(default=None, repr=False)
    exec: ExecPlugin | None = None


@frozen
class Context:
    cluster: str = ""
    user: str = ""
    namespace: str = ""


@frozen
class Kubeconfig:
    """One file, or several merged. Each entry remembers the file it came from."""

    clusters: Mapping[str, tuple[Cluster, Path]]
    users: Mapping[str, tuple[User, Path]]
    contexts: Mapping[str, tuple[Context, Path]]
    current_context: str
    files: tuple[Path, ...]


def read(document: object, file: Path) -> Kubeconfig:
    """Check one YAML document, read from ``file`` (absolute).

    Raises:
        LoginError: not a kubeconfig; names the place, as in ``users[0].user.token``.
    """
    if document is None:
        document = {}
    if not isinstance(document, Mapping):
        raise LoginError("not a kubeconfig: no mapping at the top", where=str(file), remedy="name another file")
    config = _structure(document, file)
    return Kubeconfig(
        {named.name: (named.cluster, file) for named in reversed(config.clusters)},
        {named.name: (_beside(named.user, file), file) for named in reversed(config.users)},
        {named.name: (named.context, file) for named in reversed(config.contexts)},
        config.current_context,
        (file,),
    )


def merge(configs: Sequence[Kubeconfig]) -> Kubeconfig:
    """As kubectl does: of entries with one name the first file's counts, whole; so does the first current context."""
    backwards = configs[::-1]
    return Kubeconfig(
        {name: entry for config in backwards for name, entry in config.clusters.items()},
        {name: entry for config in backwards for name, entry in config.users.items()},
        {name: entry for config in backwards for name, entry in config.contexts.items()},
        next((config.current_context for config in configs if config.current_context), ""),
        tuple(file for config in configs for file in config.files),
    )


def _beside(user: User, file: Path) -> User:
    return evolve(user, exec=evolve(user.exec, directory=file.parent)) if user.exec else user


@frozen
class _NamedCluster:
    name: str = ""
    cluster: Cluster = Cluster()


@frozen
class _NamedUser:
    name: str = ""
    user: User = User()


@frozen
class _NamedContext:
    name: str = ""
    context: Context = Context()


@frozen
class _File:
    clusters: tuple[_NamedCluster, ...] = ()
    users: tuple[_NamedUser, ...] = ()
    contexts: tuple[_NamedContext, ...] = ()
    current_context: str = ""


def _structure(document: Mapping[Any, Any], file: Path) -> _File:
    import cattrs

    try:
        return _converter().structure(document, _File)
    except cattrs.BaseValidationError as error:
        complaints = cattrs.transform_error(error, path="", format_exception=lambda cause, _: str(cause))
        places = "; ".join(complaint.replace(" @ .", " at ").replace("_", "-") for complaint in complaints[:3])
        # `from None`: the cause holds the values that were read
        raise LoginError(f"not a kubeconfig: {places}", where=str(file), remedy="correct the file") from None


@cache
def _converter() -> "Converter":
    from cattrs import Converter
    from cattrs.gen import make_dict_structure_fn, override

    converter = Converter()

    def structure_class(cls: type[Any]) -> Any:
        names = {one.name: one.metadata.get("wire", one.name.replace("_", "-")) for one in fields(cls)}
        renamed: Any = {name: override(rename=wire) if wire else override(omit=True) for name, wire in names.items()}
        inner = make_dict_structure_fn(cls, converter, **renamed)

        def structure(value: object, _: Any) -> Any:
            if not isinstance(value, Mapping):
                raise TypeError("a mapping is expected")
            return inner({key: each for key, each in value.items() if each is not None}, cls)

        return structure

    def strict(kind: type[T], word: str) -> Any:
        def structure(value: object, _: Any) -> T:
            if not isinstance(value, kind):
                raise TypeError(f"{word} is expected")
            return value

        return structure

    def structure_tuple(cls: Any) -> Any:
        items: Any = list.__class_getitem__(cls.__args__[0])

        def structure(value: object, _: Any) -> tuple[Any, ...]:
            if not isinstance(value, list):
                raise TypeError("a list is expected")
            return tuple(converter.structure(value, items))

        return structure

    converter.register_structure_hook_factory(lambda cls: hasattr(cls, "__attrs_attrs__"), structure_class)
    converter.register_structure_hook_factory(lambda cls: getattr(cls, "__origin__", None) is tuple, structure_tuple)
    converter.register_structure_hook(str, strict(str, "text (quote it)"))
    converter.register_structure_hook(bool, strict(bool, "true or false"))
    return converter
