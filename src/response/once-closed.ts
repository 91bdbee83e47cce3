import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

type Listener = () => void

/** Responses that wait for their turn on a connection, and are told nothing by Node. One listener for each socket. */
const queued = new WeakMap<Socket, Set<Listener>>()

/**
 * Calls `listener` once, when the response has ended or its client has left: now, where that was so before (a
 * middleware above took its time), and also for a response that is pipelined behind another one.
 */
export function onceClosed(res: ServerResponse, listener: Listener): void {
  const { socket } = res.req
  if (res.destroyed || (res.socket === null && socket.destroyed)) {
    listener()
    return
  }
  if (res.socket !== null) {
    // Emitted once; `once` would cost a closure a request.
    res.on('close', listener)
    return
  }
  const listeners = listenersOf(socket)
  const tell = (): void => {
    if (listeners.delete(tell)) listener()
  }
  listeners.add(tell)
  res.once('close', tell)
}

function listenersOf(socket: Socket): Set<Listener> {
  const known = queued.get(socket)
  if (known !== undefined) return known
  const listeners = new Set<Listener>()
  queued.set(socket, listeners)
  socket.once('close', () => {
    for (const listener of [...listeners]) listener()
  })
  return listeners
}
