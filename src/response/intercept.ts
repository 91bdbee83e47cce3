import type { ServerResponse } from 'node:http'

const NAMES = [
  ...(['write', 'end', 'flushHeaders', 'writeHead'] as const),
  ...(['setHeader', 'appendHeader', 'removeHeader', '_implicitHeader'] as const),
]

/** What of a response is intercepted, besides `headersSent`. `_implicitHeader` is what Node calls for an unwritten head. */
export type Method = (typeof NAMES)[number]

/** Who gets the calls of a response. */
export interface Interceptor {
  call(name: Method, args: readonly unknown[]): unknown
  readonly headersSent: boolean
}

type Methods = Readonly<Record<Method, Call>>

/** What a kind of response has in its prototypes, under the functions in place. */
interface Inherited {
  readonly methods: Methods
  readonly headersSent: Call
}

/** Where a response keeps who intercepts it. */
const HELD = Symbol('latchkey.held')
type Response = ServerResponse & { [HELD]?: Raw | undefined }
type Call = (this: Response, ...args: unknown[]) => unknown

/** What stands in the place of a response's own methods and getter. */
interface InPlace {
  readonly methods: Methods
  readonly headersSent: PropertyDescriptor & ThisType<Response>
}

/** The same functions for all responses: with a getter of its own each would have a shape of its own for V8. */
const FOR_ALL: InPlace = {
  methods: eachMethod((name) => inPlaceOf(name)),
  headersSent: {
    configurable: true,
    enumerable: true,
    get() {
      return this[HELD]?.interceptor.headersSent
    },
  },
}

/** Objects that stand behind Express's own, with the functions in place, and what was found before them. */
const layers = new WeakMap<object, Inherited>()

/** What responses of an application inherit, by their prototype; undefined where each is to have functions of its own. */
const known = new WeakMap<object, Inherited | undefined>()

/**
 * From now on the interceptor gets the response's calls; its own methods are to be had from what is returned.
 *
 * Eight functions of its own would cost each response up to a tenth of its request (docs/adr/0022). So they stand,
 * once, behind `express.response`, and leave a response without an interceptor alone. Not in it: who makes responses of
 * HTTP/2 by what Express adds to them (http2-express-bridge) would copy functions that end in those of HTTP/1.
 * Responses of another kind, and methods that an application or a middleware before this one has replaced, get theirs
 * one by one.
 */
export function intercept(res: Response, interceptor: Interceptor): Raw {
  // One that is intercepted already (by another gate, whose response has been answered) stays so, behind this one.
  if (res[HELD] !== undefined) return new Raw(res, interceptor, undefined, inPlaceFor(interceptor))
  const raw = new Raw(res, interceptor, inheritedBy(res))
  res[HELD] = raw
  return raw
}

/** A response's own methods, and `headersSent`, as they were. */
export class Raw {
  /** What the response had functions of its own for, because a middleware before this one did as this one does. */
  private readonly own: Partial<Record<Method, Call>> | undefined
  private readonly inherited: Inherited
  /** `headersSent` as the response had it for its own; undefined when it is not replaced there. */
  private readonly getter: { readonly before: PropertyDescriptor | undefined } | undefined
  private depth = 0

  constructor(
    private readonly res: Response,
    readonly interceptor: Interceptor,
    shared: Inherited | undefined,
    inPlace: InPlace = FOR_ALL,
  ) {
    this.own = shared === undefined ? eachMethod((name) => callAt(res, name)) : ownMethods(res)
    this.inherited = shared ?? { methods: FOR_ALL.methods, headersSent: getterAt(res) }
    for (const name of NAMES) if (this.own?.[name] !== undefined) Reflect.set(res, name, inPlace.methods[name])
    if (shared !== undefined) return
    this.getter = { before: Object.getOwnPropertyDescriptor(res, 'headersSent') }
    Object.defineProperty(res, 'headersSent', inPlace.headersSent)
  }

  call(name: Method, args: readonly unknown[]): unknown {
    this.depth++
    try {
      return Reflect.apply(this.methodOf(name), this.res, args)
    } finally {
      this.depth--
    }
  }

  /** Whether one of them is on the stack: what it calls in turn (an `end` that writes, as HTTP/2's) is its own doing. */
  get isCalling(): boolean {
    return this.depth > 0
  }

  get headersSent(): boolean {
    return Reflect.apply(this.inherited.headersSent, this.res, []) === true
  }

  /** Whether the response calls the shared function only by way of its own, which calls the one before. */
  replaces(name: Method): boolean {
    return this.own?.[name] !== undefined
  }

  /** As with a method. */
  get replacesHeadersSent(): boolean {
    return this.getter !== undefined
  }

  /** Puts them back, past whoever stepped in later. The interceptor gets calls of functions that were kept from before. */
  restore(): void {
    for (const name of NAMES) Reflect.set(this.res, name, this.methodOf(name))
    this.restoreGetter()
  }

  /** As if there had been no interceptor. */
  withdraw(): void {
    for (const name of NAMES) if (this.own?.[name] !== undefined) Reflect.set(this.res, name, this.own[name])
    this.restoreGetter()
    if (this.res[HELD] === this) this.res[HELD] = undefined
  }

  private restoreGetter(): void {
    if (this.getter === undefined) return
    if (this.getter.before === undefined) Reflect.deleteProperty(this.res, 'headersSent')
    else Object.defineProperty(this.res, 'headersSent', this.getter.before)
  }

  private methodOf(name: Method): Call {
    return this.own?.[name] ?? this.inherited.methods[name]
  }
}

function inheritedBy(res: ServerResponse): Inherited | undefined {
  const kind = parentOf(res)
  if (kind === undefined || known.has(kind)) return kind && known.get(kind)
  const inherited = inheritedFrom(kind)
  known.set(kind, inherited)
  return inherited
}

/** `kind` and what it inherits from, as far as no class made it: an application's `response`, and `express.response`. */
function inheritedFrom(kind: object): Inherited | undefined {
  let last: object | undefined
  for (let at: object | undefined = kind; at !== undefined && !Object.hasOwn(at, 'constructor'); at = parentOf(at)) {
    const inherited = layers.get(at)
    if (inherited !== undefined) return inherited
    // It would be called in place of those behind it, and may call Node's own, which it has found there.
    if (NAMES.some((name) => Object.hasOwn(at, name)) || Object.hasOwn(at, 'headersSent')) return undefined
    last = at
  }
  return last && layerBehind(last)
}

function layerBehind(place: object): Inherited | undefined {
  const found = { methods: eachMethod((name) => callAt(place, name)), headersSent: getterAt(place) }
  const layer: object = Object.create(parentOf(place) ?? null, {
    headersSent: {
      configurable: true,
      get(this: Response) {
        const held = this[HELD]
        if (held === undefined || held.replacesHeadersSent) return Reflect.apply(found.headersSent, this, [])
        return held.interceptor.headersSent
      },
    },
  })
  for (const name of NAMES) {
    Object.defineProperty(layer, name, { configurable: true, writable: true, value: inPlaceOf(name, found.methods[name]) })
  }
  if (!Reflect.setPrototypeOf(place, layer)) return undefined
  layers.set(layer, found)
  return found
}

function inPlaceFor(interceptor: Interceptor): InPlace {
  return {
    methods: eachMethod((name) => (...args) => interceptor.call(name, args)),
    headersSent: { configurable: true, enumerable: true, get: () => interceptor.headersSent },
  }
}

/** With `otherwise` it is the shared function, without it a response's own. */
function inPlaceOf(name: Method, otherwise?: Call): Call {
  return function (...args) {
    const held = this[HELD]
    if (otherwise === undefined) return held?.interceptor.call(name, args)
    if (held === undefined || held.replaces(name)) return Reflect.apply(otherwise, this, args)
    return held.interceptor.call(name, args)
  }
}

/** Undefined when it has none, as nearly every response. */
function ownMethods(res: ServerResponse): Partial<Record<Method, Call>> | undefined {
  let own: Partial<Record<Method, Call>> | undefined
  for (const name of NAMES) if (Object.hasOwn(res, name)) (own ??= {})[name] = callAt(res, name)
  return own
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
  if (isCall(method)) return method
  if (name === '_implicitHeader') return writeOwnHead
  throw new TypeError(`The response has no method ${name}()`)
}

/** HTTP/2's response has no `_implicitHeader`, which express-session calls so that its cookie is set in time. */
function writeOwnHead(this: Response): void {
  if (!this.headersSent) this.writeHead(this.statusCode)
}

/** What answers `headersSent` for whoever inherits from `place`, or is it. */
function getterAt(place: object): Call {
  for (let at: object | undefined = place; at !== undefined; at = parentOf(at)) {
    const property = Object.getOwnPropertyDescriptor(at, 'headersSent')
    if (property !== undefined) return property.get ?? (() => property.value as unknown)
  }
  return () => false
}

const isCall = (value: unknown): value is Call => typeof value === 'function'

const parentOf = (place: object): object | undefined => (Object.getPrototypeOf(place) as object | null) ?? undefined
