/** JavaScript's values in PHP's serialize() format: what nobody has changed with the bytes that it had. */
import { floatText } from './float-text.js'
import { keysOf, memoryOf, type Remembered } from './memory.js'
import { bytesOfName, isWellFormed } from './text.js'
import { MAX_DEPTH, TOO_DEEP } from '../system/nesting-limit.js'
import { PhpCustom, PhpEnum, PhpObject } from './values.js'

/** A value that PHP's format cannot hold. `path` says where it is. */
export class PhpValueError extends TypeError {
  override readonly name = 'PhpValueError'

  constructor(
    what: string,
    readonly path: string,
  ) {
    super(what)
  }
}

const INTEGER_KEY = /^(?:0|-?[1-9]\d{0,18})$/
const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/** Whether PHP takes this key of an array for an integer. */
export const isIntegerKey = (key: string): boolean =>
  INTEGER_KEY.test(key) && BigInt(key) <= MAX_INT64 && BigInt(key) >= MIN_INT64

/** Writes values one after the other; as in a session, later ones may name earlier ones. */
export class ValueWriter {
  readonly parts: Buffer[] = []
  /** How many values PHP will have counted. */
  private count = 0
  private readonly objects = new Map<object, number>()
  private readonly enums = new Map<string, number>()
  private readonly references = new Map<object, number>()
  /** The containers that are being written, from the outside in. */
  private readonly open: Set<object>

  /** @param around what the values are in, where that is not written as a value itself: the session. */
  constructor(around: readonly object[] = []) {
    this.open = new Set(around)
  }

  /** The session itself, as an array of PHP: the handler `php_serialize`. */
  session(data: object): void {
    this.count++
    this.container(data, '', 'a', false)
  }

  /** One value. @param was what PHP had at this place. */
  value(value: unknown, was: Remembered | undefined, path: string): void {
    if (was?.reference !== undefined && this.isNamedBefore(value, was, was.reference, path)) return
    this.count++
    if (value === null) this.text('N;')
    else if (typeof value === 'boolean') this.text(value ? 'b:1;' : 'b:0;')
    else if (typeof value === 'number') this.number(value, was)
    else if (typeof value === 'bigint') this.integer(value, path)
    else if (typeof value === 'string') this.string(textBytes(value, path))
    else if (typeof value === 'object') this.object(value, path)
    else throw new PhpValueError(`PHP has no value for ${value === undefined ? 'undefined' : `a ${typeof value}`}`, path)
  }

  string(bytes: Buffer): void {
    this.text(`s:${String(bytes.length)}:"`)
    this.parts.push(bytes)
    this.text('";')
  }

  /** Several names of one value: PHP would change it under all of them, and JavaScript under one only. */
  private isNamedBefore(value: unknown, was: Remembered, reference: object, path: string): boolean {
    if (!isUnchanged(value, was)) throw new PhpValueError('PHP shares this value by reference, so it cannot be changed here', path)
    const number = this.references.get(reference)
    if (number === undefined) {
      this.references.set(reference, this.count + 1)
      return false
    }
    this.text(`R:${String(number)};`)
    return true
  }

  private number(value: number, was: Remembered | undefined): void {
    if (was?.float !== undefined && Object.is(value, was.value)) this.text(`d:${was.float};`)
    else if (was?.float === undefined && Number.isSafeInteger(value) && !Object.is(value, -0)) this.text(`i:${String(value)};`)
    else this.text(`d:${floatText(value)};`)
  }

  private integer(value: bigint, path: string): void {
    if (value > MAX_INT64 || value < MIN_INT64) throw new PhpValueError('an integer of PHP has 64 bits', path)
    this.text(`i:${String(value)};`)
  }

  private object(value: object, path: string): void {
    if (value instanceof PhpEnum) {
      this.enumCase(value)
      return
    }
    if (Buffer.isBuffer(value)) {
      this.string(value)
      return
    }
    if (!(value instanceof PhpObject || value instanceof PhpCustom)) {
      assertPlain(value, path)
      this.container(value, path, 'a', false)
      return
    }
    if (this.isThere(this.objects, value)) return
    if (value instanceof PhpObject) this.container(value.properties, path, `O:${quoted(value.className)}`, true)
    else {
      this.text(`C:${quoted(value.className)}:${String(value.bytes.length)}:{`)
      this.parts.push(value.bytes)
      this.text('}')
    }
  }

  private enumCase({ className, caseName }: PhpEnum): void {
    const name = `${className}:${caseName}`
    if (!this.isThere(this.enums, name)) this.text(`E:${quoted(name)};`)
  }

  /** An object that PHP meets a second time is the first one. */
  private isThere<K>(known: Map<K, number>, one: K): boolean {
    const number = known.get(one)
    if (number === undefined) known.set(one, this.count)
    else this.text(`r:${String(number)};`)
    return number !== undefined
  }

  private container(container: object, path: string, type: string, isObject: boolean): void {
    if (this.open.has(container)) throw new PhpValueError('it contains itself', path)
    if (this.open.size >= MAX_DEPTH) throw new PhpValueError(TOO_DEEP, path)
    this.open.add(container)
    const memory = memoryOf(container)?.entries
    const fields = container as Readonly<Record<string, unknown>>
    const keys = keysOf(container).filter((key) => fields[key] !== undefined || Array.isArray(container))
    this.text(`${type}:${String(keys.length)}:{`)
    for (const key of keys) {
      const was = memory?.get(key)
      const isInteger = isObject ? was?.hasIntegerKey === true : isIntegerKey(key)
      if (isInteger) this.text(`i:${key};`)
      else this.string(nameBytes(key, path))
      this.value(fields[key], was, pathOf(path, key, Array.isArray(container)))
    }
    this.text('}')
    this.open.delete(container)
  }

  private text(text: string): void {
    this.parts.push(Buffer.from(text, 'latin1'))
  }
}

export function pathOf(path: string, key: string, isList: boolean): string {
  if (isList) return `${path}[${key}]`
  return path === '' ? key : `${path}.${key}`
}

/** Whether it is what PHP gave, with all that is in it. */
function isUnchanged(value: unknown, was: Remembered, seen = new Set<object>()): boolean {
  if (!Object.is(value, was.value)) return false
  if (typeof value !== 'object' || value === null || seen.has(value)) return true
  seen.add(value)
  const container = value instanceof PhpObject ? value.properties : value
  const memory = memoryOf(container)
  if (memory === undefined) return true
  const keys = Object.keys(container)
  const fields = container as Readonly<Record<string, unknown>>
  return keys.length === memory.order.length && keys.every((key) => {
    const entry = memory.entries.get(key)
    return entry !== undefined && isUnchanged(fields[key], entry, seen)
  })
}

/** What has a class of its own would come back without it. */
function assertPlain(value: object, path: string): void {
  if (Array.isArray(value)) return
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === null || prototype === Object.prototype) return
  const { name } = value.constructor
  throw new PhpValueError(`PHP has no value for a ${name === '' ? 'class' : name}`, path)
}

function textBytes(text: string, path: string): Buffer {
  if (!isWellFormed(text)) throw new PhpValueError('this text has half a character, which cannot be stored', path)
  return Buffer.from(text)
}

/** The bytes of a name. @throws PhpValueError: it has none. */
export function nameBytes(name: string, path: string): Buffer {
  const bytes = bytesOfName(name)
  if (bytes === undefined) throw new PhpValueError('a name has half a character', path)
  return bytes
}

const quoted = (name: string): string => `${String(name.length)}:"${name}"`
