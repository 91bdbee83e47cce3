import { processWide } from '../system/process-wide.js'

type Thrower = () => never

/** Methods that change what they belong to: of the kinds whose content is no property. */
const INNER: readonly (readonly [kind: abstract new (...args: never) => object, mutators: readonly string[]])[] = [
  [Map, ['set', 'delete', 'clear']],
  [Set, ['add', 'delete', 'clear']],
  [Date, Object.getOwnPropertyNames(Date.prototype).filter((name) => name.startsWith('set'))],
]

/** Those that would not come upon a setter, or upon a language's own error only. */
const OF_ARRAYS = new Set(['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin'])

const INSPECT = Symbol.for('nodejs.util.inspect.custom')

/** What protect() made of an object, and of what it made. */
const views = processWide('views', () => new WeakMap<object, object>())

/**
 * Makes a tree of session data unchangeable, in place and for good: from now on any attempt to change it throws what
 * `why` makes, at the moment of the attempt. Costs no round trip. Returns what to use in place of `data`.
 *
 * It reads, iterates, spreads and serializes as before. Through a reference that was taken earlier, assignments and the
 * methods of arrays, Maps, Sets and Dates throw the same error; a `delete` or a new `length` is a TypeError there, and
 * is ignored in sloppy mode, as with Object.freeze(). Left alone are bytes (typed arrays), functions, and objects with
 * a `toJSON` of their own: of those the session holds what they say, not the object.
 *
 * @param isShared whether somebody may have taken parts of it. If not (it was just read), parts are looked at when
 *   they are asked for, which costs a fifth.
 */
export function protect<T extends object>(data: T, why: () => Error, isShared = true): T {
  const refuse = (): never => {
    throw why()
  }
  return new Protection(refuse, isShared).viewOf(data, innerOf(data) === undefined)
}

class Protection {
  private readonly guards = new Map<object | null, object>()

  constructor(
    private readonly refuse: Thrower,
    private readonly isShared: boolean,
  ) {}

  viewOf<T extends object>(data: T, isProxied: boolean): T
  viewOf(data: object, isProxied: boolean): object {
    const known = views.get(data)
    if (known !== undefined) return known
    const { refuse } = this
    const traps = { set: refuse, deleteProperty: refuse, defineProperty: refuse, setPrototypeOf: refuse, preventExtensions: refuse }
    const view = isProxied ? new Proxy(data, traps) : data
    // Before its members: one of them may lead back to it.
    views.set(data, view)
    views.set(view, view)
    const inner = innerOf(data)
    if (inner !== undefined) this.members(data)
    this.properties(data)
    if (inner === undefined) Reflect.setPrototypeOf(data, this.guardOf(data))
    // With a Proxy as its prototype a Date would not be known as one any more.
    else for (const name of inner) Reflect.defineProperty(data, name, { value: refuse })
    Reflect.preventExtensions(data)
    return view
  }

  /** What a Map or Set holds is changed by nobody either. */
  private members(data: object): void {
    if (data instanceof Set) for (const member of data) this.valueOf(member)
    if (!(data instanceof Map)) return
    for (const [key, member] of data) {
      this.valueOf(key)
      data.set(key, this.valueOf(member))
    }
  }

  /** Accessors without a way in; also for sloppy code, which would not be told of a read-only property. */
  private properties(data: object): void {
    for (const key of Reflect.ownKeys(data)) {
      const property = Reflect.getOwnPropertyDescriptor(data, key)
      if (property?.enumerable === true) {
        const value: unknown = property.value
        // What cannot be configured answers with the part itself.
        if (this.isShared || property.configurable === false) this.valueOf(value)
        const get = property.get ?? ((): unknown => this.valueOf(value))
        if (property.configurable === true) Reflect.defineProperty(data, key, { get, set: this.refuse, configurable: false })
      }
      // Of what cannot be configured; and the methods that a framework gave its session are its own affair.
      if (property?.configurable === false && property.writable === true) Reflect.defineProperty(data, key, { writable: false })
    }
  }

  private valueOf(value: unknown): unknown {
    return typeof value === 'object' && value !== null && isData(value) ? this.viewOf(value, isPlain(value)) : value
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

const innerOf = (data: object): readonly string[] | undefined => INNER.find(([kind]) => data instanceof kind)?.[1]

/** Not with what a Proxy has not: the inner state of a Map, Date or class. */
function isPlain(data: object): boolean {
  const prototype = Reflect.getPrototypeOf(data)
  return Array.isArray(data) || prototype === null || prototype === Object.prototype
}

const isData = (value: object): boolean =>
  !ArrayBuffer.isView(value) && (value instanceof Date || !('toJSON' in value) || typeof value.toJSON !== 'function')
