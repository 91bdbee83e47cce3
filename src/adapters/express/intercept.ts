import type { ServerResponse } from 'node:http'

/** What of a response is intercepted, besides `headersSent`. `_implicitHeader` is what Node calls for an unwritten head. */
export type Method =
  | ('write' | 'end' | 'flushHeaders' | 'writeHead')
  | ('setHeader' | 'appendHeader' | 'removeHeader' | '_implicitHeader')

/** Who gets the calls of a response. */
export interface Interceptor {
  call(name: Method, args: readonly unknown[]): unknown
  readonly headersSent: boolean
}

/** A response's own methods, and `headersSent`, as they were. */
export interface Raw {
  call(name: Method, args: readonly unknown[]): unknown
  readonly headersSent: boolean
  /** Puts them back, past whoever stepped in later. The interceptor gets calls of functions that were kept from before. */
  restore(): void
}

type Call = (this: unknown, ...args: unknown[]) => unknown
type Methods = Readonly<Record<Method, Call>>

/** Where a response keeps who intercepts it. */
const HELD = Symbol('latchkey.held')

interface Held {
  readonly interceptor: Interceptor
  /** What it has functions of its own for, because a middleware before this one had; that one calls the shared ones. */
  readonly replaced: readonly Method[]
}

/** What stands in the place of a response's methods: the same functions for all responses. */
const IN_PLACE: Methods = eachMethod((name) => inPlaceOf(name))
const NAMES: readonly Method[] = ['write', 'end', 'flushHeaders', 'writeHead', 'setHeader', 'appendHeader', 'removeHeader', '_implicitHeader']

/** Objects that responses inherit from, and the methods that were found there before those in place. */
const extended = new WeakMap<object, Methods>()

/**
 * From now on the interceptor gets the response's calls; its own methods are to be had from what is returned.
 *
 * Express gives each response another prototype, after which V8 makes a new shape for every property that is added to
 * it: eight functions cost a request more than its session. So they stand, once, in `express.response`, which is there
 * to be extended, and leave a response without an interceptor alone. Responses of another kind, and methods that a
 * middleware before this one has replaced, get theirs one by one.
 */
export function intercept(res: ServerResponse, interceptor: Interceptor): Raw {
  const place = extendedBy(res)
  const inherited = place === undefined ? undefined : methodsOf(place)
  const replaced = inherited === undefined ? NAMES : NAMES.filter((name) => Object.hasOwn(res, name))
  const own = new Map(replaced.map((name) => [name, callAt(res, name)]))
  const methodOf = (name: Method): Call => own.get(name) ?? inherited?.[name] ?? callAt(res, name)
  const held: Held = { interceptor, replaced: inherited === undefined ? [] : replaced }
  Reflect.set(res, HELD, held)
  for (const name of replaced) Reflect.set(res, name, IN_PLACE[name])
  if (inherited === undefined) Object.defineProperty(res, 'headersSent', HEADERS_SENT)
  return {
    call: (name, args) => Reflect.apply(methodOf(name), res, args),
    get headersSent() {
      return headersSentBelow(place ?? res, res)
    },
    restore() {
      for (const name of NAMES) Reflect.set(res, name, methodOf(name))
      if (inherited === undefined) Reflect.deleteProperty(res, 'headersSent')
    },
  }
}

/** The last object of a response's prototypes that no class made: `express.response`. */
function extendedBy(res: ServerResponse): object | undefined {
  let last: object | undefined
  for (let at = parentOf(res); at !== undefined && !Object.hasOwn(at, 'constructor'); at = parentOf(at)) last = at
  return last
}

function methodsOf(place: object): Methods {
  const known = extended.get(place)
  if (known !== undefined) return known
  const found = eachMethod((name) => callAt(place, name))
  extended.set(place, found)
  for (const name of NAMES) {
    Object.defineProperty(place, name, { configurable: true, writable: true, value: inPlaceOf(name, found[name]) })
  }
  Object.defineProperty(place, 'headersSent', {
    configurable: true,
    get(this: ServerResponse) {
      return heldOf(this)?.interceptor.headersSent ?? headersSentBelow(place, this)
    },
  })
  return found
}

const HEADERS_SENT: PropertyDescriptor & ThisType<ServerResponse> = {
  configurable: true,
  enumerable: true,
  get() {
    return heldOf(this)?.interceptor.headersSent
  },
}

/** With `otherwise` it is the shared function, without it a response's own. */
function inPlaceOf(name: Method, otherwise?: Call): Call {
  return function (this: unknown, ...args) {
    const held = heldOf(this)
    if (otherwise === undefined) return held?.interceptor.call(name, args)
    if (held === undefined || held.replaced.includes(name)) return Reflect.apply(otherwise, this, args)
    return held.interceptor.call(name, args)
  }
}

function heldOf(res: unknown): Held | undefined {
  const response: { readonly [HELD]?: Held } = Object(res)
  return response[HELD]
}

function eachMethod(make: (name: Method) => Call): Methods {
  return {
    write: make('write'),
    end: make('end'),
    flushHeaders: make('flushHeaders'),
    writeHead: make('writeHead'),
    setHeader: make('setHeader'),
    appendHeader: make('appendHeader'),
    removeHeader: make('removeHeader'),
    _implicitHeader: make('_implicitHeader'),
  }
}

function callAt(place: object, name: Method): Call {
  const method: unknown = Reflect.get(place, name)
  if (typeof method !== 'function') throw new TypeError(`The response has no method ${name}()`)
  return function (this: unknown, ...args) {
    return Reflect.apply(method, this, args) as unknown
  }
}

function headersSentBelow(place: object, res: ServerResponse): boolean {
  const below = parentOf(place)
  return below !== undefined && Reflect.get(below, 'headersSent', res) === true
}

const parentOf = (place: object): object | undefined => (Object.getPrototypeOf(place) as object | null) ?? undefined
