"""An object store that others read while we write: the `Files` of `tlog.publisher` over S3, Google Cloud or Azure.

Rules of this file
1. What is immutable is created on the condition that nothing is there (`If-None-Match: *`, RFC 9110 §13.1.2), and what
   is replaced on the condition that it is still what was read (`If-Match`). So two publishers of one ledger cannot hurt
   each other: who loses a race is told, and reads again.
2. Some stores refuse conditions (501) or do not heed them. The first object that is created shows which: it is created
   a second time, with the same bytes, and must be refused. With a store that fails this, every object is looked for
   before it is written, and `is_conditional` is False: then one publisher at a time is the operator's care.
3. A put is whole and durable when it is acknowledged, so `sync` has nothing to do.
4. Every object carries the type and the lifetime of `tlog.resources`, so that a store that serves directly gives the
   right headers. Nothing is stored compressed: a store cannot ask a reader what it takes; a CDN before it can.
5. Each request has a time-out of its own over all that the client does inside it, a bounded number of repetitions,
   and is cancelled by `close`, from whatever thread.
6. What a store answers is told as status and code alone: URLs and bodies of answers may hold signatures.

Credentials, endpoints, proxies and the permission for plain HTTP come from the environment, by the names that each
store's own tools use (`AWS_*`, `GOOGLE_*`, `AZURE_*`), or from the machine's role.
Source: obstore, which is the object_store crate; Amazon S3, "conditional writes".
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    NotSupportedError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import from_url

from ledger.errors import Code, ConditionError, FormatError
from ledger.positions import Millis
from tlog.publisher import PARTIAL_SUFFIX
from tlog.resources import BYTES, FOREVER, parse_resource

if TYPE_CHECKING:
    from obstore import Attributes, PutMode, UpdateVersion
    from obstore.store import ObjectStore

REQUEST_S: Final = 60.0  # one request, repetitions and all
RETRIES_MAX: Final = 3
RETRYING_S: Final = 20
LISTED_AT_A_TIME: Final = 1_000
REMOVALS_MAX: Final = 3
_ROOTS: Final = ("tile", "headers")  # what has partial tiles
_METADATA: Final = ("169.254.", "metadata.google")  # asked for a role only where nothing else gave credentials
_STATUS: Final = re.compile(r"\b([1-5]\d\d [A-Z][A-Za-z -]{1,40})")
_CODE: Final = re.compile(r"<Code>(\w{1,64})</Code>")
_NOT_IMPLEMENTED: Final = "501 "
_PANIC: Final = "PanicException"  # of Rust code under Python; no module has it to be imported
_ResultT = TypeVar("_ResultT")


class ObjectFiles:
    """Objects under one prefix of one store. Any thread may call; requests run in a loop of their own."""

    def __init__(self, url: str, *, store: "ObjectStore | None" = None) -> None:
        """Name the store; nothing is asked of it yet.

        Args:
            url: what messages call it, and what the store is made from.
            store: the store itself, if it is made already.

        Raises:
            ConditionError: `CONFIG`: the environment lacks what this kind of store needs, or the URL is of none.
        """
        self._url: Final = url
        if store is None:
            with self._errors("", code=Code.CONFIG):
                store = from_url(
                    url, retry_config={"max_retries": RETRIES_MAX, "retry_timeout": timedelta(seconds=RETRYING_S)}
                )
        self._store: Final = store
        self.is_conditional: bool | None = None
        self._versions: dict[str, UpdateVersion | None] = {}
        self._closing = threading.Lock()
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"objects {url}", daemon=True)
        self._thread.start()

    # -- the `Files` of a publisher ------------------------------------------------------------------------------------

    def read(self, path: str, *, size_max: int) -> bytes | None:
        """Return an object's bytes, at most `size_max` and one more; None where there is none."""

        async def fetch() -> "tuple[bytes, UpdateVersion] | None":
            try:
                result = await obstore.get_async(self._store, path)
            except FileNotFoundError as error:
                if "NoSuchBucket" in str(error):
                    raise
                return None
            raw = bytearray()
            async for piece in result.stream():
                raw += bytes(piece)[: size_max + 1 - len(raw)]
                if len(raw) > size_max:
                    break
            return bytes(raw), _version_of(result.meta)

        found = self._call(path, fetch)
        if _is_mutable(path):
            self._versions[path] = None if found is None else found[1]
        return None if found is None else found[0]

    def exists(self, path: str) -> bool:
        """Say whether there is such an object."""
        return self._written(path) is not None

    def create(self, path: str, raw: bytes) -> bool:
        """Make an object appear whole; False, and nothing changed, if there is one."""
        if not self.is_conditional and self.exists(path):
            return False
        if self.is_conditional is False:
            self._put(path, raw, "overwrite")
            return True
        created = self._put_new(path, raw)
        if created and self.is_conditional is None:
            self.is_conditional = not self._put_new(path, raw)  # rule 2
        return created

    def replace(self, path: str, raw: bytes) -> None:
        """Make an object appear whole in place of the one that was read.

        Raises:
            ConditionError: `NOT_READY`: somebody else replaced it since; read it again.
        """
        known = self._versions.pop(path, {})
        mode: PutMode = "create" if known is None else known or "overwrite"
        if self.is_conditional is False:
            mode = "overwrite"
        try:
            self._put(path, raw, mode)
        except (AlreadyExistsError, PreconditionError):
            if self.read(path, size_max=len(raw)) == raw:  # ours: an answer was lost, and the request repeated
                return
            found, expected = "what somebody else wrote meanwhile", "what was read; another publisher is at work"
            raise self._fail(path, found, expected, Code.NOT_READY) from None
        except NotSupportedError:
            self.is_conditional = False
            self._put(path, raw, "overwrite")

    def sync(self) -> None:
        """Nothing: whatever was acknowledged is durable."""

    def partials(self) -> Sequence[tuple[str, Millis]]:
        """List folders of partial tiles whose full one is there, with the time at which that was written."""
        folders: dict[str, None] = {}
        for root in _ROOTS:
            for path in self.paths(root):
                folder, slash, _ = path.rpartition("/")
                if slash and folder.endswith(PARTIAL_SUFFIX):
                    folders[folder] = None
        written = {folder: self._written(folder.removesuffix(PARTIAL_SUFFIX)) for folder in folders}
        return [(folder, time) for folder, time in written.items() if time is not None]

    def remove_folder(self, path: str) -> None:
        """Remove the objects below a path; another publisher may be doing the same."""
        for _ in range(REMOVALS_MAX):
            found = list(self.paths(path))
            if not found:
                return
            self._delete(path, found)

    def _delete(self, path: str, found: Sequence[str]) -> None:
        async def remove() -> None:
            with contextlib.suppress(FileNotFoundError):
                await obstore.delete_async(self._store, found)

        self._call(path, remove)

    # -- beside it -----------------------------------------------------------------------------------------------------

    def paths(self, root: str | None = None) -> Iterator[str]:
        """List the objects below a path, or all of them, as the store answers: a thousand at a time."""

        async def begin() -> Any:  # a stream of obstore's, whose type is generic over what it lists
            return obstore.list(self._store, root, chunk_size=LISTED_AT_A_TIME)

        listed = self._call(root or "", begin)

        async def go_on() -> list[str] | None:
            async for chunk in listed:
                return [each["path"] for each in chunk]
            return None

        while (chunk := self._call(root or "", go_on)) is not None:
            yield from chunk

    def close(self) -> None:
        """Give up whatever is under way: each call that waits, and each later one, raises `DRAINING`."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # -- requests ------------------------------------------------------------------------------------------------------

    def _put_new(self, path: str, raw: bytes) -> bool:
        try:
            self._put(path, raw, "create")
        except AlreadyExistsError:
            return False
        except NotSupportedError:
            self.is_conditional = False
            return self.create(path, raw)  # which looks before it writes
        return True

    def _put(self, path: str, raw: bytes, mode: "PutMode") -> None:
        attributes = _attributes_of(path)
        self._call(
            path,
            lambda: obstore.put_async(self._store, path, raw, mode=mode, attributes=attributes, use_multipart=False),
        )

    def _written(self, path: str) -> Millis | None:
        """When an object was written; None where there is none."""

        async def ask() -> Millis | None:
            try:
                meta = await obstore.head_async(self._store, path)
            except FileNotFoundError:
                return None
            return Millis(int(meta["last_modified"].timestamp() * 1000))

        return self._call(path, ask)

    def _call(self, path: str, make: Callable[[], Awaitable[_ResultT]]) -> _ResultT:
        """Have the loop do one request, and wait for it."""

        async def act() -> _ResultT:
            async with asyncio.timeout(REQUEST_S):
                return await make()

        with self._errors(path):
            with self._closing:
                if self._is_closed:
                    raise CancelledError
                future = asyncio.run_coroutine_threadsafe(act(), self._loop)
            return future.result()

    @contextlib.contextmanager
    def _errors(self, path: str, *, code: Code = Code.UNREACHABLE) -> Iterator[None]:
        """Turn the store's words into ours; those that a caller here can do something about pass."""
        try:
            yield
        except (AlreadyExistsError, PreconditionError, NotSupportedError):
            raise
        except CancelledError:
            raise self._fail(path, "a stop", "no stop", Code.DRAINING) from None
        except TimeoutError as error:
            raise self._fail(path, f"no answer within {REQUEST_S:.0f} s", "an answer", Code.TIMEOUT) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            found = _summarize(error)
            raise self._fail(path, found, "credentials that may read and write here", Code.UNAUTHENTICATED) from None
        except (BaseError, FileNotFoundError, ValueError) as error:
            text = str(error)
            if any(place in text for place in _METADATA):
                expected = "credentials in the environment, as the store's own tools take them"
                raise self._fail(path, "no credentials", expected, Code.UNAUTHENTICATED) from None
            found = _summarize(error)
            if found.startswith(_NOT_IMPLEMENTED):
                raise NotSupportedError(found) from None
            expected = "a store that answers" if code is Code.UNREACHABLE else "what this kind of store needs"
            raise self._fail(path, found, expected, code) from None
        except BaseException as error:
            if type(error).__name__ != _PANIC:
                raise
            raise self._fail(path, "a panic of its client, which is told on stderr", "none", code) from None

    def _fail(self, path: str, found: str, expected: str, code: Code) -> ConditionError:
        field = f"{self._url}/{path}" if path else self._url
        return ConditionError(field=field, found=found, expected=expected, code=code)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _version_of(meta: Any) -> "UpdateVersion":  # what a store says of an object: entity tag, generation, either or none
    return {name: meta[name] for name in ("e_tag", "version") if meta.get(name) is not None}  # type: ignore[return-value]


def _is_mutable(path: str) -> bool:
    try:
        return parse_resource(path).caching != FOREVER
    except FormatError:
        return False


def _attributes_of(path: str) -> "Attributes":
    """Type and lifetime as the node's own server would give them."""
    try:
        resource = parse_resource(path)
    except FormatError:
        return {"Content-Type": BYTES}
    return {"Content-Type": resource.media_type, "Cache-Control": resource.caching}


def _summarize(error: BaseException) -> str:
    """Say in few words what a store answered, and nothing that may hold a signature."""
    text = str(error).partition("\n\nDebug source")[0]
    status, code = _STATUS.search(text), _CODE.search(text)
    if status is not None:
        return status[1].strip() + (f" ({code[1]})" if code is not None else "")
    tail = text.rpartition(" - ")[2] if " - " in text else text
    return re.sub(r"\S*(?:://|[?&]\w+=)\S*", "…", tail.partition("\n")[0])
