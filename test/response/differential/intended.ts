import type { Protocol } from './shapes.js'
import type { Outcome } from './sides.js'

/** A difference from express-session that is meant. */
export interface Intended {
  readonly why: string
  readonly shapes: RegExp
  readonly wrappers?: RegExp
  readonly protocols?: readonly Protocol[]
  /** All: it is not asked for. */
  readonly fields: readonly (keyof Outcome)[] | 'all'
}

const KEEPS_BACK = /^(a collector(?!, after)|a write in its own time)/

export const INTENDED: readonly Intended[] = [
  {
    why: 'The session is stored before the first byte of a stream leaves, and not only when it has ended well.',
    shapes: /^GET (throws after write|a stream that breaks|write, destroy\(\))$|client leaves$/,
    fields: ['stored'],
  },
  {
    why: 'The callback of an end or a write is called; express-session, compression and the like lose it, or take it for a body.',
    shapes: /callback/,
    wrappers: /^(?!nothing$)/,
    fields: ['events', 'cookies', 'stored'],
  },
  {
    why: 'The same; and it is called after the response has finished, as in HTTP/1.',
    shapes: /callback/,
    protocols: ['HTTP/2'],
    fields: ['events'],
  },
  {
    why: 'The end of a stream waits until the session as it was at its head is stored: what is changed until then is in it.',
    shapes: /^GET end, then the session$/,
    wrappers: /writes, after/,
    fields: ['stored'],
  },
  {
    why: 'A head is written with the first byte, as Node has it. That a middleware before will keep the byte back is not known by then.',
    shapes: /^GET (write, then a header|write, what it says|throws after write)$|^write and end, when/,
    wrappers: KEEPS_BACK,
    fields: 'all',
  },
  {
    why: 'A status that Node refuses is refused before those that listen for the head have their turn.',
    shapes: /^GET writeHead in vain$/,
    wrappers: /loggers/,
    fields: ['headers'],
  },
  {
    why: 'Whether the error page or the end is the first to write the head is chance where an end takes its time, with Node alone as well.',
    shapes: /^GET throws after end$/,
    wrappers: /own time|puts back/,
    fields: 'all',
  },
  {
    why: 'HTTP/2 sends a head when it is written, without waiting for the body. Nothing leaves here before the session is stored.',
    shapes: /^GET throws after writeHead$/,
    protocols: ['HTTP/2'],
    fields: 'all',
  },
]
