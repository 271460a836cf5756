"""A stdio MCP server with one tool, which tells where it runs. Started by the executor."""

import json
import os
import sys

import side
from mcp_tool import answer

for line in sys.stdin:
    told = answer(json.loads(line), f"stdio server on the {side.told(os.getppid())}")
    if told is not None:
        print(json.dumps(told), flush=True)
