"""As much of PromQL as tests need: which metrics an expression names, and the same expression without its conditions."""

import re

_STRINGS = re.compile(r'"(?:\\.|[^"\\])*"')
_MATCHERS = re.compile(r"\{[^}]*\}")
_RANGES = re.compile(r"\[[^\]]*\]")
_GROUPINGS = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan"}
_COMPARISONS = re.compile(r"(==|!=|>=|<=|>|<)")


def metrics(expression: str) -> set[str]:
    """Every metric that it names, recorded ones included."""
    bare = _GROUPINGS.sub(" ", _RANGES.sub("", _MATCHERS.sub("", _STRINGS.sub('""', expression))))
    names = re.findall(r"(?<![\w.:$])([a-zA-Z_:][\w:]*)\b(?!\s*\()", bare)
    return {name for name in names if name not in _WORDS}


def of_product(name: str) -> str:
    """The name in the product's table: a histogram is told by three."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


def selectors(expression: str) -> set[str]:
    """Every set of series that it looks at."""
    named = metrics(expression)
    found = re.findall(r"(?<![\w:$\"])([a-zA-Z_:][\w:]*)(\{[^}]*\})?", expression)
    return {name + matchers for name, matchers in found if name in named}


def unconditional(expression: str) -> str:
    """The same with every comparison as a number, 0 or 1, every `absent` as what was to be absent, and no `unless`: it tells
    something whenever that on which it decides is there."""
    bare = re.sub(r"\bunless\s+(on\s*\([^)]*\)\s*)?[\w:]+(\{[^}]*\})?(\s+offset\s+\w+)?", "", expression)
    parts = re.split(r"(\{[^}]*\})", bare)
    told = "".join(part if part.startswith("{") else _COMPARISONS.sub(r"\1 bool", part) for part in parts)
    return re.sub(r"\babsent\s*\(", "(", told)
