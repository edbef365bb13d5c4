"""What the suite itself needs of Python."""

import ast
import gc


def test_the_collector_may_parse_while_something_is_parsed() -> None:
    source = "\n".join(f"x{number} = [a, (b, {{'c': d({number})}})]" for number in range(1000))
    came: list[ast.AST] = []

    def parse_too(phase: str, info: dict[str, int]) -> None:
        came.append(ast.parse("a.b"))

    gc.callbacks.append(parse_too)
    try:
        assert len(ast.parse(source).body) == 1000
        gc.collect()
    finally:
        gc.callbacks.remove(parse_too)
    assert came
