"""What providers' statuses, codes and words amount to in OpenAI's terms: data only (spec 3.2, 3.5, 3.6)."""

from __future__ import annotations

import re
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Pattern, Tuple


class Row(NamedTuple):
    """What a failure is: its status where it came without one, OpenAI's type, code and param.

    ``type`` None: as the status says; ``code`` None: the provider's own, else as the status says.
    """

    status: int
    type: Optional[str] = None
    code: Optional[str] = None
    param: Optional[str] = None


# By HTTP status: OpenAI's type and code when nothing better is known.
STATUSES: Dict[int, Tuple[str, Optional[str]]] = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", "access_denied"),
    404: ("invalid_request_error", "not_found"),
    405: ("invalid_request_error", "method_not_allowed"),
    408: ("timeout_error", "timeout"),
    409: ("conflict_error", "conflict"),
    413: ("invalid_request_error", "request_too_large"),
    415: ("invalid_request_error", "unsupported_media_type"),
    422: ("invalid_request_error", "unprocessable_entity"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    499: ("server_error", "request_canceled"),
    500: ("server_error", "internal_error"),
    501: ("server_error", "not_implemented"),
    502: ("upstream_error", "bad_gateway"),
    503: ("service_unavailable_error", "server_is_overloaded"),
    504: ("upstream_error", "timeout"),
}
OTHER_STATUSES: Dict[int, Tuple[str, Optional[str]]] = {
    4: ("invalid_request_error", None),
    5: ("server_error", "internal_error"),
}

# Statuses that only one vendor's edge knows, and what they are called where the body is empty.
EDGES: Dict[int, Tuple[int, str]] = {
    430: (429, "Too Many Requests"),
    520: (502, "Web server returned an unknown error"),
    521: (502, "Web server is down"),
    522: (502, "Connection timed out"),
    523: (502, "Origin is unreachable"),
    524: (504, "A timeout occurred"),
    525: (502, "SSL handshake failed"),
    526: (502, "Invalid SSL certificate"),
    529: (503, "Service is overloaded"),
    530: (502, "Origin DNS error"),
}

# OpenAI's own words, and those the tables here give out: kept as they are.
OWN_TYPES: FrozenSet[str] = frozenset(
    (
        "invalid_request_error",
        "rate_limit_error",
        "insufficient_quota",
        "requests",
        "tokens",
        "server_error",
        "permission_error",
        "conflict_error",
        "timeout",
        "timeout_error",
        "service_unavailable_error",
        "upstream_error",
        "image_generation_user_error",
    )
)

BAD_KEY = Row(401, "invalid_request_error", "invalid_api_key")
DENIED = Row(403, "permission_error", "access_denied")
NO_QUOTA = Row(429, "insufficient_quota", "insufficient_quota")
OUT_OF_QUOTA = Row(429, "insufficient_quota")
TOO_FAST = Row(429, "rate_limit_error", "rate_limit_exceeded")
NO_MODEL = Row(404, "invalid_request_error", "model_not_found", "model")
NOT_FOUND = Row(404, "invalid_request_error", "not_found")
FILTERED = Row(400, "invalid_request_error", "content_filter")
BAD_PARAMETER = Row(400, "invalid_request_error", "invalid_parameter_error")
BAD_VALUE = Row(400, "invalid_request_error", "invalid_value")
BAD_REQUEST = Row(400, "invalid_request_error")
TOO_LONG = Row(400, "invalid_request_error", "context_length_exceeded")
TIMED_OUT = Row(504, "upstream_error", "timeout")
BROKEN = Row(500, "server_error", "internal_error")
OVERLOADED = Row(503, "service_unavailable_error", "server_is_overloaded")


def _rows(*groups: Tuple[Row, str]) -> Dict[str, Row]:
    """Rows by lower-case word; the words of a group are separated by ``|``."""
    return {word.strip().lower(): row for row, words in groups for word in words.split("|")}


# By the provider's code; compared without case, the whole code first, then its part before the first dot.
CODES: Dict[str, Row] = _rows(
    (BAD_KEY, "InvalidApiKey | invalid_api_key | NOT AUTHORIZED | unauthorized"),
    (DENIED, "AccessDenied | access_denied | Model.AccessDenied | App.AccessDenied | Workspace.AccessDenied"),
    (NO_QUOTA, "AccessDenied.Unpurchased | Arrearage | AllocationQuota.FreeTierOnly | CommodityNotPurchased"),
    (NO_QUOTA, "PrepaidBillOverdue | PostpaidBillOverdue"),
    (OUT_OF_QUOTA, "insufficient_quota | credit_balance_exhausted | billing_hard_limit_reached"),
    (OUT_OF_QUOTA, "organization_spend_limit_exceeded | project_spend_limit_exceeded"),
    (OUT_OF_QUOTA, "organization_usage_limit_exceeded"),
    (TOO_FAST, "Throttling | Throttling.RateQuota | Throttling.BurstRate | Throttling.AllocationQuota"),
    (TOO_FAST, "LimitRequests | limit_requests | limit_burst_rate"),
    (Row(429, "rate_limit_error"), "rate_limit_exceeded"),
    (NO_MODEL, "ModelNotFound | model_not_found | model_not_supported"),
    (NOT_FOUND, "WorkSpaceNotFound | NotFound"),
    (FILTERED, "DataInspectionFailed | data_inspection_failed | content_filter"),
    (BAD_VALUE, "InvalidParameter.DataInspection"),
    (BAD_PARAMETER, "invalid_parameter_error"),
    (BAD_REQUEST, "invalid_value | invalid_request_error | unsupported_value | unsupported_parameter"),
    (BAD_REQUEST, "unknown_parameter | missing_required_parameter | invalid_type | UnsupportedOperation"),
    (BAD_REQUEST, "FlowNotPublished | tool_use_failed"),
    (TOO_LONG, "context_length_exceeded"),
    (TIMED_OUT, "RequestTimeOut | InternalError.Timeout"),
    (BROKEN, "InternalError | internal_error | SystemError | ModelServiceFailed | InvokePluginFailed"),
    (BROKEN, "AppProcessFailed | RewriteFailed | RetrievalFailed"),
    (OVERLOADED, "ModelServingError | ModelUnavailable | server_is_overloaded"),
)

# By how the provider's code begins, where the whole of it is unknown.
CODE_STARTS: List[Tuple[str, Row]] = [
    ("accessdenied", DENIED),
    ("invalidparameter", BAD_PARAMETER),
    ("badrequest", BAD_REQUEST),
    ("invalidfile", BAD_REQUEST),
    ("invalidurl", BAD_REQUEST),
    ("invalidimage", BAD_REQUEST),
    ("invalidschema", BAD_REQUEST),
    ("audio.", BAD_REQUEST),
    ("internalerror", BROKEN),
]

# By the provider's type, or its status in words; they say less than a code and count only where the status agrees.
TYPES: Dict[str, Row] = _rows(
    (BAD_REQUEST, "invalid_request_error | BadRequestError | INVALID_ARGUMENT | FAILED_PRECONDITION"),
    (BAD_KEY, "authentication_error | AuthenticationError | UNAUTHENTICATED"),
    (Row(402, "insufficient_quota", "insufficient_quota"), "billing_error"),
    (DENIED, "permission_error | PermissionDeniedError | PERMISSION_DENIED"),
    (Row(404, "invalid_request_error"), "not_found_error | NotFoundError | NOT_FOUND"),
    (Row(413, "invalid_request_error", "request_too_large"), "request_too_large"),
    (TOO_LONG, "exceed_context_size_error | too_many_prompt_tokens | TOO_MANY_TOKENS"),
    (TOO_FAST, "rate_limit_error | RateLimitError | RESOURCE_EXHAUSTED | requests | tokens"),
    (OUT_OF_QUOTA, "insufficient_quota"),
    (BROKEN, "server_error | api_error | InternalServerError | INTERNAL"),
    (Row(501, "server_error", "not_implemented"), "NotImplementedError | not_supported_error | UNIMPLEMENTED"),
    (OVERLOADED, "overloaded_error | unavailable_error | service_unavailable_error | UNAVAILABLE"),
    (TIMED_OUT, "timeout_error | timeout | DEADLINE_EXCEEDED"),
)


def _words(pattern: str) -> Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# The context is too small for the ask (C42). A max_tokens over its own limit is another matter and must not match.
CONTEXT: Pattern[str] = _words(
    r"maximum context (?:length|size|window)|context[_ ](?:length|size|window)[_ ](?:has been )?(?:is )?exceeded"
    r"|exceed[a-z]* .{0,80}\bcontext (?:length|size|window)"
    r"|(?:longer|larger) than .{0,60}context (?:length|size|window)"
    r"|range of input length should be|prompt is too long|input is too long|total length of all messages is too long"
    r"|too many tokens: size limit exceeded|input token count .{0,60}exceeds the maximum"
    r"|reduce the length of the (?:messages|prompt|input)|tokens \+ `?max_new_tokens`? must be <="
)
CONTEXT_STATUSES: FrozenSet[int] = frozenset((0, 400, 413, 422, 500))

# By what the message says, where no code and no type told; the statuses for which it counts (0: none was known).
TEXTS: List[Tuple[Pattern[str], Row, FrozenSet[int]]] = [
    (_words(r"^unexpected endpoint"), NOT_FOUND, frozenset((0, 404))),
    (_words(r"\bmodel\b.{0,200}\b(?:not found|not exist|was removed)"), NO_MODEL, frozenset((0, 404))),
    (_words(r"(?<![/\w])models?\b(?! name)|\bmodels/"), NO_MODEL, frozenset((404,))),
    (_words(r"^(?:unauthorized|invalid api key|incorrect api key)\b"), BAD_KEY, frozenset((0,))),
    (_words(r"\brole must be\b"), BAD_REQUEST, frozenset((0, 400))),
    (
        _words(r"\bonly supports? stream|\bstream(?:ing)?\W? (?:is not supported|does not support)"),
        BAD_REQUEST,
        frozenset((0,)),
    ),
    (_words(r"\bdoes not support stream(?:ing)?\b"), BAD_REQUEST, frozenset((0,))),
    (_words(r"^request cancell?ed"), Row(499, "server_error", "request_canceled"), frozenset((0, 499))),
    (_words(r"maximum pending requests|queue (?:is )?full"), OVERLOADED, frozenset((0, 503))),
]

# Where a provider writes its own id of the exchange, best first.
REQUEST_ID_HEADERS: Tuple[str, ...] = (
    "x-request-id",
    "request-id",
    "x-dashscope-request-id",
    "apim-request-id",
    "x-ms-request-id",
    "x-kong-request-id",
    "x-amzn-requestid",
    "cf-ray",
)
