"""/RPC2 as a bare ASGI callable: no framework between the socket and the method table."""

from orrery.api.body import (
    Disconnected,
    Receive,
    Scope,
    Send,
    TooLarge,
    peer_of,
    read_body,
    respond,
)
from orrery.api.xmlrpc.dispatch import Rpc
from orrery.api.xmlrpc_codec import PARSE_ERROR, encode_fault

XML = b"text/xml; charset=utf-8"
CLOSE = ((b"connection", b"close"),)


class RpcEndpoint:
    """Answers POST; everything that goes wrong with a body is an XML-RPC fault."""

    def __init__(self, rpc: Rpc, body_limit: int) -> None:
        self._rpc = rpc
        self._body_limit = body_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await respond(send, 405, b"text/plain", b"XML-RPC takes POST\n", [(b"allow", b"POST")])
            return
        try:
            body = await read_body(scope, receive, self._body_limit)
        except TooLarge:
            text = f"The request is larger than {self._body_limit} bytes"
            await respond(send, 200, XML, encode_fault(PARSE_ERROR, text), CLOSE)
            return
        except TimeoutError:
            text = "The request did not arrive whole in time"
            await respond(send, 200, XML, encode_fault(PARSE_ERROR, text), CLOSE)
            return
        except Disconnected:
            return
        await respond(send, 200, XML, await self._rpc.answer(body, peer_of(scope)))
