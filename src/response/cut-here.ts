import type { ServerResponse } from 'node:http'

/**
 * Whether it was this side that closed the connection of a response, once it is closed: `res.destroy()`, `req.destroy()`,
 * `socket.destroy()`, `server.closeAllConnections()`. The other side would have ended or broken it. Who cuts off the
 * client has given up on the response, and nobody need hold its session any longer.
 *
 * False where it cannot be known: with a time-out on the socket (`server.timeout`) it may have been Node while the
 * handler is at work, and of HTTP/2 the socket is that of all streams.
 */
export function isCutHere({ req, errored }: ServerResponse): boolean {
  const { socket } = req
  if (req.httpVersionMajor !== 1 || (socket.timeout ?? 0) > 0 || socket.readableEnded) return false
  return socket.errored === null || socket.errored === errored || socket.errored === req.errored
}
