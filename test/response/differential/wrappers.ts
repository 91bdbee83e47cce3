import { createRequire } from 'node:module'
import compression from 'compression'
import type { Express, RequestHandler, Response } from 'express'

/** Middlewares that step into responses, before the session and after it. */

const require = createRequire(import.meta.url)
export const onFinished = require('on-finished') as (res: Response, listener: () => void) => void
export const onHeaders = require('on-headers') as (res: Response, listener: (this: Response) => void) => void

type Method = (...args: unknown[]) => unknown

interface Own {
  readonly write: Method
  readonly end: Method
}

/** Gives the response an `end` and a `write` of its own, made of those before. */
const replacing =
  (make: (res: Response, own: Own) => Partial<Own>): RequestHandler =>
    (_req, res, next) => {
      const [write, end] = [res.write.bind(res) as Method, res.end.bind(res) as Method]
      Object.assign(res, make(res, { write, end }))
      next()
    }

const bodyOf = (chunk: unknown): string | Uint8Array | undefined =>
  (typeof chunk === 'string' || chunk instanceof Uint8Array) && chunk.length > 0 ? chunk : undefined

const textOf = (args: readonly unknown[]): Buffer => {
  const body = bodyOf(args[0])
  if (typeof body !== 'string') return Buffer.from(body ?? '')
  return Buffer.from(body, typeof args[1] === 'string' ? (args[1] as BufferEncoding) : 'utf8')
}

/** As Node, of what was written. */
const tell = (args: readonly unknown[]): true => {
  const callback = args.at(-1)
  if (typeof callback === 'function') process.nextTick(callback)
  return true
}

const endThatWrites = replacing((res, { end }) => ({
  end: (...args) => {
    const body = textOf(args)
    if (body.length > 0) res.write(body)
    return end()
  },
}))

const endThatWritesLater = replacing((res, { end }) => ({
  end: (...args) => {
    const body = textOf(args)
    setImmediate(() => {
      if (body.length > 0) res.write(body)
      end()
    })
    return res
  },
}))

const endThatCallsTheWriteBefore = replacing((_res, { write, end }) => ({
  end: (...args) => {
    const body = textOf(args)
    if (body.length > 0) write(body)
    return end()
  },
}))

/** Keeps all that is written, and sends it when the response is ended: in one piece. */
const collector = replacing((_res, { end }) => {
  const chunks: Buffer[] = []
  return {
    write: (...args) => {
      chunks.push(textOf(args))
      return tell(args)
    },
    end: (...args) => {
      chunks.push(textOf(args))
      return end(Buffer.concat(chunks))
    },
  }
})

/** As the one before, but puts the methods back and calls them by name, when its work is done. */
const collectorThatPutsBack: RequestHandler = (_req, res, next) => {
  const { write, end } = res
  const chunks: Buffer[] = []
  const own = {
    write: (...args: unknown[]) => {
      chunks.push(textOf(args))
      return tell(args)
    },
    end: (...args: unknown[]) => {
      chunks.push(textOf(args))
      setImmediate(() => {
        Object.assign(res, { write, end })
        res.end(Buffer.concat(chunks))
      })
      return res
    },
  }
  Object.assign(res, own)
  next()
}

/** Its `write` does its work in its own time, and its `end` comes after that. */
const writeInItsOwnTime = replacing((_res, { write, end }) => {
  let work = Promise.resolve()
  const later = (call: () => unknown): void => {
    work = work.then(() => void call())
  }
  return {
    write: (...args) => {
      const body = textOf(args)
      later(() => body.length > 0 && write(body))
      return tell(args)
    },
    end: (...args) => {
      const body = textOf(args)
      later(() => (body.length > 0 ? end(body) : end()))
      return true
    },
  }
})

const ownHead: RequestHandler = (_req, res, next) => {
  const writeHead = res.writeHead.bind(res) as Method
  const own = (...args: unknown[]): unknown => {
    res.setHeader('X-Own-Head', res.statusCode)
    return writeHead(...args)
  }
  Object.assign(res, { writeHead: own })
  next()
}

/** As morgan and response-time: they look on. */
const logger: RequestHandler = (_req, res, next) => {
  onHeaders(res, function () {
    this.setHeader('X-Seen-Status', this.statusCode)
  })
  onFinished(res, () => undefined)
  next()
}

const compressing = compression({ threshold: 0, level: 1 })

interface Wrapper {
  /** HTTP/2's own `end` calls `write`: what keeps back all that is written keeps back that as well, whoever stores sessions. */
  readonly isHttp1Only?: true
  readonly before?: readonly RequestHandler[]
  readonly after?: readonly RequestHandler[]
}

const WRAPPERS: Readonly<Record<string, Wrapper>> = {
  nothing: {},
  'compression before': { before: [compressing] },
  'compression after': { after: [compressing] },
  'an end that writes': { before: [endThatWrites] },
  'an end that writes, after': { after: [endThatWrites] },
  'an end that writes in its own time': { before: [endThatWritesLater] },
  'an end that calls the write of before': { before: [endThatCallsTheWriteBefore] },
  'a collector': { isHttp1Only: true, before: [collector] },
  'a collector, after': { isHttp1Only: true, after: [collector] },
  'a collector that puts back what was there': { before: [collectorThatPutsBack] },
  'a write in its own time': { isHttp1Only: true, before: [writeInItsOwnTime] },
  'a writeHead of its own': { before: [ownHead], after: [ownHead] },
  'loggers': { before: [logger], after: [logger] },
  'an end that writes, and compression, and loggers': { before: [endThatWrites, compressing, logger] },
}

export const WRAPPER_NAMES = Object.keys(WRAPPERS)

export const isHttp1Only = (name: string): boolean => WRAPPERS[name]?.isHttp1Only === true

export function wrap(app: Express, name: string, session: RequestHandler | undefined): void {
  const { before = [], after = [] } = WRAPPERS[name] ?? {}
  for (const middleware of before) app.use(middleware)
  if (session !== undefined) app.use(session)
  for (const middleware of after) app.use(middleware)
}
