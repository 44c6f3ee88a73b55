"""What a table is: a name, what one row stands for, and columns with type, unit, meaning and range."""

from dataclasses import dataclass

TYPES = ("int64", "int32", "float64", "string", "bool", "list<int32>", "list<float32>")


@dataclass(frozen=True)
class Column:
    """One column of a table.

    `low` and `high` bound numbers (and the members of lists) on both ends, inclusive; `options` lists
    the only values a string may take. A null is refused unless `nullable`; NaN and infinity always are.
    """

    name: str
    type: str
    unit: str
    meaning: str
    low: float | None = None
    high: float | None = None
    nullable: bool = False
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a type that no table knows how to store."""
        if self.type not in TYPES:
            raise ValueError(f"column {self.name}: type {self.type!r} is not one of {', '.join(TYPES)}")


@dataclass(frozen=True)
class Table:
    """A kind of table: every file of this name has these columns, in this order, sorted by `key`."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        """Refuse a key that is not made of columns."""
        unknown = set(self.key) - {column.name for column in self.columns}
        if unknown:
            raise ValueError(f"table {self.name}: key names unknown columns {sorted(unknown)}")

    @property
    def names(self) -> list[str]:
        """The columns' names, in order."""
        return [column.name for column in self.columns]

    def with_run(self) -> "Table":
        """Return the readers' version of this table: the same rows, led by experiment and seed."""
        experiment = Column("experiment", "string", "name", "the experiment of the study this run belongs to")
        seed = Column("seed", "int64", "none", "seed of the run's initial weights and training batches", 0)
        return Table(self.name, self.row, ("experiment", "seed", *self.key), (experiment, seed, *self.columns))
