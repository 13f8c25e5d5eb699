"""A Hugging Face Hub on the loopback interface, in memory: what the real client calls for models and data.

Branches, tags, pull requests and commits hold whole folders; large files go through Git LFS. Tokens are "write" and
"read"; any other is unknown. `refuse` makes a route answer with an error, `before_commit` runs in between.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import yaml

LICENSES = {"apache-2.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-4.0", "cc0-1.0", "mit", "other", "unknown"}
LARGE = (".safetensors", ".onnx", ".png", ".parquet")
Files = dict[str, bytes]


@dataclass
class Repo:
    """One repository; a commit is the sha of what it holds and of its parent."""

    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pull_requests: dict[str, str] = field(default_factory=dict)
    commits: dict[str, Files] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, ref: str, changes: dict[str, bytes | None], message: str, parent: str | None = None) -> str:
        """Add a commit on top of parent, or of the branch, and point ref at it; None deletes a file."""
        parent = parent or self.branches.get(ref, "")
        files = {path: data for path, data in {**self.commits.get(parent, {}), **changes}.items() if data is not None}
        listing = [(path, hashlib.sha256(data).hexdigest()) for path, data in sorted(files.items())]
        sha = hashlib.sha1(repr((parent, listing, len(self.commits))).encode()).hexdigest()
        self.commits[sha] = files
        self.messages.append(message)
        (self.pull_requests if ref.startswith("refs/pr/") else self.branches)[ref] = sha
        return sha

    def resolve(self, revision: str) -> str | None:
        names = {**self.pull_requests, **self.tags, **self.branches, **{sha: sha for sha in self.commits}}
        return names.get(revision)


class LoopbackHub(ThreadingHTTPServer):
    """Serve until closed; `with LoopbackHub() as hub:` gives one at hub.url."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.refuse: dict[str, tuple[int, dict[str, str]]] = {}
        self.before_commit: Callable[[Repo], object] | None = None
        self.url = f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, files: Files, private: bool = False) -> Repo:
        """Make a repository that holds files on its main branch."""
        self.repos[name] = Repo(private=private)
        self.repos[name].commit("main", files, "theirs")
        return self.repos[name]

    def __enter__(self) -> "LoopbackHub":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One request. A route is a method, a pattern of the path, and the function that answers it."""

    server: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def answer(self, data: object = None, status: int = 200, **headers: str) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def fail(self, status: int, code: str = "", message: str = "", **headers: str) -> None:
        self.answer({"error": message}, status, X_Error_Code=code, X_Error_Message=message, **headers)

    def handle_route(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.server.requests.append(f"{self.command} {path}")
        for part, (status, headers) in self.server.refuse.items():
            if part in f"{self.command} {path}":
                return self.fail(status, **{"message": "", **headers})
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token not in ("", "read", "write"):
            return self.fail(401, message="Invalid credentials in Authorization header")
        writes = self.command == "POST" and "validate-yaml" not in path
        if writes and token != "write":
            words = "You have read access but not the required permissions for this operation"
            return self.fail(403, message=words) if token else self.fail(401, message="Invalid username or password.")
        for method, pattern, function in ROUTES:
            if method == self.command.replace("HEAD", "GET") and (match := re.fullmatch(pattern, path)):
                names = {name: unquote(value) for name, value in match.groupdict().items()}
                if "repo" not in names:
                    return function(self, body)
                repo = self.server.repos.get(names.pop("repo"))
                if repo is None or (repo.private and not token):
                    return self.fail(404 if token else 401, "RepoNotFound", "Repository not found")
                if (revision := names.get("revision")) is not None and repo.resolve(revision) is None:
                    return self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
                return function(self, repo, body, **names)
        return self.fail(404, message=f"no route {self.command} {path}")

    do_GET = do_HEAD = do_POST = do_PUT = handle_route

    def create(self, body: bytes) -> None:
        asked = json.loads(body)
        name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
        if name in self.server.repos:
            return self.fail(409, message="You already created this model repo")
        private = asked.get("private") or asked.get("visibility") == "private"
        repo = self.server.repos[name] = Repo(private=bool(private))
        repo.commit("main", {".gitattributes": b"*.onnx filter=lfs\n"}, "initial commit")
        return self.answer({"url": f"{self.server.url}/{name}"})

    def validate(self, body: bytes) -> None:
        _, block, _ = json.loads(body)["content"].split("---\n", 2)
        card = yaml.safe_load(block)
        wrong = [] if card.get("license") in LICENSES else [f'"license" must be one of {sorted(LICENSES)}']
        if card.get("license") == "other" and not re.fullmatch(r"[a-z0-9-.]+", card.get("license_name", "")):
            wrong.append('"license_name" must be a slug')
        for key in ("tags", "datasets", "metrics"):
            if not all(isinstance(item, str) for item in card.get(key, [])):
                wrong.append(f'"{key}" must be strings')
        for result in [result for model in card.get("model-index", []) for result in model["results"]]:
            if not (result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]):
                wrong.append('"model-index" wants task.type, dataset.type, dataset.name')
            if not all(metric["type"] and "value" in metric for metric in result["metrics"]):
                wrong.append('"model-index" wants metrics of type and value')
        self.answer({"errors": [{"message": m} for m in wrong], "warnings": []}, 400 if wrong else 200)

    def info(self, repo: Repo, body: bytes, revision: str = "main") -> None:
        sha = repo.resolve(revision)
        siblings = [{"rfilename": path} for path in sorted(repo.commits[sha])]
        self.answer({"id": "x/y", "sha": sha, "private": repo.private, "siblings": siblings, "tags": []})

    def refs(self, repo: Repo, body: bytes) -> None:
        def listed(kind: str, names: dict[str, str]) -> list[dict[str, str]]:
            return [{"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": sha} for name, sha in names.items()]

        self.answer({"branches": listed("heads", repo.branches), "tags": listed("tags", repo.tags), "converts": []})

    def tree(self, repo: Repo, body: bytes, revision: str) -> None:
        self.answer(
            [
                {"type": "file", "path": path, "size": len(data), "oid": etag(path, data)}
                | ({"lfs": {"oid": etag(path, data), "size": len(data), "pointerSize": 130}} if is_large(path) else {})
                for path, data in sorted(repo.commits[repo.resolve(revision)].items())
            ]
        )

    def preupload(self, repo: Repo, body: bytes, revision: str) -> None:
        held = repo.commits[repo.resolve(revision)]
        files = []
        for path in (asked["path"] for asked in json.loads(body)["files"]):
            oid = {"oid": etag(path, held[path])} if path in held else {}
            mode = "lfs" if is_large(path) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, **oid})
        self.answer({"files": files})

    def batch(self, repo: Repo, body: bytes) -> None:
        objects = json.loads(body)["objects"]
        for item in objects:
            if item["oid"] not in self.server.large:
                item["actions"] = {"upload": {"href": f"{self.server.url}/lfs/{item['oid']}"}}
        self.answer({"transfer": "basic", "objects": objects})

    def store(self, body: bytes) -> None:
        self.server.large[hashlib.sha256(body).hexdigest()] = body
        self.answer()

    def commit(self, repo: Repo, body: bytes, revision: str) -> None:
        if self.server.before_commit:
            self.server.before_commit(repo)
        changes, header = {}, {}
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                header = value
            elif line["key"] == "file":
                changes[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                changes[value["path"]] = self.server.large[value["oid"]]
            elif line["key"] == "deletedFile":
                changes[value["path"]] = None
        head = repo.resolve(revision)
        if header.get("parentCommit", head) != head:
            return self.fail(412, message="A commit has happened since. Please refresh and try again.")
        number, pull = len(repo.pull_requests) + 1, "create_pr=1" in self.path
        sha = repo.commit(f"refs/pr/{number}" if pull else revision, changes, header["summary"], head)
        url = {"pullRequestUrl": f"{self.server.url}/x/y/discussions/{number}"} if pull else {}
        return self.answer({"commitOid": sha, "commitUrl": f"{self.server.url}/x/y/commit/{sha}", **url})

    def tag(self, repo: Repo, body: bytes, revision: str) -> None:
        name = json.loads(body)["tag"]
        if name in repo.tags:
            return self.fail(409, message="Tag reference exists already")
        repo.tags[name] = repo.resolve(revision)
        return self.answer({})

    def branch(self, repo: Repo, body: bytes, name: str) -> None:
        if name in repo.branches:
            return self.fail(409, message="Reference already exists")
        repo.branches[name] = repo.resolve(json.loads(body or b"{}").get("startingPoint") or "main")
        return self.answer({})

    def file(self, repo: Repo, body: bytes, revision: str, path: str) -> None:
        sha = repo.resolve(revision)
        data = repo.commits[sha].get(path)
        if data is None:
            return self.fail(404, "EntryNotFound", "Entry not found", X_Repo_Commit=sha)
        return self.answer(data, X_Repo_Commit=sha, ETag=f'"{etag(path, data)}"', X_Linked_Size=str(len(data)))


def is_large(path: str) -> bool:
    return path.endswith(LARGE)


def etag(path: str, data: bytes) -> str:
    """Return the id that the Hub gives a file: the sha256 of a large one, git's blob of a small one."""
    if is_large(path):
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


MODEL = r"/api/(?:models|datasets)/(?P<repo>[^/]+/[^/]+)"
ROUTES = (
    ("GET", r"/api/agent-harnesses", lambda handler, body: handler.answer({})),  # the client asks for it once a day
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate),
    ("GET", MODEL, Handler.info),
    ("GET", MODEL + r"/revision/(?P<revision>.+)", Handler.info),
    ("GET", MODEL + r"/refs", Handler.refs),
    ("GET", MODEL + r"/tree/(?P<revision>.+)", Handler.tree),
    ("POST", MODEL + r"/preupload/(?P<revision>.+)", Handler.preupload),
    ("POST", MODEL + r"/commit/(?P<revision>.+)", Handler.commit),
    ("POST", MODEL + r"/tag/(?P<revision>.+)", Handler.tag),
    ("POST", MODEL + r"/branch/(?P<name>.+)", Handler.branch),
    ("POST", r"/(?:datasets/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", Handler.batch),
    ("PUT", r"/lfs/\w+", Handler.store),
    ("GET", r"/(?:datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)", Handler.file),
)
