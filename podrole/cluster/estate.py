"""Reads an estate from the API server. A kind that cannot be read becomes a gap of the estate."""

from collections.abc import Iterable, Iterator, Sequence

from injector.errors import ApiError, ObjectError
from injector.k8s.client import ApiClient
from injector.k8s.discovery import COLLECTIONS, Collection, find_collections, list_objects
from injector.k8s.objects import Object
from injector.k8s.workload_kinds import WORKLOAD_KINDS, Kinds
from podrole.estate.objects import Estate, UnreadKind
from podrole.progress import progress_message

CUSTOM_KINDS = "custom kinds"


def fetch_estate(
    client: ApiClient,
    kinds: Kinds = WORKLOAD_KINDS,
    namespaces: Sequence[str] = (),
    collections: Iterable[Collection] = COLLECTIONS,
    estate: Estate | None = None,
) -> Estate:
    """Read these collections and every custom kind, of some namespaces or of all, into a new estate or a given one.

    Raises ClusterError.
    """
    estate = estate or Estate(kinds=kinds, is_complete=True)
    for collection in collections:
        add_collection(client, estate, collection, namespaces)
    try:
        with progress_message("reading which custom kinds the cluster has"):
            custom = [*find_collections(client, kinds)]
    except ApiError as error:
        estate.unread.append(UnreadKind(CUSTOM_KINDS, error, is_custom=True))
        return estate
    for collection in custom:
        add_collection(client, estate, collection, namespaces, is_custom=True)
    return estate


def add_collection(
    client: ApiClient,
    estate: Estate,
    collection: Collection,
    namespaces: Sequence[str] = (),
    *,
    is_custom: bool = False,
) -> None:
    """Read the objects of one kind into an estate; an error becomes one of its gaps."""
    name = f"the kind {collection.kind} ({collection.version})"
    try:
        for obj in _list(client, collection, namespaces, estate):
            try:
                estate.add(obj)
            except ObjectError as error:  # a custom kind can have another form than podrole's table says
                estate.unread.append(UnreadKind(name, error, is_custom))
    except ApiError as error:
        estate.unread.append(UnreadKind(name, error, is_custom))
        estate.unread_names.add(collection.kind)


def _list(client: ApiClient, collection: Collection, namespaces: Sequence[str], estate: Estate) -> Iterator[Object]:
    for namespace in namespaces or ("",):
        where = f"namespace {namespace}" if namespace else "the cluster"
        with progress_message(f"listing every {collection.kind} of {where}"):
            yield from list_objects(
                client, collection, namespace, with_owned=estate.with_owned, with_status=estate.with_status
            )
