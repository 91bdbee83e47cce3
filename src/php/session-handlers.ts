/** The three ways in which PHP writes a session down: `session.serialize_handler`. */
import { InvalidOptionError, UndecodableError, UnserializableError } from '../errors.js'
import { ToJavaScript } from './javascript.js'
import { memoryOf, keysOf } from './memory.js'
import { PhpSyntaxError } from './php-syntax-error.js'
import { isIntegerKey, nameBytes, pathOf, PhpValueError, ValueWriter } from './serialize.js'
import type { Entry } from './tree.js'
import { ValueReader } from './unserialize.js'

/** The values of `session.serialize_handler` that are written and read here. */
export const PHP_HANDLERS = ['php', 'php_binary', 'php_serialize'] as const
/** PHP's `session.serialize_handler`. */
export type PhpHandler = (typeof PHP_HANDLERS)[number]

const HANDLERS = new Set<unknown>(PHP_HANDLERS)
const MAX_BINARY_NAME = 127
const PIPE = 0x7c
const UNDEFINED = 0x21

/**
 * A session that PHP has written, as JavaScript's values.
 *
 * The session, and every array of PHP that is no list, is an object without a prototype; a list is an array. Integers
 * beyond 2^53 are BigInt, strings that are no UTF-8 are a Buffer, and so on: see PhpObject, PhpEnum, PhpCustom. No class
 * is ever looked for, and nothing is run. `encodePhpSession` writes what nobody has changed with the same bytes.
 *
 * @throws UndecodableError LATCHKEY_UNDECODABLE where PHP would refuse the bytes, and destroy the session; and for what is
 * nested more than 100 levels deep.
 */
export function decodePhpSession(bytes: Buffer, handler: PhpHandler): Record<string, unknown> {
  assertHandler(handler)
  try {
    const entries = bytes.length === 0 ? [] : READERS[handler](bytes)
    return new ToJavaScript(entries.map(({ node }) => node)).session(entries)
  } catch (cause) {
    if (!(cause instanceof PhpSyntaxError)) throw cause
    throw new UndecodableError(
      `PHP's handler "${handler}" has not written this session (${cause.message}). Set serializeHandler to what ` +
        'session.serialize_handler is in php.ini; igbinary and msgpack cannot be read.',
      { cause },
    )
  }
}

/**
 * The bytes that PHP's handler writes for the session.
 *
 * @throws UnserializableError LATCHKEY_UNSERIALIZABLE, with its `path`: a value that PHP has none for; a changed value that
 * PHP shares by reference; a name that the handler cannot write (numbers, and with `php` those with `|`, or a `!` at the
 * beginning, with `php_binary` those of more than 127 bytes).
 */
export function encodePhpSession(data: object, handler: PhpHandler): Buffer {
  assertHandler(handler)
  try {
    return WRITERS[handler](data)
  } catch (cause) {
    if (!(cause instanceof PhpValueError)) throw cause
    const { path, message } = cause
    const where = path === '' ? '' : ` at ${path.slice(0, 200)}`
    throw new UnserializableError(`PHP's handler "${handler}" cannot write this session${where} (${message}); nothing was stored.`, { cause, path })
  }
}

function assertHandler(handler: unknown): void {
  if (HANDLERS.has(handler)) return
  throw new InvalidOptionError(
    `serializeHandler is ${JSON.stringify(handler)}; it must be php, php_binary or php_serialize. ` +
      'For sessions of igbinary or msgpack set session.serialize_handler=php in php.ini.',
  )
}

const READERS: Record<PhpHandler, (bytes: Buffer) => Entry[]> = { php: readPhp, php_binary: readBinary, php_serialize: readArray }
const WRITERS: Record<PhpHandler, (data: object) => Buffer> = { php: writePhp, php_binary: writeBinary, php_serialize: writeArray }

/** `name|value` again and again. */
function readPhp(bytes: Buffer): Entry[] {
  const values = new ValueReader(bytes, false)
  const entries: Entry[] = []
  while (!values.isAtEnd) {
    const end = bytes.indexOf(PIPE, values.at)
    if (end < 0) values.refuse('a name without a "|"')
    if (bytes[values.at] === UNDEFINED) values.refuse('a name that begins with "!"')
    const key = bytes.subarray(values.at, end)
    values.at = end + 1
    entries.push({ key, node: values.read() })
  }
  return entries
}

/** The length of the name, the name, the value, again and again. */
function readBinary(bytes: Buffer): Entry[] {
  const values = new ValueReader(bytes, false)
  const entries: Entry[] = []
  while (!values.isAtEnd) {
    const length = bytes[values.at] ?? 0
    const end = values.at + 1 + length
    if (length > MAX_BINARY_NAME || end > bytes.length) values.refuse('a name that is too long')
    const key = bytes.subarray(values.at + 1, end)
    values.at = end
    entries.push({ key, node: values.read() })
  }
  return entries
}

/** One array. */
function readArray(bytes: Buffer): Entry[] {
  const values = new ValueReader(bytes, true)
  const node = values.read()
  if (node.kind !== 'array') return values.refuse('a session is an array')
  if (!values.isAtEnd) values.refuse('something follows the session')
  return [...node.entries]
}

function writePhp(data: object): Buffer {
  return writeNamed(data, (name, key) => {
    if (name.includes(PIPE)) throw new PhpValueError('a name has a "|"', key)
    if (name[0] === UNDEFINED) throw new PhpValueError('a name begins with "!"', key)
    return [name, Buffer.of(PIPE)]
  })
}

function writeBinary(data: object): Buffer {
  return writeNamed(data, (name, key) => {
    if (name.length > MAX_BINARY_NAME) throw new PhpValueError('a name has more than 127 bytes', key)
    return [Buffer.of(name.length), name]
  })
}

function writeNamed(data: object, head: (name: Buffer, key: string) => readonly Buffer[]): Buffer {
  const values = new ValueWriter([data])
  const memory = memoryOf(data)?.entries
  const fields = data as Readonly<Record<string, unknown>>
  for (const key of keysOf(data)) {
    if (fields[key] === undefined) continue
    if (isIntegerKey(key)) throw new PhpValueError('PHP does not store what has a number for a name', key)
    values.parts.push(...head(nameBytes(key, key), key))
    values.value(fields[key], memory?.get(key), pathOf('', key, false))
  }
  return Buffer.concat(values.parts)
}

function writeArray(data: object): Buffer {
  const values = new ValueWriter()
  values.session(data)
  return Buffer.concat(values.parts)
}
