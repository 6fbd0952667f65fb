"""Serves TensorBoard for one run, in a program of its own that ends when nobody uses it.

    python -m trainer.runs.board_server LOGS STATE --prefix /runs/7/tensorboard --idle 900

Once it answers, it writes {"port", "pid"} to STATE. The site touches STATE whenever it forwards a request;
after `idle` seconds without a touch, or when its parent is gone, the program ends.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from formats.json_text import to_json

LOOK = 2.0  # seconds between looks at the clock and the parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--idle", type=float, default=900)
    arguments = parser.parse_args()
    parent = os.getppid()
    port = _serve(arguments.logs, arguments.prefix)
    part = arguments.state.with_suffix(".part")
    part.write_text(to_json({"port": port, "pid": os.getpid()}))
    part.replace(arguments.state)
    while os.getppid() == parent and _seconds_since(arguments.state) < arguments.idle:
        time.sleep(LOOK)
    arguments.state.unlink(missing_ok=True)


def _seconds_since(state: Path) -> float:
    try:
        return time.time() - state.stat().st_mtime
    except FileNotFoundError:
        return float("inf")


def _serve(logs: Path, prefix: str) -> int:
    """Start TensorBoard in threads of this process, for this machine only; returns its port."""
    from tensorboard import default, program

    board = program.TensorBoard(plugins=default.get_plugins())
    board.configure(
        argv=[
            "tensorboard",
            f"--logdir={logs}",
            "--host=127.0.0.1",
            "--port=0",
            f"--path_prefix={prefix}",
            "--load_fast=false",  # one run's logs are small: no second process for them
            "--reload_interval=5",
        ]
    )
    return int(board.launch().rstrip("/").removesuffix(prefix).rsplit(":", 1)[1])


if __name__ == "__main__":
    main()
