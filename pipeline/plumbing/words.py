"""Code without its words: what people read, and no result depends on.

Left out of a module are comments and layout, docstrings, the text of errors, what is printed, and the texts of WORDS.
A reworded message then reruns nothing; new texts still reach the documentation, and whatever is made from then on.
"""

import ast
from collections.abc import Callable

# Where words stand in a call: its name; the keyword; its place if it is given without (None: only by keyword). Of
# names that say little, only in the room where they mean this.
WORDS: tuple[tuple[str, str, str, int | None], ...] = (
    ("pipeline", "Column", "unit", 2),
    ("pipeline", "Column", "meaning", 3),
    ("pipeline", "Table", "row", 1),
    ("pipeline.tables", "replace", "unit", None),
    ("pipeline.tables", "replace", "meaning", None),
    ("pipeline.tables", "replace", "row", None),
    ("pipeline.tables", "number", "unit", 1),  # tables' own short ways to a column
    ("pipeline.tables", "number", "meaning", 2),
    ("pipeline.tables", "interval", "of", 0),
    ("pipeline.tables", "interval", "unit", 1),
    ("pipeline", "Definition", "meaning", 2),
    ("pipeline", "Definition", "source", 3),
    ("pipeline", "Claim", "statement", 1),
    ("pipeline", "Claim", "statistic", 2),
    ("pipeline", "Stage", "mem_mb", None),
    ("pipeline", "Stage", "runtime", None),
    ("pipeline", "ArgumentParser", "description", None),
    ("pipeline", "ArgumentParser", "epilog", None),
    ("pipeline", "add_argument", "help", None),
    ("pipeline", "tqdm", "desc", 1),
)
SPOKEN = ("print", "exit", "warn")  # calls whose every text is for people
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def without_words(source: str, module: str = "pipeline", taken: Callable[[str], bool] = lambda name: False) -> str:
    """Return the code of a module without its words.

    Args:
        source: the module's text.
        module: its dotted name.
        taken: whether another module may take a name from this one; a text of that name is kept.
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    tree = _Speechless(module).visit(tree)
    while unspoken := {name for name in _texts(tree) - _read(tree) if not taken(name)}:
        tree.body = [node for node in tree.body if _text_of(node) not in unspoken]
    return ast.unparse(tree)


class _Speechless(ast.NodeTransformer):
    """Takes the words out of calls and errors."""

    def __init__(self, module: str) -> None:
        self.places: dict[str, list[tuple[str, int | None]]] = {}
        for room, name, keyword, place in WORDS:
            if f"{module}.".startswith(f"{room}."):
                self.places.setdefault(name, []).append((keyword, place))

    def visit_Call(self, call: ast.Call) -> ast.AST:
        self.generic_visit(call)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in SPOKEN:
            call.args = [_Mute().visit(argument) for argument in call.args]
        # Behind *arguments, nobody knows which place is which.
        places = 0 if any(isinstance(argument, ast.Starred) for argument in call.args) else len(call.args)
        for keyword, place in self.places.get(name, ()):
            if place is not None and place < places:
                call.args[place] = ast.Constant("")
            call.keywords = [given for given in call.keywords if given.arg is None or given.arg != keyword]
        return call

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        self.generic_visit(node)
        node.exc = node.exc and _Mute().visit(node.exc)
        return node


class _Mute(ast.NodeTransformer):
    """Takes the text out of an expression; what is computed in it stays."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        # What is formatted may be all that a name is for, so it counts; how, does not.
        values = [self.visit(value.value) for value in node.values if isinstance(value, ast.FormattedValue)]
        return ast.Tuple(values, ast.Load())


def _text_of(node: ast.stmt) -> str | None:
    """Return the name of a module's constant that is nothing but text."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1 or not isinstance(node.targets[0], ast.Name):
        return None
    pure = (ast.Constant, ast.BinOp, ast.Add, ast.JoinedStr, ast.FormattedValue, ast.Name, ast.Load)
    parts = list(ast.walk(node.value))
    strings = [part.value for part in parts if isinstance(part, ast.Constant)]
    is_text = bool(strings) and all(isinstance(value, str) for value in strings)
    return node.targets[0].id if is_text and all(isinstance(part, pure) for part in parts) else None


def _texts(tree: ast.Module) -> set[str]:
    return {name for node in tree.body if (name := _text_of(node)) is not None}


def _read(tree: ast.Module) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
