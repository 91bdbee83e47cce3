/**
 * A server behind mcrouter, and what it answers.
 *
 * Follows mcrouter/ProxyDestination.h and mcrouter/lib/network/AsyncMcClientImpl.cpp: one connection to a server, on which
 * requests keep their order; what cannot be connected to is a CONNECT_ERROR, what was under way when the connection broke
 * a REMOTE_ERROR. The words of errors are those of mcrouter/lib/network/AsciiSerialized.cpp (errorResultStr). Left out: that
 * mcrouter does not call a server again for a while (TKO, probe_delay_initial_ms).
 */
import { connect, type Socket } from 'node:net'

export interface Request {
  readonly op: string
  readonly key: string
  /** As it came from the client, line ends included. */
  readonly bytes: string
}

/** mcrouter/lib/McResUtil.h, resultSeverity(); CLIENT_ERROR and the like are worst. */
const SEVERITY = { ok: 1, notFound: 4, connectError: 5, remoteError: 7, localError: 8, clientError: 9, unknown: 10 } as const

/** A reply: its code, by which routes choose, and what is sent to the client. */
export interface Reply {
  readonly result: string
  readonly severity: number
  readonly bytes: string
}

export const errorReply = (kind: 'connectError' | 'remoteError' | 'localError' | 'unknown', words: string): Reply => ({
  result: kind,
  severity: SEVERITY[kind],
  bytes: `SERVER_ERROR ${words}\r\n`,
})

export const LOCAL_ERROR = errorReply('localError', 'local error')
export const UNKNOWN = errorReply('unknown', 'unknown result')

function replyOf(bytes: string): Reply {
  const [line = ''] = bytes.split('\r\n')
  const [word = ''] = line.split(' ')
  if (word === 'SERVER_ERROR') return { result: 'remoteError', severity: SEVERITY.remoteError, bytes }
  if (word === 'CLIENT_ERROR' || word === 'ERROR') return { result: 'clientError', severity: SEVERITY.clientError, bytes }
  const isMiss = word === 'END' || word === 'NOT_FOUND' || word === 'NOT_STORED'
  // END is a get's NOT_FOUND; the values of a get are its FOUND.
  return { result: word === 'END' ? 'NOT_FOUND' : word, severity: isMiss ? SEVERITY.notFound : SEVERITY.ok, bytes }
}

export const isHit = ({ result }: Reply): boolean => ['VALUE', 'DELETED', 'TOUCHED'].includes(result)
export const isWorse = (one: Reply, other: Reply): boolean => one.severity > other.severity

type Settle = (reply: Reply) => void

export class Destination {
  #socket: Socket | undefined
  #due: { readonly isRead: boolean; readonly settle: Settle }[] = []
  #arrived = ''

  constructor(readonly address: string) {}

  route(request: Request): Promise<Reply> {
    return new Promise((settle) => {
      this.#due.push({ isRead: /^gets?$/.test(request.op), settle })
      this.#socket ??= this.#connect()
      this.#socket.write(request.bytes, 'latin1')
    })
  }

  close(): void {
    this.#socket?.destroy()
  }

  #connect(): Socket {
    const [host = '', port] = this.address.split(':')
    const socket = connect(Number(port), host)
    let isConnected = false
    const fail = (): void => {
      if (this.#socket !== socket) return
      this.#socket = undefined
      this.#arrived = ''
      const due = this.#due
      this.#due = []
      for (const { settle } of due) settle(isConnected ? errorReply('remoteError', 'remote error') : errorReply('connectError', 'connection error'))
    }
    socket.setEncoding('latin1')
    socket.on('connect', () => (isConnected = true)).on('data', (text: string) => this.#take(text))
    socket.on('error', fail).on('close', fail)
    return socket
  }

  #take(text: string): void {
    this.#arrived += text
    for (let [first] = this.#due; first !== undefined; [first] = this.#due) {
      const end = first.isRead ? endOfRead(this.#arrived) : endOfLine(this.#arrived, 0)
      if (end === 0) return
      this.#due.shift()
      first.settle(replyOf(this.#arrived.slice(0, end)))
      this.#arrived = this.#arrived.slice(end)
    }
  }
}

/** 0 where it is not all there. */
const endOfLine = (text: string, from: number): number => text.indexOf('\r\n', from) + (text.includes('\r\n', from) ? 2 : 1)

function endOfRead(text: string): number {
  let at = 0
  for (;;) {
    const end = endOfLine(text, at)
    if (end === 0) return 0
    const [, length] = /^VALUE \S+ \d+ (\d+)/.exec(text.slice(at, end)) ?? []
    if (length === undefined) return end
    at = end + Number(length) + 2
    if (at > text.length) return 0
  }
}
