"""The messages of a Kubernetes release as one small file of descriptors, out of the ``.proto`` files of its Go modules.

Those files are made by a program and use a part of the language only: messages of numbered fields and maps. A field
keeps the name that JSON has for it, so that nothing else has to know both; one that lies inline in JSON begins with
``INLINE``. Made by ``tools/schemas.py``.
"""

import json
import re
import subprocess
import zlib
from pathlib import Path
from typing import Any, Final

from google.protobuf import descriptor_pb2

from reconcile.testing.apiserver.wire import DATA, INLINE, definition_of

Json = dict[str, Any]
_MODULES: Final = ("k8s.io/api", "k8s.io/apimachinery", "k8s.io/apiextensions-apiserver", "k8s.io/kube-aggregator")
_MESSAGE: Final = re.compile(r"^message (\w+) \{$")
_FIELD: Final = re.compile(r"^  (optional|repeated|map<string, ([\w.]+)>) ?([\w.]*) (\w+) = (\d+);$")
_SCALARS: Final = {
    name: getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name.upper()}")
    for name in ("string", "bytes", "bool", "int32", "int64", "double", "float", "uint32", "uint64")
}
_UNSTABLE: Final = re.compile(r"/v\d+(alpha|beta)\d+/|/testapigroup/|/imagepolicy/|/apidiscovery/|/runtime/schema/")


def pack_messages(folder: Path, structs: Json) -> None:
    """Write the descriptors of the modules that the module in ``folder`` uses; ``structs`` are facts of Go types."""
    files = descriptor_pb2.FileDescriptorSet()
    for module in _MODULES:
        command = ("go", "list", "-C", str(folder), "-m", "-json", module)
        where = Path(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["Dir"])
        for source in sorted(where.rglob("generated.proto")):
            if not _UNSTABLE.search(str(source)):
                files.file.append(_file(module, source.relative_to(where), source.read_text(), structs))
    known = {file.name for file in files.file}
    for file in files.file:
        kept = [name for name in file.dependency if name in known]
        del file.dependency[:]
        file.dependency.extend(kept)
    DATA.write_bytes(zlib.compress(files.SerializeToString(deterministic=True), 9))


def _file(module: str, name: Path, text: str, structs: Json) -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=f"{module}/{name}", syntax="proto2")
    message: descriptor_pb2.DescriptorProto | None = None
    numbers: Json = {}
    for line in text.splitlines():
        if line.startswith("package "):
            file.package = line.split()[1].rstrip(";")
        elif line.startswith("import "):
            file.dependency.append(line.split('"')[1])
        elif found := _MESSAGE.match(line):
            message = file.message_type.add(name=found[1])
            numbers = structs.get(definition_of(f"{file.package}.{found[1]}"), {}).get("numbers", {})
        elif (found := _FIELD.match(line)) and message is not None:
            _add(file.package, message, found, numbers)
    return file


def _add(package: str, message: descriptor_pb2.DescriptorProto, found: re.Match[str], numbers: Json) -> None:
    label, of_map, type_, name, number = found.groups()
    told = numbers.get(number, name)
    field = message.field.add(name=name, number=int(number), json_name=told or INLINE + name)
    repeated = label != "optional"
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if of_map is None:
        _typed(field, package, type_)
        return
    entry = message.nested_type.add(name=f"{name[0].upper()}{name[1:]}Entry")
    entry.options.map_entry = True
    key = entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL)
    _typed(key, package, "string")
    value = entry.field.add(name="value", number=2, label=field.LABEL_OPTIONAL)
    _typed(value, package, of_map)
    field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{message.name}.{entry.name}"


def _typed(field: descriptor_pb2.FieldDescriptorProto, package: str, type_: str) -> None:
    if type_ in _SCALARS:
        field.type = _SCALARS[type_]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{type_.lstrip(chr(46))}" if "." in type_ else f".{package}.{type_}"
