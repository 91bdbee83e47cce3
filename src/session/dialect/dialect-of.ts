import { InvalidOptionError } from '../../errors.js'
import { KEY_PREFIX, withMethods } from '../option-checks.js'
import { RecordFormat } from '../record-format.js'
import { Compression, type CompressionOptions } from '../records/compression.js'
import { type EncryptionOptions, Keyring } from '../records/keyring.js'
import { jsonSerializer, limited, type Serializer } from '../serializer.js'
import type { Dialect } from './dialect.js'
import { ownDialect } from './own-dialect.js'
import { phpDialect } from './php-dialect.js'
import { checkedPhp, type PhpOptions } from './php-options.js'

/** The options of a manager that say where and how its sessions are kept. */
interface DialectOptions {
  readonly prefix?: string
  readonly serializer?: Serializer
  readonly encryption?: EncryptionOptions
  readonly compression?: CompressionOptions
  readonly retiredCopySec?: number
  readonly php?: PhpOptions
}

/** @throws InvalidOptionError LATCHKEY_INVALID_OPTION */
export const dialectOf = (options: DialectOptions): Dialect =>
  options.php === undefined ? ownDialectOf(options) : phpDialectOf(options, options.php)

function ownDialectOf(options: DialectOptions): Dialect {
  const prefix = options.prefix ?? 'sess:'
  if (typeof prefix !== 'string' || !KEY_PREFIX.test(prefix)) {
    throw new InvalidOptionError('prefix must be at most 100 characters of visible ASCII without spaces.')
  }
  const serializer = withMethods('serializer', options.serializer, ['stringify', 'parse'])
  const format = new RecordFormat({
    keys: options.encryption === undefined ? undefined : Keyring.of(options.encryption),
    compression: Compression.of(options.compression),
  })
  return ownDialect(prefix, format, serializer === undefined || serializer === jsonSerializer ? jsonSerializer : limited(serializer))
}

/** Why a session that PHP is to read cannot have what these options give. */
const NOT_WITH_PHP = {
  prefix: 'give php.prefix, as PHP has it',
  serializer: 'the format is that of php.serializeHandler',
  encryption: 'PHP cannot read an encrypted record, and would destroy it',
  compression: 'PHP cannot read a record that was compressed here, and would destroy it',
  retiredCopySec: 'PHP would take the copy that a regenerated session leaves behind for the session itself, and change it',
} as const

function phpDialectOf(options: DialectOptions, php: PhpOptions): Dialect {
  const settings = checkedPhp(php)
  for (const [name, reason] of Object.entries(NOT_WITH_PHP)) {
    const value: unknown = options[name as keyof typeof NOT_WITH_PHP]
    if (value !== undefined && value !== 0) throw new InvalidOptionError(`${name} cannot be used together with php: ${reason}.`)
  }
  return phpDialect(settings)
}
