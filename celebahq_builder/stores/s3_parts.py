"""A file to S3 in parts of 16 MiB, each checked by the store; after a kill only the missing parts are sent."""

import base64
import contextlib
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from celebahq_builder.sources.remote import patiently
from celebahq_builder.stores.checksums import part_bytes

_AT_ONCE = 4


def send_to_s3(system: Any, place: str, path: Path, sent: Callable[[int], None]) -> None:
    """Send a file; the object takes its name, or replaces the one of before, only once the last part is there.

    Args:
        system: an S3FileSystem.
        place: bucket/key.
        sent: told how many more bytes are there.

    Raises:
        Exception: what s3fs raises, after several tries.
    """
    bucket, key, _ = system.split_path(place)
    size, where = path.stat().st_size, {"Bucket": bucket, "Key": key}
    part = part_bytes(size)
    if size <= part:
        data = path.read_bytes()
        patiently(lambda: system.call_s3("put_object", **where, Body=data, ContentMD5=_in_base64(data)))
        sent(size)
        return
    upload, there = _begun(system, where) or (_begin(system, where), {})

    def send_part(number: int) -> tuple[dict[str, Any], int]:
        with path.open("rb") as file:
            file.seek((number - 1) * part)
            data = file.read(part)
        digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
        etag = there.get(number, "")
        if etag.strip('"') != digest:
            answer = patiently(
                lambda: system.call_s3(
                    "upload_part", **where, UploadId=upload, PartNumber=number, Body=data, ContentMD5=_in_base64(data)
                )
            )
            etag = answer["ETag"]
        return {"PartNumber": number, "ETag": etag}, len(data)

    parts = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        jobs = pool.map(send_part, range(1, -(-size // part) + 1))
        try:
            for fact, num_bytes in jobs:
                parts.append(fact)
                sent(num_bytes)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    _complete(system, where, upload, parts)


def _begin(system: Any, where: dict[str, str]) -> str:
    return patiently(lambda: system.call_s3("create_multipart_upload", **where))["UploadId"]


def _begun(system: Any, where: dict[str, str]) -> tuple[str, dict[int, str]] | None:
    """Return the upload of this object that a kill left, the last begun one, and the ETags of its parts."""
    with contextlib.suppress(PermissionError):  # to list them is a right of its own
        answer = patiently(
            lambda: system.call_s3("list_multipart_uploads", Bucket=where["Bucket"], Prefix=where["Key"])
        )
        ours = [upload for upload in answer.get("Uploads", []) if upload["Key"] == where["Key"]]
        if not ours:
            return None
        upload = max(ours, key=lambda upload: upload["Initiated"])["UploadId"]
        parts: dict[int, str] = {}
        page: dict[str, Any] = {}
        while True:
            after = {"PartNumberMarker": page["NextPartNumberMarker"]} if page else {}
            page = patiently(partial(system.call_s3, "list_parts", **where, UploadId=upload, **after))
            parts |= {part["PartNumber"]: part["ETag"] for part in page.get("Parts", [])}
            if not page.get("IsTruncated"):
                return upload, parts
    return None


def _complete(system: Any, where: dict[str, str], upload: str, parts: list[dict[str, Any]]) -> None:
    """Make the parts one object. An answer that was lost leaves no upload to complete: what is there is looked at."""
    with contextlib.suppress(FileNotFoundError):
        patiently(
            lambda: system.call_s3(
                "complete_multipart_upload", **where, UploadId=upload, MultipartUpload={"Parts": parts}
            )
        )


def _in_base64(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
