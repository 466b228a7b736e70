"""Results with what a test needs in them."""

from benchmarks.machine import Machine
from benchmarks.results import Known, Results

OURS = Known("cueline-postgres", "postgres", True, "100 slots")
SQLITE = Known("cueline-sqlite", "sqlite", True, "100 slots")
ON_REDIS = Known("saq-redis", "redis", False, "as it is")
FASTER_ON_REDIS = Known("huey-redis", "redis", False, "as it is")
ON_POSTGRES = Known("saq-postgres", "postgres", False, "as it is")


def make_results(*values: tuple[Known, str, float]) -> Results:
    machine = Machine("a processor", 2, 8.0, "Linux 6", "3.11.7", {"redis": "7"}, 30.0, 0.1)
    results = Results(machine, "python -m benchmarks")
    for subject, figure, value in values:
        if subject not in results.subjects:
            results.subjects.append(subject)
        results.values[subject.name, figure].append(value)
    results.scenarios = ["enqueue", "drain", "latency"]
    return results
