import { IncomingMessage } from 'node:http'
import { type Clock, systemClock } from '../../system/clock.js'

/** A client that sends so slowly is not waited for any longer: its session is locked while it sends. */
const LONGEST_MS = 10_000

/** Resolves when the session may be locked (onBodyArrived); undefined: at once. A request that only reads locks nothing. */
export function bodyToArrive(req: unknown, isReading: boolean): Promise<void> | undefined {
  if (isReading || !isBodyDue(req)) return undefined
  return new Promise((resolve) => onBodyArrived(req, resolve))
}

/**
 * Whether a part of the request's body is still under way and would be kept for whoever reads it: a session that is
 * locked now would be locked while a slow client uploads. False for a request without a body, at the cost of a look at
 * its headers; and where somebody reads the body already, or it is not Node's HTTP/1 parser that brings it.
 */
export function isBodyDue(req: unknown): req is IncomingMessage {
  if (!(req instanceof IncomingMessage) || req.complete) return false
  const { headers } = req
  if (headers['transfer-encoding'] === undefined && !(Number(headers['content-length']) > 0)) return false
  return req.readableFlowing === null && !isFull(req) && !req.destroyed && 'parser' in req.socket && req.socket.parser !== null
}

/**
 * Calls `done` when the body has arrived whole, or as much of it as Node keeps for nobody (`highWaterMark`, 16 to 64 KB),
 * or the client has gone, or after 10 seconds. Consumes nothing. Larger uploads are for the application to receive
 * before the session is opened.
 */
export function onBodyArrived(req: IncomingMessage, done: () => void, clock: Clock = systemClock): void {
  const { push } = req
  let isOver = false
  const end = (): void => {
    if (isOver) return
    isOver = true
    timer.cancel()
    req.off('close', end)
    Reflect.deleteProperty(req, 'push')
    // Not within Node's parser, which is in the middle of this message.
    setImmediate(done)
  }
  const timer = clock.setTimer(end, LONGEST_MS, { background: true })
  req.once('close', end)
  // What the parser calls with each part, and with null at the end: no event tells of that without reading.
  req.push = (chunk: unknown, encoding?: BufferEncoding) => {
    const goOn = push.call(req, chunk, encoding)
    if (chunk === null || isFull(req)) end()
    return goOn
  }
}

const isFull = (req: IncomingMessage): boolean => req.readableLength >= req.readableHighWaterMark
