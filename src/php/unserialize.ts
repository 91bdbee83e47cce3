/** PHP's serialize() format, read into a tree. Strict: what PHP refuses is refused here, and nothing is ever run. */
import { PhpSyntaxError } from './php-syntax-error.js'
import { MAX_DEPTH, TOO_DEEP } from '../system/nesting-limit.js'
import type { Entry, Node } from './tree.js'

const FLOAT = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const CLASS_NAME = /^[A-Za-z0-9_\\\x80-\xff]+$/
const MAX_INT64 = 2n ** 63n - 1n
const MIN_INT64 = -(2n ** 63n)

/** Reads values from `at` on. Several may follow each other, as in a session: later ones may name earlier ones. */
export class ValueReader {
  /** Every value so far, by the number that `r:` and `R:` name it by. */
  private readonly slots: Node[] = []
  at = 0

  private depth: number

  /** @param isSession the first value is the session itself, and not a value in it. */
  constructor(
    private readonly bytes: Buffer,
    private readonly isSession: boolean,
  ) {
    this.depth = isSession ? 0 : 1
  }

  /** One value. */
  read(): Node {
    const type = this.character()
    switch (type) {
      case 'N':
        this.expect(';')
        return this.known({ kind: 'scalar', value: null })
      case 'b':
        return this.known({ kind: 'scalar', value: this.boolean() })
      case 'i':
        return this.known({ kind: 'scalar', value: this.integer() })
      case 'd':
        return this.known(this.float())
      case 's':
        return this.known({ kind: 'string', bytes: this.string() })
      case 'S':
        return this.known({ kind: 'string', bytes: this.escapedString() })
      case 'a':
        return this.array()
      case 'O':
        return this.object()
      case 'E':
        return this.known(this.enumCase())
      case 'C':
        return this.known(this.custom())
      case 'r':
      case 'R':
        return this.again(type === 'R')
      default:
        return this.refuse('no type of value begins so')
    }
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length
  }

  refuse(what: string): never {
    throw new PhpSyntaxError(what, this.at)
  }

  private known(node: Node): Node {
    this.slots.push(node)
    return node
  }

  private boolean(): boolean {
    const text = this.textUntil(';')
    return text === '1' || text === '0' ? text === '1' : this.refuse('a boolean is 0 or 1')
  }

  private integer(): number | bigint {
    const text = this.textUntil(';')
    if (!/^[+-]?\d+$/.test(text)) return this.refuse('this is no integer')
    const value = BigInt(text.replace('+', ''))
    if (value > MAX_INT64 || value < MIN_INT64) return this.refuse('an integer has 64 bits')
    return Number.isSafeInteger(Number(value)) ? Number(value) : value
  }

  private float(): Node {
    const text = this.textUntil(';')
    const named = NAMED.get(text)
    if (named === undefined && !FLOAT.test(text)) return this.refuse('this is no float')
    return { kind: 'float', value: named ?? Number(text), text }
  }

  private array(): Node {
    const count = this.count('{')
    const entries: Entry[] = []
    const node = this.known({ kind: 'array', entries })
    this.entries(count, entries)
    return node
  }

  private object(): Node {
    const className = this.className()
    this.expect(':')
    const count = this.lengthUntil(':')
    this.expect('{')
    const entries: Entry[] = []
    const node = this.known({ kind: 'object', className, entries })
    this.entries(count, entries)
    return node
  }

  private entries(count: number, entries: Entry[]): void {
    if (++this.depth > MAX_DEPTH) this.refuse(TOO_DEEP)
    for (let left = count; left > 0; left--) {
      const type = this.character()
      const key = type === 'i' ? this.integer() : type === 's' ? this.string() : this.refuse('a key is an integer or a string')
      entries.push({ key, node: this.read() })
    }
    this.expect('}')
    this.depth--
  }

  private enumCase(): Node {
    const text = this.string().toString('latin1')
    const [, className = '', caseName = ''] = /^([^:]+):([^:]+)$/.exec(text) ?? []
    return CLASS_NAME.test(className) && CLASS_NAME.test(caseName) ? { kind: 'enum', className, caseName } : this.refuse('this is no case of an enum')
  }

  private custom(): Node {
    const className = this.className()
    this.expect(':')
    const length = this.lengthUntil(':')
    this.expect('{')
    const bytes = this.take(length)
    this.expect('}')
    return { kind: 'custom', className, bytes }
  }

  private again(isReference: boolean): Node {
    this.expect(':')
    const number = this.lengthUntil(';')
    const target = this.slots[number - 1]
    if (target === undefined) return this.refuse('it names a value that is not there')
    const first = target.kind === 'again' ? target.target : target
    if (this.isSession && first === this.slots[0]) return this.refuse('a session cannot be in itself')
    if (!isReference && first.kind !== 'object' && first.kind !== 'enum' && first.kind !== 'custom') {
      return this.refuse('only an object can be there a second time')
    }
    const node: Node = { kind: 'again', target: first, isReference }
    // PHP counts the second place of an object, and not a second name of one variable.
    if (!isReference) this.slots.push(node)
    return node
  }

  /** `8:"stdClass"` */
  private className(): string {
    const name = this.quoted().toString('latin1')
    return CLASS_NAME.test(name) ? name : this.refuse('this is no name of a class')
  }
  private string(): Buffer {
    const bytes = this.quoted()
    this.expect(';')
    return bytes
  }

  private quoted(): Buffer {
    const length = this.count('"')
    const bytes = this.take(length)
    this.expect('"')
    return bytes
  }

  /** `S:3:"a\62c";`: characters may be written as two hexadecimal digits. */
  private escapedString(): Buffer {
    const bytes: number[] = []
    for (let left = this.count('"'); left > 0; left--) {
      const [byte = 0] = this.take(1)
      bytes.push(byte === 0x5c ? this.hexByte() : byte)
    }
    this.expect('"')
    this.expect(';')
    return Buffer.from(bytes)
  }

  private hexByte(): number {
    const hex = this.take(2).toString('latin1')
    return /^[0-9a-fA-F]{2}$/.test(hex) ? parseInt(hex, 16) : this.refuse('two hexadecimal digits are missing')
  }

  /** `:3:` and the character that opens what has so many parts. */
  private count(opener: string): number {
    this.expect(':')
    const count = this.lengthUntil(':')
    this.expect(opener)
    return count
  }

  private lengthUntil(end: string): number {
    const start = this.at
    while (isDigit(this.bytes[this.at])) this.at++
    const text = this.bytes.toString('latin1', start, this.at)
    this.expect(end)
    const length = Number(text)
    // Every part takes a byte at least, so a larger number is wrong before anything is made of it.
    return text !== '' && length <= this.bytes.length ? length : this.refuse('this is no length')
  }

  /** What stands between a colon and `end`. */
  private textUntil(end: string): string {
    this.expect(':')
    const start = this.at
    const until = this.bytes.indexOf(end, start, 'latin1')
    if (until < 0) return this.refuse('the end of a value is missing')
    this.at = until + 1
    return this.bytes.toString('latin1', start, until)
  }

  private take(length: number): Buffer {
    if (this.at + length > this.bytes.length) return this.refuse('it ends in the middle of a value')
    return this.bytes.subarray(this.at, (this.at += length))
  }

  private character(): string {
    return this.take(1).toString('latin1')
  }

  private expect(character: string): void {
    if (this.bytes[this.at] !== character.charCodeAt(0)) this.refuse(`${JSON.stringify(character)} is missing`)
    this.at++
  }
}

const NAMED = new Map([
  ['NAN', NaN],
  ['INF', Infinity],
  ['-INF', -Infinity],
])

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 0x30 && byte <= 0x39
