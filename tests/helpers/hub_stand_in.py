"""A local stand-in of the Hugging Face hub: the HTTP API that huggingface_hub's `model_info` and
`snapshot_download` use, with faults of networks and hubs on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit


def git_hash(data: bytes) -> str:
    """What git calls a blob of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    """Commits of files; the last one is main. `gated`: only for the token `accepted`."""

    commits: dict[str, dict[str, bytes]]
    gated: bool = False
    spoilt: dict[str, bytes] = field(default_factory=dict)
    """File → what is sent in place of its content."""
    sizes: dict[str, int] = field(default_factory=dict)
    """File → the size that is claimed."""
    lost: set[str] = field(default_factory=set)
    """Files that are listed, and answered with 404."""

    @property
    def main(self) -> str:
        return list(self.commits)[-1]


class Hub:
    """`with Hub() as hub:` serves `hub.repositories` at `hub.url`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str, str]] = []
        """(method, path, Range) of each request."""
        self.status: int | None = None
        """Answer everything with this status."""
        self.cut: int | None = None
        """Large files: send so many bytes of an answer, then drop the connection."""
        self.cuts = 0
        """So many answers are still cut; others are whole. Below 0: all are, and empty later."""
        hub = self

        class Handler(_Handler):
            of = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def add(self, name: str, files: dict[str, bytes], **extra: Any) -> Repository:
        """A repository with one commit."""
        made = self.repositories[name] = Repository({"a" * 40: files}, **extra)
        return made

    def fetched(self, ending: str) -> list[str]:
        """The Range header of each GET of a file."""
        return [r for method, path, r in self.requests if method == "GET" and path.endswith(ending)]

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    of: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.of.requests.append((self.command, path, self.headers.get("Range") or ""))
        if self.of.status:
            return self._refuse(self.of.status)
        tree = False
        if path.startswith("/api/models/"):
            name, kind, revision = path[len("/api/models/") :].partition("/tree/")
            tree = bool(kind)
            if not tree:
                name, _, revision = name.partition("/revision/")
        else:
            name, _, rest = path.lstrip("/").partition("/resolve/")
            revision, _, file = rest.partition("/")
        repository = self.of.repositories.get(name)
        if repository is None:
            return self._refuse(401, "RepoNotFound")
        commit = repository.main if revision in ("", "main") else revision
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound")
        files = repository.commits[commit]
        if tree:
            return self._send(
                json.dumps(_tree(repository, files)).encode(),
                body,
                {"Content-Type": "application/json"},
            )
        if path.startswith("/api/"):
            text = json.dumps({"id": name, "sha": commit, "siblings": _siblings(repository, files)})
            return self._send(text.encode(), body, {"Content-Type": "application/json"})
        token = self.headers.get("Authorization")
        if repository.gated and token != "Bearer accepted":
            return self._refuse(403 if token else 401, "GatedRepo")
        if file not in files or file in repository.lost:
            return self._refuse(404, "EntryNotFound")
        data = files[file]
        headers = {"ETag": f'"{_etag(file, data)}"', "X-Repo-Commit": commit}
        self._send_file(repository.spoilt.get(file, data), body, headers)

    def _send_file(self, data: bytes, body: bool, headers: dict[str, str]) -> None:
        wanted = self.headers.get("Range")
        if wanted:
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            data = data[start:]
        cut = self.of.cut if body and self.of.cuts and len(data) > (self.of.cut or 0) else None
        if cut is not None:
            self.of.cuts -= 1
        self._send(data, body, headers, 206 if wanted else 200, cut)

    def _send(
        self,
        data: bytes,
        body: bool,
        headers: dict[str, str],
        status: int = 200,
        cut: int | None = None,
    ) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body:
            self.wfile.write(data if cut is None else data[:cut])
        if cut is not None:
            if self.of.cuts < 0:
                self.of.cut = 0  # the line is dead from now on
            self.close_connection = True

    def _refuse(self, status: int, code: str | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _is_large(name: str) -> bool:
    """What a hub keeps outside git."""
    return name.endswith((".safetensors", ".bin"))


def _etag(name: str, data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if _is_large(name) else git_hash(data)


def _siblings(repository: Repository, files: dict[str, bytes]) -> list[dict[str, Any]]:
    out = []
    for name, data in files.items():
        size = repository.sizes.get(name, len(data))
        entry: dict[str, Any] = {"rfilename": name, "size": size, "blobId": git_hash(data)}
        if _is_large(name):
            sha = hashlib.sha256(data).hexdigest()
            entry["lfs"] = {"size": size, "sha256": sha, "pointerSize": 134}
        out.append(entry)
    return out


def _tree(repository: Repository, files: dict[str, bytes]) -> list[dict[str, Any]]:
    """The files as the API's tree lists them, under other names than the siblings."""
    out = []
    for found in _siblings(repository, files):
        lfs = found.get("lfs")
        entry = {"type": "file", "path": found["rfilename"], "size": found["size"]}
        entry["oid"] = found["blobId"]
        if lfs:
            size, pointer = lfs["size"], lfs["pointerSize"]
            entry["lfs"] = {"oid": lfs["sha256"], "size": size, "pointerSize": pointer}
        out.append(entry)
    return out
