"""What a server has done, in the text format of Prometheus."""

import json
import math
import resource
import sys
from collections import Counter

_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, math.inf)


class Counts:
    """Requests by path and status, and how long those of the interface took."""

    def __init__(self):
        self._requests: Counter[tuple[str, int]] = Counter()
        self._durations: Counter[float] = Counter()
        self._total_s = 0.0

    def add(self, path: str, status: int, *, took_s: float = 0.0) -> None:
        """Count a request that was answered; `path` is one of the server's own."""
        self._requests[path, status] += 1
        if path.startswith("/api/"):
            self._total_s += took_s
            self._durations[next(bound for bound in _BUCKETS_S if took_s <= bound)] += 1

    def text(self, **values: float) -> str:
        """All of it, with values by name: counters end in "_total", the others are gauges."""
        lines = ["# TYPE mclf_requests_total counter"]
        for (path, status), count in sorted(self._requests.items()):
            lines.append(
                f'mclf_requests_total{{path={json.dumps(path)},status="{status}"}} {count}'
            )
        lines.append("# TYPE mclf_request_seconds histogram")
        below = 0
        for bound in _BUCKETS_S:
            below += self._durations[bound]
            shown = "+Inf" if bound == math.inf else f"{bound:g}"
            lines.append(f'mclf_request_seconds_bucket{{le="{shown}"}} {below}')
        lines.append(f"mclf_request_seconds_sum {self._total_s:.6f}")
        lines.append(f"mclf_request_seconds_count {below}")
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        for name, value in {"mclf_peak_memory_bytes": peak, **values}.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# TYPE {name} {kind}", f"{name} {value}"]
        return "\n".join(lines) + "\n"
