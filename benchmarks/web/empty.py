"""An empty service: what FastAPI and uvicorn take by themselves, set as Cueline sets them.

python -m benchmarks.web.empty --port 8000
"""

from __future__ import annotations

import argparse

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.post("/", status_code=202)
async def accept() -> dict[str, str]:
    """Do nothing."""
    return {}


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(app, port=port, log_config=None, access_log=False, lifespan="off", loop="uvloop")


if __name__ == "__main__":
    main()
