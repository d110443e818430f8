"""Failures as DashScope's clients know them: an envelope, and an error frame inside a stream (spec 3.6, 4.5)."""

from __future__ import annotations

import re
from typing import Dict

from proxy.chat.events import Failed
from proxy.chat.slots import word
from proxy.dialects.dialect import Wire
from proxy.dialects.json_text import read_json, write_json

# By our code where it says more than the status does.
CODES: Dict[str, str] = {
    "invalid_api_key": "InvalidApiKey",
    "access_denied": "AccessDenied",
    "insufficient_quota": "Throttling.AllocationQuota",
    "model_not_found": "ModelNotFound",
    "not_found": "NotFound",
    "content_filter": "DataInspectionFailed",
    "timeout": "RequestTimeOut",
    "server_is_overloaded": "ModelUnavailable",
}
STATUSES: Dict[int, str] = {
    401: "InvalidApiKey",
    402: "Arrearage",
    403: "AccessDenied",
    404: "ModelNotFound",
    408: "RequestTimeOut",
    413: "BadRequest.TooLarge",
    429: "Throttling.RateQuota",
    503: "ModelUnavailable",
    504: "RequestTimeOut",
}
# The provider's own words (spec 4.9), by how they begin: kept if it was one of these who spoke.
NATIVE = re.compile(
    r"(?:InvalidApiKey|NOT AUTHORIZED|AccessDenied|(?:Model|App|Workspace)\.AccessDenied|Arrearage|AllocationQuota"
    r"|CommodityNotPurchased|(?:Prepaid|Postpaid)Bill|Throttling|LimitRequests|ModelNotFound|WorkSpaceNotFound"
    r"|NotFound$|DataInspectionFailed|InvalidParameter|BadRequest(?:\.|Exception)|InvalidFile|InvalidURL|InvalidImage"
    r"|InvalidSchema|UnsupportedOperation|FlowNotPublished|RequestTime[Oo]ut|InternalError|SystemError|ModelService"
    r"|InvokePlugin|AppProcess|Rewrite|Retrieval|ModelServing|ModelUnavailable|Audio\.|FaqRule|CustomRole|IPInfring"
    r"|ClientDisconnect|ServiceUnavailableError|APIConnectionError)"
)

NUMBER = re.compile(rb"^id: ?(\d+)\r?$", re.M)
DATA = re.compile(rb"^data: ?(\{.*\})\r?$", re.M)


def write_failed(failed: Failed) -> Wire:
    """The envelope: code, message and request id, all at the top."""
    identity = failed.extra.get("request_id")
    hidden = {name: failed.extra[name] for name in ("http_status",) if name in failed.extra}  # under --compatible
    request_id = identity if isinstance(identity, str) else ""
    return {"code": _code(failed), "message": failed.message, "request_id": request_id, **hidden}


def write_failed_stream(failed: Failed, before: bytes = b"") -> bytes:
    """A failure inside a stream, which ends with it: its frame goes on counting, and has the id of those before it."""
    numbers = NUMBER.findall(before)
    return write_failed_frame(failed, int(numbers[-1]) + 1 if numbers else 1, _identity(before))


def write_failed_frame(failed: Failed, number: int = 1, request_id: str = "") -> bytes:
    """The same as a stream's frame of that number. The status stands twice: the official SDK skips comments."""
    said = write_failed(failed)
    said["request_id"] = said["request_id"] or request_id
    status = failed.status
    head = b"id:%d\nevent:error\n:HTTP_STATUS/%d\nstatus:%d\n" % (number, status, status)
    return head + b"data:" + write_json(said) + b"\n\n"


def _identity(before: bytes) -> str:
    """The request id that the last of these frames tells."""
    told = DATA.findall(before)
    try:
        said = read_json(told[-1]) if told else {}
    except ValueError:
        return ""
    return word(said, "request_id")


def _code(failed: Failed) -> str:
    told = failed.extra.get("upstream_code")
    if isinstance(told, str) and NATIVE.match(told):
        return told
    if failed.status == 402:
        return STATUSES[402]
    known = CODES.get(failed.code or "") or STATUSES.get(failed.status)
    return known or ("InternalError" if failed.status >= 500 else "InvalidParameter")
