"""Open a place by its name: to publish into, or to read from."""

from collections.abc import Callable

from ledger.errors import Code, ConditionError
from tlog.folder import Folder
from tlog.objects import ObjectFiles
from tlog.places import Kind, Place
from tlog.publisher import pass_by
from tlog.reading import FolderFiles, HttpFiles


def require_writable(place: Place) -> None:
    """See that a place is of a kind that files can be put into.

    Raises:
        ConditionError: `CONFIG`: a web server.
    """
    if place.kind is Kind.WEB:
        expected = "a folder or an object store; a web server takes nothing"
        raise ConditionError(field="place", found=place.name, expected=expected, code=Code.CONFIG)


def open_files(place: Place, *, reach: Callable[[str], None] = pass_by) -> Folder | ObjectFiles:
    """Open a place to publish into; a folder is made, an object store is not asked anything yet.

    Raises:
        ConditionError: `CONFIG`: a web server, which takes nothing; or the environment lacks what a store needs.
    """
    require_writable(place)
    match place.kind:
        case Kind.FOLDER:
            assert place.folder is not None
            return Folder(place.folder, reach=reach)
        case Kind.STORE:
            return ObjectFiles(place.name)
        case Kind.WEB:
            raise AssertionError(place)


def open_reader(place: Place) -> FolderFiles | HttpFiles | ObjectFiles:
    """Open a place to read from; nothing in it is changed, and a folder that is not there is as an empty one.

    Raises:
        ConditionError: `CONFIG`: the environment lacks what a store needs.
    """
    match place.kind:
        case Kind.FOLDER:
            assert place.folder is not None
            return FolderFiles(place.folder)
        case Kind.STORE:
            return ObjectFiles(place.name)
        case Kind.WEB:
            return HttpFiles(place.name)
