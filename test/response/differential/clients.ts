import { once } from 'node:events'
import { Agent, type ClientRequest, type IncomingMessage, request } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { connect, type Socket } from 'node:net'
import type { Protocol, Shape } from './shapes.js'

/** A response as its client sees it. */
export interface Answer {
  readonly status: number
  readonly reason: string
  readonly headers: Readonly<Record<string, string>>
  readonly trailers: Readonly<Record<string, string>>
  /** Statuses of what came before it. */
  readonly informational: readonly number[]
  readonly body: string
  /** It did not end as it should. */
  readonly isCut: boolean
}

export interface Client {
  ask(path: string, shape: Shape, cookie: string | undefined): Promise<Answer>
  /** In the middle of what was asked. */
  leave(): void
  close(): void
}

export const NOTHING: Answer = { status: 0, reason: '', headers: {}, trailers: {}, informational: [], body: '', isCut: true }

export function clientOf(protocol: Protocol, port: number): Client {
  if (protocol === 'HTTP/2') return new Http2Client(port)
  return protocol === 'HTTP/1.0' ? new OldClient(port) : new KeepAliveClient(port)
}

const headersFor = ({ headers = {}, body }: Shape, cookie: string | undefined): Record<string, string> => ({
  'accept-encoding': 'gzip',
  ...(cookie === undefined ? {} : { cookie }),
  ...(body === undefined ? {} : { 'content-length': String(body.length) }),
  ...headers,
})

const paired = (raw: readonly string[]): Record<string, string> => {
  const headers: Record<string, string> = {}
  raw.forEach((name, at) => {
    if (at % 2 === 1) return
    const value = raw[at + 1] ?? ''
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before} | ${value}`
  })
  return headers
}

/** HTTP/1.1: one connection for all, as far as it is kept. */
class KeepAliveClient implements Client {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 })

  private outgoing: ClientRequest | undefined

  constructor(private readonly port: number) {}

  leave(): void {
    this.outgoing?.destroy()
  }

  ask(path: string, shape: Shape, cookie: string | undefined): Promise<Answer> {
    return new Promise((resolve) => {
      const { port, agent } = this
      const { method = 'GET', body } = shape
      const informational: number[] = []
      const outgoing = request({ host: '127.0.0.1', port, agent, path, method, headers: headersFor(shape, cookie) })
      this.outgoing = outgoing
      outgoing.on('information', ({ statusCode }) => informational.push(statusCode))
      outgoing.on('error', () => {
        resolve({ ...NOTHING, informational })
      })
      outgoing.on('response', (response: IncomingMessage) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', () => undefined)
        response.on('close', () => {
          resolve({
            status: response.statusCode ?? 0,
            reason: response.statusMessage ?? '',
            headers: paired(response.rawHeaders),
            trailers: paired(response.rawTrailers),
            informational,
            body: Buffer.concat(chunks).toString('latin1'),
            isCut: !response.complete,
          })
        })
      })
      if (shape.headers?.['expect'] !== undefined) outgoing.once('continue', () => outgoing.end(body))
      else outgoing.end(body)
    })
  }

  close(): void {
    this.agent.destroy()
  }
}

/** HTTP/1.0: a connection for each, which ends with the response. */
class OldClient implements Client {
  private socket: Socket | undefined

  constructor(private readonly port: number) {}

  leave(): void {
    this.socket?.destroy()
  }

  async ask(path: string, shape: Shape, cookie: string | undefined): Promise<Answer> {
    const { method = 'GET', body = '' } = shape
    const socket = connect(this.port, '127.0.0.1')
    this.socket = socket
    const lines = Object.entries(headersFor(shape, cookie)).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`${method} ${path} HTTP/1.0\r\n${lines.join('')}\r\n${body}`)
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('error', () => undefined)
    await once(socket, 'close')
    return answerIn(Buffer.concat(chunks).toString('latin1'), method, [])
  }

  close(): void {
    // Nothing is kept.
  }
}

function answerIn(text: string, method: string, informational: readonly number[]): Answer {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return { ...NOTHING, informational }
  const [first = '', ...lines] = text.slice(0, end).split('\r\n')
  const [, status = '0', reason = ''] = /^HTTP\/1.1 (\d+) (.*)$/.exec(first) ?? []
  const rest = text.slice(end + 4)
  if (status.startsWith('1')) return answerIn(rest, method, [...informational, Number(status)])
  const headers = paired(lines.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
  const due = Number(headers['Content-Length'] ?? rest.length)
  const isCut = method !== 'HEAD' && status !== '304' && status !== '204' && rest.length < due
  return { status: Number(status), reason, headers, trailers: {}, informational, body: rest, isCut }
}

class Http2Client implements Client {
  private readonly session: ClientHttp2Session
  private stream: ClientHttp2Stream | undefined

  constructor(port: number) {
    this.session = connectHttp2(`http://127.0.0.1:${String(port)}`)
    this.session.on('error', () => undefined)
  }

  leave(): void {
    this.stream?.close(constants.NGHTTP2_CANCEL)
  }

  ask(path: string, shape: Shape, cookie: string | undefined): Promise<Answer> {
    const { method = 'GET', body } = shape
    const stream = this.session.request({ ':path': path, ':method': method, ...headersFor(shape, cookie) })
    this.stream = stream
    const informational: number[] = []
    const chunks: Buffer[] = []
    let head: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    let isEnded = false
    stream.on('headers', (headers) => informational.push(headers[':status'] ?? 0))
    stream.on('response', (headers) => (head = headers))
    stream.on('trailers', (headers) => (trailers = headers))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => (isEnded = true))
    stream.on('error', () => undefined)
    if (shape.headers?.['expect'] !== undefined) stream.once('continue', () => stream.end(body))
    else stream.end(body)
    return new Promise((resolve) => {
      stream.on('close', () => {
        const { ':status': status = 0, ...headers } = head
        resolve({
          status: Number(status),
          reason: '',
          headers: flat(headers),
          trailers: flat(trailers),
          informational,
          body: Buffer.concat(chunks).toString('latin1'),
          isCut: !isEnded || stream.rstCode !== 0,
        })
      })
    })
  }

  close(): void {
    this.session.destroy()
  }
}

const flat = (headers: IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value ?? []].flat().join(' | ')]))
