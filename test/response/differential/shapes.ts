import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { PassThrough, pipeline as pipelineOf, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Request, Response } from 'express'
import { onFinished, onHeaders } from './wrappers.js'

/** What the handler of a response saw, in order. */
export type Log = (...said: unknown[]) => void

export interface Shape {
  readonly handler: (req: Request, res: Response, log: Log, next: (error?: unknown) => void) => unknown
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Its client leaves when the handler has begun: what it got by then is chance. */
  readonly leaves?: boolean
  /** Protocols that have no such thing. */
  readonly not?: readonly Protocol[]
}

export type Protocol = 'HTTP/1.1' | 'HTTP/1.0' | 'HTTP/2'

type Handler = Shape['handler']

const TEXT = 'the body of a response, with an ü'
const BIG = Buffer.alloc(300_000, 'abcdefghij')
const FILE = fileURLToPath(new URL('./file.txt', import.meta.url))

/** An error whose page has no line numbers. */
function failure(message: string): Error {
  const error = new Error(message)
  error.stack = `Error: ${message}`
  return error
}

/** In the next turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const codeOf = (error: unknown): unknown =>
  error instanceof Error ? ('code' in error && error.code !== undefined ? error.code : error.message) : error

export function change(req: Request, name: string): void {
  if ('session' in req) Object.assign(req.session, { [name]: 1 })
}

/** What it throws, by its code. */
function trying(log: Log, what: string, work: () => unknown): void {
  try {
    work()
    log(what, 'ok')
  } catch (error) {
    log(what, codeOf(error))
  }
}

const called =
  (log: Log, what: string) =>
    (error?: unknown): void =>
      log(what, codeOf(error ?? undefined))

async function drained(res: Response): Promise<void> {
  await new Promise<void>((resolve) => res.once('drain', resolve))
}

const ENDS: Readonly<Record<string, Handler>> = {
  'end()': (_req, res) => res.end(),
  'end(text)': (_req, res) => res.end(TEXT),
  'end(buffer)': (_req, res) => res.end(Buffer.from(TEXT)),
  'end(bytes)': (_req, res) => res.end(Uint8Array.from([1, 2, 3])),
  'end(text, latin1)': (_req, res) => res.end(TEXT, 'latin1'),
  'end(text, hex)': (_req, res) => res.end('616263', 'hex'),
  "end('')": (_req, res) => res.end(''),
  'end(null)': (_req, res) => res.end(null),
  'end(callback)': (_req, res, log) => res.end(called(log, 'ended')),
  'end(text, callback)': (_req, res, log) => res.end(TEXT, called(log, 'ended')),
  'end(buffer, encoding, callback)': (_req, res, log) => res.end(Buffer.from(TEXT), 'utf8', called(log, 'ended')),
  'end, in its own time': async (_req, res) => {
    await turn()
    res.end(TEXT)
  },
  'end of a big one': (_req, res) => res.end(BIG),
  'end twice': (_req, res) => {
    res.end(TEXT)
    res.end('more')
  },
  'end, then what it says': (_req, res, log) => {
    res.end(TEXT)
    log(res.writableEnded, res.headersSent)
  },
  'end, then a header': (_req, res, log) => {
    res.end(TEXT)
    trying(log, 'setHeader', () => res.setHeader('X-Late', '1'))
    trying(log, 'writeHead', () => res.writeHead(500))
    trying(log, 'removeHeader', () => {
      res.removeHeader('X-Powered-By')
    })
  },
  'end, then a status': (_req, res) => {
    res.end(TEXT)
    res.statusCode = 500
  },
  'end, then the session': (req, res) => {
    res.end(TEXT)
    change(req, 'late')
  },
}

const WRITES: Readonly<Record<string, Handler>> = {
  'write, end': (_req, res) => (res.write(TEXT), res.end()),
  'write, end(text)': (_req, res) => (res.write(TEXT), res.end(TEXT)),
  'write(buffer) three times': (_req, res) => {
    for (const part of ['one', 'two', 'three']) res.write(Buffer.from(part))
    res.end()
  },
  'write(text, encoding, callback)': (_req, res, log) => {
    res.write(TEXT, 'latin1', called(log, 'written'))
    res.end()
  },
  'write(text, callback), and end': async (_req, res, log) => {
    await new Promise((resolve) => res.write(TEXT, resolve))
    log('written')
    res.end('more')
  },
  "write('')": (_req, res) => {
    res.write('')
    res.end(TEXT)
  },
  'write of a number': (_req, res, log) => {
    trying(log, 'write', () => Reflect.apply(res.write, res, [5]))
    res.end('none')
  },
  'write, turn by turn': async (_req, res) => {
    for (const part of ['one', 'two', 'three']) {
      res.write(part)
      await turn()
    }
    res.end('end')
  },
  'write, what it says': (_req, res, log) => {
    log(res.headersSent, res.write(TEXT), res.headersSent, res.writableEnded)
    res.end()
  },
  'write, then a header': (_req, res, log) => {
    res.write(TEXT)
    trying(log, 'setHeader', () => res.setHeader('X-Late', '1'))
    res.end()
  },
  'write, then the session': async (req, res) => {
    res.write(TEXT)
    await turn()
    change(req, 'late')
    res.end()
  },
  'write with backpressure': async (_req, res) => {
    for (let at = 0; at < BIG.length; at += 50_000) {
      if (!res.write(BIG.subarray(at, at + 50_000))) await drained(res)
    }
    res.end()
  },
  'corked writes': async (_req, res) => {
    res.cork()
    res.write('one')
    res.write('two')
    await turn()
    res.uncork()
    res.end('three')
  },
  'corked to the end': (_req, res) => {
    res.cork()
    res.write('one')
    res.end('two')
  },
  'write in chunks that it says': (_req, res) => {
    res.setHeader('Transfer-Encoding', 'chunked')
    res.write('one')
    res.end('two')
  },
}

const HEADS: Readonly<Record<string, Handler>> = {
  'writeHead, end': (_req, res) => res.writeHead(202, { 'X-Head': 'of writeHead' }).end(TEXT),
  'writeHead, write, end': (_req, res) => {
    res.writeHead(202)
    res.write(TEXT)
    res.end()
  },
  'writeHead with a reason': (_req, res) => res.writeHead(202, 'Fine', { 'X-Head': '1' }).end(TEXT),
  'writeHead with a flat list': (_req, res) => res.writeHead(202, ['X-Head', '1', 'X-Other', '2']).end(TEXT),
  'writeHead with a length': (_req, res) => res.writeHead(200, { 'Content-Length': Buffer.byteLength(TEXT) }).end(TEXT),
  'writeHead with a cookie': (_req, res) => res.writeHead(200, { 'Set-Cookie': ['a=1', 'b=2'] }).end(TEXT),
  'writeHead twice': (_req, res, log) => {
    res.writeHead(202)
    trying(log, 'writeHead', () => res.writeHead(203))
    res.end(TEXT)
  },
  'writeHead, and no body': (_req, res) => res.writeHead(201, { Location: '/there' }).end(),
  'writeHead in vain': (_req, res, log) => {
    trying(log, 'writeHead', () => res.writeHead(1000))
    res.status(500).end('none')
  },
  'a length, and end': (_req, res) => res.set('Content-Length', String(Buffer.byteLength(TEXT))).end(TEXT),
  'a length, write, end': (_req, res) => {
    res.setHeader('Content-Length', Buffer.byteLength(TEXT))
    res.write(TEXT.slice(0, 5))
    res.end(TEXT.slice(5))
  },
  'a length of one': (_req, res) => res.set('Content-Length', '1').end('a'),
  'a length of nothing': (_req, res) => res.set('Content-Length', '0').end(),
  'a reason': (_req, res) => {
    res.statusMessage = 'So Be It'
    res.end(TEXT)
  },
  'flushHeaders, end': (_req, res, log) => {
    res.flushHeaders()
    log(res.headersSent)
    res.end(TEXT)
  },
  'flushHeaders, and write later': async (_req, res) => {
    res.flushHeaders()
    await turn()
    res.write(TEXT)
    res.end()
  },
  'headers of all kinds': (_req, res) => {
    res.append('X-List', 'one')
    res.append('X-List', 'two')
    res.appendHeader('X-More', ['three', 'four'])
    res.setHeader('X-Gone', '1')
    res.removeHeader('X-Gone')
    res.cookie('own', 'value').clearCookie('other')
    res.vary('Accept').links({ next: '/next' }).type('txt')
    res.end(TEXT)
  },
  'headers, what it says': (_req, res, log) => {
    res.setHeader('X-One', '1')
    log(res.getHeaderNames().includes('x-one'), res.hasHeader('X-One'), res.getHeader('x-one'))
    res.end(TEXT)
    log(res.getHeader('x-one'))
  },
  'early hints': (_req, res) => {
    res.writeEarlyHints({ link: '</style.css>; rel=preload' })
    res.end(TEXT)
  },
  'on-headers': (_req, res) => {
    onHeaders(res, function () {
      this.setHeader('X-On-Headers', String(this.statusCode))
      if (this.statusCode === 202) this.statusCode = 203
    })
    res.status(202).end(TEXT)
  },
  'on-finished': (_req, res, log) => {
    onFinished(res, () => log('on-finished', res.statusCode, res.writableFinished))
    res.end(TEXT)
  },
}

const EXPRESS: Readonly<Record<string, Handler>> = {
  'json': (_req, res) => res.json({ a: TEXT }),
  'send(text)': (_req, res) => res.send(TEXT),
  'send(buffer)': (_req, res) => res.send(Buffer.from(TEXT)),
  'send()': (_req, res) => res.send(),
  'status(201).json': (_req, res) => res.status(201).json([1, 2]),
  'sendStatus(204)': (_req, res) => res.sendStatus(204),
  'sendStatus(404)': (_req, res) => res.sendStatus(404),
  '204 with a body': (_req, res) => res.status(204).end(TEXT),
  '205': (_req, res) => res.status(205).send(TEXT),
  '304': (_req, res) => res.status(304).end(),
  'redirect': (_req, res) => {
    res.redirect('/there')
  },
  'redirect(301)': (_req, res) => {
    res.redirect(301, '/there')
  },
  'sendFile': (_req, res, log) => {
    res.sendFile(FILE, { lastModified: false }, called(log, 'sent'))
  },
  'download': (_req, res, log) => {
    res.download(FILE, 'name.txt', { lastModified: false }, called(log, 'sent'))
  },
  'sendFile of what is not there': (_req, res, log, next) => {
    res.sendFile(`${FILE}.none`, (error) => {
      log('sent', codeOf(error))
      next(error)
    })
  },
  'format': (_req, res) => res.format({ text: () => res.send('text'), json: () => res.json({}) }),
  'no route': (_req, _res, _log, next) => {
    next()
  },
}

const STREAMS: Readonly<Record<string, Handler>> = {
  'pipe': (_req, res) => Readable.from(['one', 'two', 'three']).pipe(res),
  'pipe of bytes': (_req, res) => Readable.from([Buffer.from('one'), BIG]).pipe(res),
  'pipe of nothing': (_req, res) => Readable.from([]).pipe(res),
  'pipe into an end of its own': (_req, res) => {
    const source = Readable.from(['one', 'two'])
    source.pipe(res, { end: false })
    source.on('end', () => res.end('three'))
  },
  'pipe of zipped': (_req, res) => {
    res.setHeader('Content-Encoding', 'gzip')
    const zip = createGzip({ level: 1 })
    zip.pipe(res)
    zip.end(BIG)
  },
  'pipeline': async (_req, res, log) => {
    await pipeline(Readable.from(['one', 'two']), new PassThrough(), res)
    log('pipelined')
  },
  'pipeline, with a callback': (_req, res, log) => {
    pipelineOf(Readable.from([BIG, 'two']), res, called(log, 'pipelined'))
  },
  'text/event-stream': async (_req, res) => {
    res.type('text/event-stream')
    res.write('data: 1\n\n')
    await turn()
    res.write('data: 2\n\n')
    res.end()
  },
}

const ERRORS: Readonly<Record<string, Handler>> = {
  'throws': () => {
    throw failure('thrown')
  },
  'rejects': async () => {
    await turn()
    throw failure('rejected')
  },
  'next(error)': (_req, _res, _log, next) => {
    next(failure('passed on'))
  },
  'throws after writeHead': (_req, res) => {
    res.writeHead(202)
    throw failure('thrown')
  },
  'throws after write': (_req, res) => {
    res.write(TEXT)
    throw failure('thrown')
  },
  'throws after end': (_req, res) => {
    res.end(TEXT)
    throw failure('thrown')
  },
  'a stream that breaks': async (_req, res, log) => {
    const broken = Readable.from((async function *() {
      yield 'one'
      await turn()
      throw failure('broken')
    })())
    await pipeline(broken, res).catch(called(log, 'pipelined'))
  },
  'destroy()': (_req, res) => res.destroy(),
  'destroy(), and end': (_req, res, log) => {
    res.destroy()
    trying(log, 'end', () => res.end(TEXT))
  },
  'write, destroy()': async (_req, res) => {
    res.write(TEXT)
    await turn()
    res.destroy()
  },
}

const closed = (res: Response): Promise<unknown> => new Promise((resolve) => res.once('close', resolve))

const LEAVING: Readonly<Record<string, Handler>> = {
  'end, when the client has left': async (req, res) => {
    await closed(res)
    change(req, 'late')
    res.end(TEXT)
  },
  'write and end, when the client has left': async (req, res, log) => {
    await closed(res)
    change(req, 'late')
    log(res.write(TEXT))
    res.end(TEXT)
  },
  'a stream whose client leaves': async (req, res) => {
    res.write(TEXT)
    await closed(res)
    change(req, 'late')
    res.end(TEXT)
  },
  'a pipe whose client leaves': async (_req, res, log) => {
    const endless = new Readable({ read: () => void setImmediate(() => endless.push(BIG)) })
    await pipeline(endless, res).catch(called(log, 'pipelined'))
    res.end()
  },
}

const SESSIONS: Readonly<Record<string, Handler>> = {
  'session.destroy()': (req, res) => {
    if ('session' in req) req.session.destroy(() => res.end(TEXT))
    else res.end(TEXT)
  },
  'session.save()': (req, res) => {
    if ('session' in req) req.session.save(() => res.end(TEXT))
    else res.end(TEXT)
  },
  'session.regenerate()': (req, res) => {
    if ('session' in req) req.session.regenerate(() => res.end(TEXT))
    else res.end(TEXT)
  },
  'session.reload()': (req, res) => {
    if ('session' in req) req.session.reload(() => res.end(TEXT))
    else res.end(TEXT)
  },
  'session = null': (req, res) => {
    Object.assign(req, { session: null })
    res.end(TEXT)
  },
}

/** HTTP/2 has no such header or reason; there Node or express-session hangs; or what it says is chance. */
const HTTP1_ONLY = ['GET write in chunks that it says', 'HEAD pipe', 'GET a reason', 'HEAD sendFile', 'GET write of a number']

const requests = (method: string, handlers: Readonly<Record<string, Handler>>): Record<string, Shape> =>
  Object.fromEntries(
    Object.entries(handlers).map(([what, handler]) => {
      const name = `${method} ${what}`
      return [name, { handler, method, ...(HTTP1_ONLY.includes(name) ? { not: ['HTTP/2'] } : {}) }]
    }),
  )

const PICKED: Readonly<Record<string, Handler | undefined>> = { ...ENDS, ...WRITES, ...HEADS, ...EXPRESS, ...STREAMS }

const pick = (...names: string[]): Record<string, Handler> =>
  Object.fromEntries(names.flatMap((name) => (PICKED[name] === undefined ? [] : [[name, PICKED[name]]])))

const reads: Handler = (req, res) => {
  const hash = createHash('sha1')
  req.on('data', (chunk: Buffer) => hash.update(chunk))
  req.on('end', () => res.end(hash.digest('hex')))
}

export const SHAPES: Readonly<Record<string, Shape>> = {
  ...requests('GET', { ...ENDS, ...WRITES, ...HEADS, ...EXPRESS, ...STREAMS, ...ERRORS, ...SESSIONS }),
  ...requests('HEAD', pick('end()', 'end(text)', 'write, end(text)', 'a length, and end', 'json', 'sendFile', 'pipe', 'writeHead, end')),
  ...requests('POST', { 'end(text)': (_req, res) => res.end(TEXT) }),
  ...Object.fromEntries(Object.entries(LEAVING).map(([name, handler]) => [name, { handler, leaves: true }])),
  'trailers': {
    handler: (_req, res) => {
      res.setHeader('Trailer', 'X-Sum')
      res.write('one')
      res.addTrailers({ 'X-Sum': '1' })
      res.end('two')
    },
    not: ['HTTP/1.0'],
  },
  'trailers of an end': {
    handler: (_req, res) => {
      res.setHeader('Trailer', 'X-Sum')
      res.setHeader('Transfer-Encoding', 'chunked')
      res.addTrailers({ 'X-Sum': '1' })
      res.end('two')
    },
    not: ['HTTP/1.0', 'HTTP/2'],
  },
  'writeContinue': { handler: (_req, res) => (res.writeContinue(), res.end(TEXT)) },
  'writeProcessing': { handler: (_req, res) => (res.writeProcessing(), res.end(TEXT)), not: ['HTTP/2'] },
  'a body that is read': { handler: reads, method: 'POST', body: 'x'.repeat(70_000) },
  'a body that is expected': { handler: reads, method: 'POST', body: 'body', headers: { expect: '100-continue' } },
  'a body that nobody reads': { handler: (_req, res) => res.end(TEXT), method: 'POST', body: 'x'.repeat(70_000), not: ['HTTP/2'] },
  'a page that the browser has': {
    handler: (_req, res) => res.set('ETag', '"1"').send(TEXT),
    headers: { 'if-none-match': '"1"' },
  },
  'a part of a file': { handler: (_req, res, log) => void res.sendFile(FILE, { lastModified: false }, called(log, 'sent')), headers: { range: 'bytes=2-9' } },
  'Connection: close': { handler: (_req, res) => res.end(TEXT), headers: { connection: 'close' }, not: ['HTTP/2'] },
}
