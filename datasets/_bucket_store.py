"""A lake's files in an S3 bucket, through s3fs: writers need no lock, since a file that was replaced is not.

A file is replaced only if it is still what was merged with (``If-Match``), and made only if there is none
(``If-None-Match``); of two writers the later one is told, and merges again. An object appears whole, so that
killed writers leave nothing. Servers without these conditions are refused by the first write.

Keys, region, profile and endpoint are what boto3 reads from the environment, and nothing else.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ._atomic import read_parquet, write_parquet
from ._duckdb import open_database
from ._store import BUCKET_SCHEME, Changed, Reading, Store, Version
from .errors import InputError, LakeError

_TAIL_BYTES: Final = 1 << 16
"""What is read of a file's end for its footer; ours are a few kilobytes."""
_BLOCK_BYTES: Final = 1 << 20
_SINGLE_PUT_BYTES: Final = 1 << 32
"""Up to here a file is sent in one request, which is what the conditions are for."""
_TIMEOUTS: Final = {"connect_timeout": 10, "read_timeout": 60}
_RETRIES: Final = 4
"""Times that a request is sent, with growing pauses, by s3fs."""
_LOST_RACE: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})

Result = TypeVar("Result")
_Version: TypeAlias = tuple[str, int]
"""Entity tag and size, bytes."""


@dataclass(eq=False)
class BucketStore(Store):
    """The files of a lake in a bucket; `address` is ``s3://bucket/prefix``."""

    _files: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            import s3fs  # only with the extra, and slow to import
        except ImportError:
            raise InputError("a lake in a bucket needs s3fs: pip install 'liqtiers[s3]'") from None
        self._there = False
        self._base = self.address.removeprefix(BUCKET_SCHEME).strip("/")
        self._files = s3fs.S3FileSystem(
            use_listings_cache=False,
            skip_instance_cache=True,  # another endpoint or key may be set by now
            default_block_size=_BLOCK_BYTES,
            config_kwargs={**_TIMEOUTS, "retries": {"max_attempts": 0}},
        )
        self._files.retries = _RETRIES

    def files(self, pattern: str) -> dict[str, Version]:
        """Return the names that fit a pattern, their entity tags and sizes.

        All that lies below the pattern's first wildcard is listed, a thousand objects a request: s3fs' own
        glob goes from folder to folder, a request each.
        """
        fixed = re.split(r"[*?]", pattern, maxsplit=1)[0].rpartition("/")[0]
        try:
            listed = self._asked(
                lambda: self._files.find(self._path(fixed) if fixed else self._base, detail=True)
            )
        except FileNotFoundError:
            listed = {}  # nothing of that name yet
        except OSError as error:
            raise LakeError(f"cannot read the lake at {self.address}: {error}") from error
        if not listed:
            self._check_bucket()
        fitting = re.compile(_pattern(pattern))
        found = {
            path.removeprefix(f"{self._base}/"): (state["ETag"], state["size"])
            for path, state in listed.items()
        }
        names = sorted((name for name in found if fitting.fullmatch(name)), key=_by_folder)
        return {name: found[name] for name in names}

    def versions(self, names: Sequence[str]) -> list[Version | None]:
        """Return the versions of files of one series, by one listing."""
        folder = os.path.commonpath([str(Path(name).parent) for name in names])
        known = self.files(f"{folder}/**/*.parquet") if len(names) > 1 else self.files(names[0])
        return [known.get(name) for name in names]

    def read(self, name: str) -> tuple[pa.Table, Version]:
        """Return a file's rows and its version."""
        content, version = self.content(name)
        return read_parquet(io.BytesIO(content)), version

    def content(self, name: str) -> tuple[bytes, Version]:
        """Return a file's bytes and its version."""

        def whole() -> tuple[bytes, Version]:
            # Every request for a part names the tag that was met first.
            with self._files.open(self._path(name), "rb") as file:
                return file.read(), (file.details["ETag"], file.details["size"])

        return self._asked(whole)

    @contextmanager
    def writing(self, *folders: str) -> Iterator[int]:  # noqa: ARG002  # nothing is ever left
        """Let writers go on together: each is told of a file that another one replaced."""
        yield 0

    def put(self, name: str, rows: pa.Table, *, instead_of: Version | None) -> None:
        """Send a file on the condition that it replaces what it was made from."""
        content = io.BytesIO()
        write_parquet(rows, content)
        condition = {"IfNoneMatch": "*"}
        if instead_of is not None:
            tag, _ = cast("_Version", instead_of)
            condition = {"IfMatch": tag}
        self._send(name, content.getvalue(), condition)

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Give a path in a folder of this machine, and send what was made there."""
        with tempfile.TemporaryDirectory(prefix="liqtiers-") as folder:
            made = Path(folder) / name
            yield made
            self._send(name, made.read_bytes(), {})

    def move(self, name: str, to: str, *, version: Version) -> None:
        """Copy a file, and remove it on the condition that it is still what was copied."""
        content, found = self.content(name)
        if found != version:
            raise Changed(self.shown(name))
        self._send(to, content, {"IfNoneMatch": "*"})
        bucket, key, _ = self._files.split_path(self._path(name))
        tag, _ = cast("_Version", version)
        self._conditional(
            name,
            lambda: self._files.call_s3("delete_object", Bucket=bucket, Key=key, IfMatch=tag),
        )

    def copy(self, name: str, target: Path) -> None:
        """Fetch a file."""
        self._asked(lambda: self._files.get_file(self._path(name), str(target)))

    @contextmanager
    def database(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a database that reads through s3fs, only those parts of files that it needs."""
        with open_database() as database:
            database.register_filesystem(self._files)
            yield database

    @contextmanager
    def reading(self, names: Sequence[str]) -> Iterator[Reading]:
        """Give a database, and the addresses, which hold what is there when they are read."""
        with self.database() as connection:
            yield Reading(connection, [self.place(name) for name in names], fixed=False)

    def place(self, name: str = "") -> str:
        """Return the file's or folder's address."""
        return f"{BUCKET_SCHEME}{self._path(name)}".rstrip("/")

    def _metadata(self, names: Mapping[str, Version]) -> dict[str, pq.FileMetaData]:
        paths = [self._path(name) for name in names]
        sizes = [cast("_Version", version)[1] for version in names.values()]
        starts = [max(0, size - _TAIL_BYTES) for size in sizes]
        tails = self._asked(lambda: self._files.cat_ranges(paths, starts, sizes, on_error="return"))
        found: dict[str, pq.FileMetaData] = {}
        for name, path, tail in zip(names, paths, tails, strict=True):
            try:
                if isinstance(tail, Exception):
                    raise tail
                # A footer stands at the end and says how long it is; nothing before it is looked at.
                found[name] = pq.read_metadata(io.BytesIO(tail))
            except pa.ArrowException:
                found[name] = self._whole_metadata(name, path)
            except OSError as error:
                raise self.unreadable(name, error) from error
        return found

    def _whole_metadata(self, name: str, path: str) -> pq.FileMetaData:
        try:
            return pq.read_metadata(io.BytesIO(self._asked(lambda: self._files.cat_file(path))))
        except (pa.ArrowException, OSError) as error:
            raise self.unreadable(name, error) from error

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _check_bucket(self) -> None:
        """Tell a bucket without such files from one that is not there."""
        bucket = self._base.partition("/")[0]
        if self._there:
            return
        try:
            self._asked(lambda: self._files.call_s3("head_bucket", Bucket=bucket))
        except OSError as error:
            raise LakeError(
                f"cannot reach the lake at {self.address}: the bucket {bucket} is not there, or not yours "
                f"({error})"
            ) from error
        self._there = True

    def _send(self, name: str, content: bytes, condition: Mapping[str, Any]) -> None:
        self._conditional(
            name,
            lambda: self._files.pipe_file(
                self._path(name), content, chunksize=_SINGLE_PUT_BYTES, **condition
            ),
        )

    def _conditional(self, name: str, request: Callable[[], object]) -> None:
        try:
            self._asked(request)
        except OSError as error:
            answer = getattr(error.__cause__, "response", {}).get("Error", {})
            if answer.get("Code") in _LOST_RACE:
                raise Changed(self.shown(name)) from error
            raise

    def _asked(self, request: Callable[[], Result]) -> Result:
        """Return a request's answer; what botocore raises is no `OSError` as it is for a folder."""
        from botocore.exceptions import BotoCoreError

        try:
            return request()
        except (BotoCoreError, ValueError) as error:
            # A ValueError comes of an endpoint that is no address.
            raise LakeError(
                f"cannot reach the lake at {self.address}: {str(error).splitlines()[0]}"
            ) from error


def _pattern(pattern: str) -> str:
    """Return a pattern of `Path.glob` as a regular expression."""
    parts = [
        re.escape(part).replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
        for part in pattern.split("**/")
    ]
    return "(?:.*/)?".join(parts)


def _by_folder(name: str) -> list[str]:
    return name.split("/")
