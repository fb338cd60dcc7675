"""The manifests that a command changes."""

from collections.abc import Sequence

from injector.errors import ConfigError
from podrole.progress import progress_message
from podrole.yaml.documents import Document, load_documents


def load_input(filenames: Sequence[str], *, recursive: bool) -> list[Document]:
    """Load all documents. Raise ConfigError if there is none: usually the first command of a pipe failed."""
    with progress_message("reading the manifests"):
        documents = load_documents(filenames, recursive=recursive)
    if not any(document.text.strip() for document in documents):
        raise ConfigError("the input is empty")
    return documents
