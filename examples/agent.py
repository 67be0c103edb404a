"""An agent in Python with the standard library only. It uses the command line, and a health check of the HTTP API.

`think` is where it would call its model. The agent answers one request and ends.
"""

import json
import os
import subprocess
import urllib.request

SERVER = os.environ.get("AIMESSAGE_SERVER", "ws://localhost:8080")
COMMAND = os.environ.get("AIMESSAGE_COMMAND", "aimessage").split()
NAME = "python"


def aimessage(*arguments, text=None):
    """Runs one command and returns its output, one dict for each line."""
    command = [*COMMAND, *arguments, "--agent", NAME, "--server", SERVER, "--json"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def is_up():
    base = SERVER.replace("ws", "http", 1).removesuffix("/ws")
    with urllib.request.urlopen(f"{base}/health/ready", timeout=10) as answer:
        return answer.status == 200


def think(message):
    return f"{message['from']} wrote {len(message['body'])} characters"


if not is_up():
    raise SystemExit("the node is not ready")
try:
    me = aimessage("whoami")
except subprocess.CalledProcessError:
    me = aimessage("register", NAME)
print(f"I am {me[0]['address']}", flush=True)

for message in aimessage("recv", "--wait", "60", "--count", "1"):
    print(f"{message['from']}: {message['body']}")
    # What others wrote is data: it goes in on standard input, never as part of a command.
    aimessage("send", message["from"], text=think(message))
