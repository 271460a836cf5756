"""What both MCP servers answer: a handshake, and one tool `side`."""


def answer(request, side):
    if "id" not in request:
        return None
    results = {
        "initialize": {
            "protocolVersion": request.get("params", {}).get("protocolVersion", "2025-03-26"),
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "compat", "version": "1"},
        },
        "ping": {},
        "tools/list": {
            "tools": [
                {
                    "name": "side",
                    "description": "Tells where this server is asked from.",
                    "inputSchema": {"type": "object", "properties": {}},
                    "annotations": {"readOnlyHint": True},
                }
            ]
        },
        "tools/call": {"content": [{"type": "text", "text": side}], "isError": False},
    }
    told = {"jsonrpc": "2.0", "id": request["id"]}
    if request["method"] in results:
        return told | {"result": results[request["method"]]}
    return told | {"error": {"code": -32601, "message": "method not found"}}
