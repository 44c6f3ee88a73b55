"""Tables of the prepare stage: where the text came from, its tokens, and what each token is."""

from pipeline.plumbing.schema import Column, Table
from pipeline.tables.columns import TOKEN, TOKEN_ID

CORPUS = Table(
    name="corpus",
    row="one source of text",
    key=("source",),
    columns=(
        Column(
            "source",
            "string",
            "name",
            "package, file, or generator the text came from; of text from another source, package and kind of text",
        ),
        Column("version", "string", "name", "version of the source; null if it has none", nullable=True),
        Column("documents", "int64", "count", "documents taken from it", 0),
        Column("characters", "int64", "count", "characters in those documents", 0),
        Column("sha256", "string", "hex", "SHA-256 of its documents, joined by NUL, as UTF-8"),
    ),
)
TOKENS = Table(
    name="tokens",
    row="one document",
    key=("document",),
    columns=(
        Column("document", "int64", "index", "document, in the corpus's order", 0),
        Column(
            "split",
            "string",
            "name",
            "what the document is for: other is text from another source, to measure on alone",
            options=("train", "heldout", "other"),
        ),
        Column("token_ids", "list<int32>", "index", "the document's tokens, without [BEGIN] and [END]", 0),
    ),
)
VOCABULARY = Table(
    name="vocabulary",
    row="one token of the vocabulary",
    key=("token_id",),
    columns=(
        TOKEN_ID,
        TOKEN,
        Column("text", "string", "text", "the characters it stands for; null if not whole UTF-8", nullable=True),
        Column("role", "string", "name", "what the token is for", options=("begin", "end", "text")),
    ),
)
