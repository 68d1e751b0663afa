"""A local stand-in of the Hugging Face hub: the HTTP API that huggingface_hub's `model_info` and
`snapshot_download` and the `from_pretrained` of diffusers and transformers use, with faults of
networks and hubs on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from visuals.checkpoints.hub import first_use


def git_hash(data: bytes) -> str:
    """What git calls a blob of this content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass
class Repository:
    """Commits of files; the last one that is in no `refs` is main. `gated`: only for the token
    `accepted`."""

    commits: dict[str, dict[str, bytes]]
    gated: bool = False
    spoilt: dict[str, bytes] = field(default_factory=dict)
    """File → what is sent in place of its content."""
    sizes: dict[str, int] = field(default_factory=dict)
    """File → the size that is claimed."""
    lost: set[str] = field(default_factory=set)
    """Files that are listed, and answered with 404."""
    refs: dict[str, str] = field(default_factory=dict)
    """Branch or pull request ("refs/pr/1") → its commit."""

    @property
    def main(self) -> str:
        return [commit for commit in self.commits if commit not in self.refs.values()][-1]


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

    def weights(self) -> set[str]:
        """The weights files that were downloaded, by their paths in their repositories."""
        got = (unquote(path) for method, path, _ in self.requests if method == "GET")
        names = (path.partition("/resolve/")[2].partition("/")[2] for path in got)
        return {name for name in names if name.endswith((".safetensors", ".bin"))}

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


def connect(monkeypatch: pytest.MonkeyPatch, hub: Hub, cache: Path) -> None:
    """Have huggingface_hub in this process use this hub and an empty cache.

    It reads its environment when it is imported, so that setting variables would come too late.
    """
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    first_use.forget_listings()


def files_of(folder: Path, *, variant: str = "") -> dict[str, bytes]:
    """The files of a model's folder, for a repository; with `variant`, its weights once more."""
    out = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            out[name] = path.read_bytes()
            if variant and name.endswith(".safetensors"):
                out[name.replace(".safetensors", f".{variant}.safetensors")] = out[name]
    return out


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
        place = urlsplit(self.path)
        path = unquote(place.path)
        self.of.requests.append((self.command, path, self.headers.get("Range") or ""))
        if self.of.status:
            return self._refuse(self.of.status)
        # A revision such as refs/pr/1 is one part of the path, its slashes quoted.
        parts = [unquote(part) for part in place.path.removeprefix("/api/models").split("/")[1:]]
        name, kind = "/".join(parts[:2]), "/".join(parts[2:3])
        revision, file = "/".join(parts[3:4]), "/".join(parts[4:])
        repository = self.of.repositories.get(name)
        if repository is None:
            return self._refuse(401, "RepoNotFound")
        commit = repository.refs.get(revision, revision)
        commit = repository.main if commit in ("", "main") else commit
        if commit not in repository.commits:
            return self._refuse(404, "RevisionNotFound")
        files = repository.commits[commit]
        if path.startswith("/api/") and kind == "tree":
            listed = _tree(repository, files, file, "recursive=true" in place.query.lower())
            return self._send_json(listed, body) if listed else self._refuse(404, "EntryNotFound")
        if path.startswith("/api/"):
            siblings = _siblings(repository, files)
            return self._send_json({"id": name, "sha": commit, "siblings": siblings}, body)
        token = self.headers.get("Authorization")
        if repository.gated and token != "Bearer accepted":
            return self._refuse(403 if token else 401, "GatedRepo")
        if file not in files or file in repository.lost:
            return self._refuse(404, "EntryNotFound")
        data = files[file]
        headers = {"ETag": f'"{_etag(file, data)}"', "X-Repo-Commit": commit}
        self._send_file(repository.spoilt.get(file, data), body, headers)

    def _send_json(self, value: Any, body: bool) -> None:
        self._send(json.dumps(value).encode(), body, {"Content-Type": "application/json"})

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


def _tree(
    repository: Repository, files: dict[str, bytes], folder: str, recursive: bool
) -> list[dict[str, Any]]:
    """The files below a folder as the API's tree lists them, under other names than the siblings,
    and its folders."""
    start = f"{folder}/" if folder else ""
    out: dict[str, dict[str, Any]] = {}
    for found in _siblings(repository, files):
        name = found["rfilename"]
        below = name.removeprefix(start).split("/")[:-1]
        if not name.startswith(start):
            continue
        for depth in range(1, len(below) + 1):
            path = start + "/".join(below[:depth])
            out[path] = {"type": "directory", "path": path, "size": 0, "oid": git_hash(b"")}
        entry = {"type": "file", "path": name, "size": found["size"], "oid": found["blobId"]}
        if lfs := found.get("lfs"):
            size, pointer = lfs["size"], lfs["pointerSize"]
            entry["lfs"] = {"oid": lfs["sha256"], "size": size, "pointerSize": pointer}
        out[name] = entry
    return [e for path, e in out.items() if recursive or "/" not in path.removeprefix(start)]
