import { processWide } from '../system/process-wide.js'

type Thrower = () => never

/** Methods that change their object, of the kinds of objects that keep their content outside of properties. */
const INNER: readonly (readonly [kind: abstract new (...args: never) => object, mutators: readonly string[]])[] = [
  [Map, ['set', 'delete', 'clear']],
  [Set, ['add', 'delete', 'clear']],
  [Date, Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'))],
]

/** Methods of arrays that no setter would notice, or for which the language would throw an error of its own. */
const OF_ARRAYS = new Set(['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin'])

const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** Maps an object of the session's own, and each view that protect() made, to the view that stands for it. */
const views = processWide('protected-views', () => new WeakMap<object, object>())

/** Objects that nobody but sessions can have made: what was decoded for one, and the objects of session frameworks. */
const owned = processWide('owned-by-sessions', () => new WeakSet<object>())

/** Marks one object as the session's own: protect() may change it in place. */
export function own<T extends object>(data: T): T {
  owned.add(data)
  return data
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (part: unknown): part is Fields => typeof part === 'object' && part !== null

/** As own(), of all that was just decoded, before anybody sees it: what is put into it later is not marked. */
export function ownAll<T extends object>(decoded: T): T {
  const todo: Fields[] = []
  mark(decoded, todo)
  for (let data = todo.pop(); data !== undefined; data = todo.pop()) {
    if (Array.isArray(data)) for (const part of data) mark(part, todo)
    else if (!ArrayBuffer.isView(data)) markFields(data, todo)
  }
  return decoded
}

function mark(part: unknown, todo: Fields[]): void {
  if (!isFields(part) || owned.has(part)) return
  owned.add(part)
  todo.push(part)
}

function markFields(data: Fields, todo: Fields[]): void {
  for (const name in data) if (Object.hasOwn(data, name)) mark(data[name], todo)
  if (data instanceof Map || data instanceof Set) {
    for (const [key, value] of data.entries() as Iterable<[unknown, unknown]>) {
      mark(key, todo)
      mark(value, todo)
    }
  }
}

/**
 * Makes a session's data unchangeable, for good: from now on any attempt to change it throws what `why` makes, at the
 * moment of the attempt. Costs no round trip. Returns what to use in place of `data`.
 *
 * What is the session's own (own(), ownAll()) is protected in place, so that a reference which was taken earlier refuses
 * as well: assignments and the methods of arrays, Maps, Sets and Dates throw the same error; a `delete` or a new `length`
 * is a TypeError there, and is ignored in sloppy mode, as with Object.freeze().
 * What the application put in is the application's, and other requests may use it: the session keeps a protected copy
 * of it as it is now, and the object itself stays as it is. An instance of a class is not copied; its methods change
 * the application's object, if they change anything.
 *
 * It reads, iterates, spreads and serializes as before. Left alone are bytes (typed arrays), functions, and objects with
 * a `toJSON` of their own: of those the session holds what they say, not the object.
 *
 * @param isShared whether somebody may have taken parts of it. If not (it was just read), parts are looked at when
 *   they are asked for, which costs a fifth.
 */
export function protect<T extends object>(data: T, why: () => Error, isShared = true): T {
  const refuse = (): never => {
    throw why()
  }
  return new Protection(refuse, isShared).rootOf(data)
}

class Protection {
  private readonly guards = new Map<object | null, object>()
  /** The views of objects that the application owns: each session has views of its own for those. */
  private readonly copies = new Map<object, object>()
  /** Objects whose view exists but is not protected yet. A list, and no recursion: a visitor's data may be deeper than the stack. */
  private readonly todo: (() => void)[] = []
  private isBusy = false

  constructor(
    private readonly refuse: Thrower,
    private readonly isShared: boolean,
  ) {}

  rootOf<T extends object>(data: T): T
  rootOf(data: object): object {
    const view = this.viewOf(data, innerOf(data) === undefined)
    this.finish()
    return view
  }

  private finish(): void {
    if (this.isBusy) return
    this.isBusy = true
    for (let next = this.todo.pop(); next !== undefined; next = this.todo.pop()) next()
    this.isBusy = false
  }

  private viewOf(data: object, isProxied: boolean): object {
    const known = views.get(data) ?? this.copies.get(data)
    if (known !== undefined) return known
    // The properties of a frozen object cannot be replaced by views of its parts, so it is copied as well.
    if (owned.has(data) && Object.isExtensible(data)) return this.inPlace(data, isProxied)
    const copy = shellOf(data)
    const view = copy === undefined ? this.windowOf(data) : this.inPlace(copy, isProxied, data)
    this.copies.set(data, view)
    return view
  }

  /** @param source the object of which the view is to be a copy. */
  private inPlace(data: object, isProxied: boolean, source?: object): object {
    const { refuse } = this
    const traps = { set: refuse, deleteProperty: refuse, defineProperty: refuse, setPrototypeOf: refuse, preventExtensions: refuse }
    const view = isProxied ? new Proxy(data, traps) : data
    // The object is noted before its members are looked at, because one of them may lead back to it.
    views.set(data, view)
    views.set(view, view)
    this.todo.push(() => {
      if (source !== undefined) fill(data, source)
      this.close(data)
    })
    return view
  }

  private close(data: object): void {
    const inner = innerOf(data)
    if (inner !== undefined) this.members(data)
    this.properties(data)
    if (inner === undefined) Reflect.setPrototypeOf(data, this.guardOf(data))
    // With a Proxy as its prototype a Date would not be known as one any more.
    else for (const name of inner) Reflect.defineProperty(data, name, { value: this.refuse })
    Reflect.preventExtensions(data)
  }

  /** The entries of a Map or Set are protected as well. */
  private members(data: object): void {
    if (data instanceof Set) {
      const members: unknown[] = [...(data as ReadonlySet<unknown>)]
      const views = members.map((member) => this.valueOf(member))
      if (views.some((view, at) => view !== members[at])) {
        data.clear()
        for (const view of views) data.add(view)
      }
    }
    if (!(data instanceof Map)) return
    const entries: [unknown, unknown][] = [...(data as ReadonlyMap<unknown, unknown>)]
    const views = entries.map(([key, member]): [unknown, unknown] => [this.valueOf(key), this.valueOf(member)])
    data.clear()
    for (const [key, view] of views) data.set(key, view)
  }

  /** Replaces properties by accessors whose setter throws: sloppy code would not be told of a read-only property. */
  private properties(data: object): void {
    for (const key of Reflect.ownKeys(data)) {
      const property = Reflect.getOwnPropertyDescriptor(data, key)
      if (property?.enumerable === true) {
        const value: unknown = property.value
        if (this.isShared) this.valueOf(value)
        const get = property.get ?? ((): unknown => this.asked(value))
        if (property.configurable === true) Reflect.defineProperty(data, key, { get, set: this.refuse, configurable: false })
      }
      // A property that cannot be configured is made read-only instead. The methods that a framework gave its session can
      // be configured and are not enumerable: they stay as they are.
      if (property?.configurable === false && property.writable === true) Reflect.defineProperty(data, key, { writable: false })
    }
  }

  /** A view that somebody reads is protected before it is handed out. */
  private asked(value: unknown): unknown {
    const view = this.valueOf(value)
    this.finish()
    return view
  }

  private valueOf(value: unknown): unknown {
    return typeof value === 'object' && value !== null && isData(value) ? this.viewOf(value, isPlain(value)) : value
  }

  /** An instance of one of the application's classes, which cannot be copied: private members are not seen. */
  private windowOf(data: object): object {
    const { refuse } = this
    const view = new Proxy(data, {
      set: refuse,
      deleteProperty: refuse,
      defineProperty: refuse,
      setPrototypeOf: refuse,
      preventExtensions: refuse,
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        // A Proxy must answer with the part itself where the property cannot be configured, or the engine throws.
        if (Reflect.getOwnPropertyDescriptor(target, name)?.configurable === false) return value
        // The instance's own methods need the instance, and not its Proxy, for their private members.
        return typeof value === 'function' && name !== 'constructor' ? (value.bind(target) as unknown) : this.asked(value)
      },
    })
    views.set(view, view)
    return view
  }

  /**
   * A prototype that answers as the object's own and refuses the rest: an assignment to a property that the object
   * does not have goes to its prototype.
   */
  private guardOf(data: object): object {
    const prototype = Reflect.getPrototypeOf(data)
    const known = this.guards.get(prototype)
    if (known !== undefined) return known
    const { refuse } = this
    const isArray = Array.isArray(data)
    const guard = new Proxy(prototype ?? (Object.create(null) as object), {
      set: refuse,
      get: (target, name, receiver) => {
        if (name === INSPECT) return shown
        if (isArray && typeof name === 'string' && OF_ARRAYS.has(name)) return refuse
        return Reflect.get(target, name, receiver) as unknown
      },
    })
    this.guards.set(prototype, guard)
    return guard
  }
}

/** For console.log(): the values, and not that they are accessors. */
function shown(this: object): object {
  return Array.isArray(this) ? [...(this as readonly unknown[])] : { ...this }
}

/** An empty object of the same kind; undefined for instances of classes. */
function shellOf(data: object): object | undefined {
  const prototype = Reflect.getPrototypeOf(data)
  const shell = emptyOf(data)
  if (shell !== undefined && Reflect.getPrototypeOf(shell) !== prototype) Reflect.setPrototypeOf(shell, prototype)
  return shell
}

function emptyOf(data: object): object | undefined {
  if (Array.isArray(data)) return []
  if (data instanceof Map) return new Map()
  if (data instanceof Set) return new Set()
  if (data instanceof Date) return new Date(data.getTime())
  return isPlain(data) ? {} : undefined
}

function fill(copy: object, source: object): void {
  if (source instanceof Map && copy instanceof Map) for (const [key, value] of source) copy.set(key, value)
  if (source instanceof Set && copy instanceof Set) for (const value of source) copy.add(value)
  for (const key of Reflect.ownKeys(source)) {
    const property = Reflect.getOwnPropertyDescriptor(source, key)
    if (property === undefined || (Array.isArray(copy) && key === 'length')) continue
    if ('value' in property) Reflect.defineProperty(copy, key, { ...property, writable: true, configurable: true })
    else Reflect.defineProperty(copy, key, { ...property, configurable: true })
  }
  if (Array.isArray(copy) && Array.isArray(source)) copy.length = source.length
}

const innerOf = (data: object): readonly string[] | undefined => INNER.find(([kind]) => data instanceof kind)?.[1]

/** Calls a method on the object itself: a Proxy lacks the inner state of a Map, a Date or a class with private members. */
function isPlain(data: object): boolean {
  const prototype = Reflect.getPrototypeOf(data)
  return Array.isArray(data) || prototype === null || prototype === Object.prototype
}

const isData = (value: object): boolean =>
  !ArrayBuffer.isView(value) && (value instanceof Date || !('toJSON' in value) || typeof value.toJSON !== 'function')
