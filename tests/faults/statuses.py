"""Every status, with a body and without one."""

from __future__ import annotations

from typing import List

from stories import JSON, whole

from faults.row import Row

GROUP = "Every status"
CODES = [101, *range(201, 209), 226, *range(300, 309), *range(400, 419), *range(421, 427), 428, 429, 431, 451, 499]
CODES += [*range(500, 509), 510, 511, *range(520, 528), 529, 530, 599, 600, 999]
REFUSAL = b'{"error":{"message":"because","type":"some_error","param":null,"code":"some_code"}}'


def rows() -> List[Row]:
    made = []
    for code in CODES:
        status = b"%d Whatever" % code
        made.append(Row(GROUP, f"{code}, a body, whole", [whole(REFUSAL, status, JSON)], None))
        made.append(Row(GROUP, f"{code}, no body, stream", [whole(b"", status, b"")], None, "stream"))
    return made
