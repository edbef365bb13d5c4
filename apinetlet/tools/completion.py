"""``apinetlet completion``: what the Tab key offers, made from the declarations of the words and their flags.

Values are offered where the declaration says what they may be: choices, files and folders. Pure: words in, a script
out.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from apinetlet import tools
from apinetlet.demo.main import DemoSettings
from apinetlet.flags import Flag, FlagError, flags_of
from apinetlet.settings import Settings
from apinetlet.tools import shell
from apinetlet.tools.answer import Answer
from apinetlet.tools.shell import Tool

USAGE = """\
apinetlet completion prints a script that makes the Tab key complete words, flags and their values.

  source <(apinetlet completion bash)                                       in ~/.bashrc
  source <(apinetlet completion zsh)                                        in ~/.zshrc, after compinit
  apinetlet completion fish > ~/.config/fish/completions/apinetlet.fish
"""


@frozen
class Flags:
    """The form of the output: the script, or the script as a JSON string."""

    o: str = shell.form()


@frozen
class Word:
    """A word of the command line; "" is the daemon, which has none."""

    word: str
    meaning: str
    flags: Sequence[Flag]
    words: Sequence[str] = ()
    """What may follow it."""


def vocabulary() -> tuple[Word, ...]:
    """All words with their flags, the daemon's first."""
    found = [Word("", "run the daemon", flags_of(Settings)), Word("demo", "watch the daemon", flags_of(DemoSettings))]
    for word, meaning in tools.TOOLS.items():
        tool: Tool = tools.load(word).TOOL
        found.append(Word(word, meaning, flags_of(tool.flags), tool.words))
    return tuple(found)


def work(flags: Flags, places: Sequence[str]) -> Answer:
    """Print the script of a shell."""
    [name] = shell.wanted(places, f"the shell, one of {', '.join(SCRIPTS)}")
    if name not in SCRIPTS:
        raise FlagError(f"no script for {name!r}: there is one for {', '.join(SCRIPTS)}")
    script = SCRIPTS[name](vocabulary())
    return Answer({"shell": name, "script": script}, [script])


def _dashed(flag: Flag) -> str:
    return f"-{flag.name}" if len(flag.name) == 1 else f"--{flag.name}"


def _choices(flag: Flag) -> Sequence[str]:
    if not flag.takes:
        return ("true", "false")
    return flag.takes.split("|") if "|" in flag.takes else ()


# -- bash --------------------------------------------------------------------------------------------------------------

_BASH = """\
# completion of apinetlet for bash
_apinetlet() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} word=${COMP_WORDS[1]} flag flags words
    COMPREPLY=()
    # bash takes --flag=value for three words
    if [[ $cur == "=" ]]; then
        flag=$prev= cur=
    elif [[ $prev == "=" ]]; then
        flag=${COMP_WORDS[COMP_CWORD-2]}=
    else
        flag=$prev
    fi
    case $word in
%(flags)s
    esac
    case "$word $flag" in
%(values)s
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$flags --help" -- "$cur"))
    elif (( COMP_CWORD == 1 )); then
        COMPREPLY=($(compgen -W "%(words)s" -- "$cur"))
    else
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    fi
}
complete -F _apinetlet apinetlet
"""


def bash(vocabulary: Sequence[Word]) -> str:
    """The script for bash 4 and later."""
    named = [*vocabulary[1:], vocabulary[0]]  # the daemon is whatever no other word is
    flags = [
        f"        {_pattern(one)}) flags={shlex.quote(' '.join(map(_dashed, one.flags)))}"
        f" words={shlex.quote(' '.join(one.words))} ;;"
        for one in named
    ]
    values = [line for one in named for line in _bash_values(one)]
    words = " ".join(one.word for one in vocabulary[1:])
    return _BASH % {"flags": "\n".join(flags), "values": "\n".join(values), "words": words}


def _pattern(word: Word) -> str:
    return word.word or "*"


def _bash_values(word: Word) -> Iterable[str]:
    for flag in word.flags:
        dashed = _dashed(flag)
        # a boolean stands alone: the next word is no value of it
        forms = (dashed, f"{dashed}=") if flag.takes else (f"{dashed}=",)
        head = f"        {' | '.join(_after(word, form) for form in forms)}) "
        if choices := _choices(flag):
            yield f'{head}COMPREPLY=($(compgen -W "{" ".join(choices)}" -- "$cur")); return ;;'
        elif flag.takes in ("file", "folder"):
            only = "-d" if flag.takes == "folder" else "-f"
            # line by line, for a name may have spaces
            found = f'mapfile -t COMPREPLY < <(compgen {only} -- "$cur")'
            yield f"{head}compopt -o filenames 2>/dev/null; {found}; return ;;"
        elif flag.takes:
            yield f"{head}return ;;"


def _after(word: Word, form: str) -> str:
    return f'"{word.word} {form}"' if word.word else f'*" {form}"'


# -- zsh ---------------------------------------------------------------------------------------------------------------


def zsh(vocabulary: Sequence[Word]) -> str:
    """The script for zsh."""
    words = [f"{one.word}:{_plain(one.meaning)}" for one in vocabulary[1:]]
    cases = [line for one in vocabulary[1:] for line in _zsh_case(one)]
    daemon = " \\\n        ".join(_zsh_flags(vocabulary[0]))
    return "\n".join(
        [
            "#compdef apinetlet",
            "# completion of apinetlet for zsh",
            "_apinetlet() {",
            "    local -a known",
            f"    known=({' '.join(map(shlex.quote, words))})",
            "    if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then",
            "        _describe 'word' known",
            "        return",
            "    fi",
            "    case $words[2] in",
            *cases,
            "    *)",
            f"        _arguments {daemon} ;;",
            "    esac",
            "}",
            "compdef _apinetlet apinetlet",
            "",
        ]
    )


def _zsh_case(word: Word) -> Iterable[str]:
    specs = _zsh_flags(word)
    if word.words:
        specs.append(shlex.quote(f"1:word:({' '.join(word.words)})"))
    specs.append(shlex.quote("*:word:( )"))  # without it no flag is offered after the second word
    yield f"    {word.word})"
    yield '        words=("${(@)words[2,-1]}"); (( CURRENT-- ))'
    yield f"        _arguments {' '.join(chr(92) + chr(10) + '        ' + spec for spec in specs)} ;;"


def _zsh_flags(word: Word) -> list[str]:
    return [_zsh_flag(flag) for flag in word.flags]


def _zsh_flag(flag: Flag) -> str:
    head = f"{_dashed(flag)}{'=' if flag.takes and len(flag.name) > 1 else ''}[{_plain(flag.meaning)}]"
    if not flag.takes:
        return shlex.quote(head)
    takes = _plain(flag.takes.replace("|", " or "))
    action = {"file": "_files", "folder": "_files -/"}.get(flag.takes, f"({' '.join(_choices(flag))})")
    return shlex.quote(f"{head}:{takes}:{action if action != '()' else ' '}")


def _plain(text: str) -> str:
    """Without what zsh gives a meaning to."""
    return text.replace("\\", "").replace(":", " -").replace("[", "(").replace("]", ")")


# -- fish --------------------------------------------------------------------------------------------------------------


def fish(vocabulary: Sequence[Word]) -> str:
    """The script for fish."""
    known = " ".join(one.word for one in vocabulary[1:])
    lines = ["# completion of apinetlet for fish", "complete -c apinetlet -f"]
    for one in vocabulary:
        condition = (
            f"__fish_seen_subcommand_from {one.word}" if one.word else f"not __fish_seen_subcommand_from {known}"
        )
        head = f"complete -c apinetlet -n {shlex.quote(condition)}"
        if one.word:
            first = shlex.quote(f"not __fish_seen_subcommand_from {known}")
            lines.append(f"complete -c apinetlet -n {first} -a {one.word} -d {_fished(one.meaning)}")
        lines += [f"{head} -a {shlex.quote(word)}" for word in one.words]
        for flag in one.flags:
            name = f"-s {flag.name}" if len(flag.name) == 1 else f"-l {flag.name}"
            lines.append(f"{head} {name} -d {_fished(flag.meaning)}{_fish_value(flag)}")
    return "\n".join(lines) + "\n"


def _fish_value(flag: Flag) -> str:
    if not flag.takes:
        return ""
    if flag.takes == "file":
        return " -r -F"
    if flag.takes == "folder":
        return " -x -a '(__fish_complete_directories)'"
    choices = _choices(flag)
    return f" -x -a {shlex.quote(' '.join(choices))}" if choices else " -x"


def _fished(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


SCRIPTS: Final[Mapping[str, Callable[[Sequence[Word]], str]]] = {"bash": bash, "zsh": zsh, "fish": fish}

TOOL = Tool("completion", USAGE, Flags, work, words=tuple(SCRIPTS))


def main(words: Sequence[str]) -> int:
    """Run the tool."""
    return shell.run(TOOL, words)
