import { type EncryptionKey, type EncryptionOptions, Keyring } from '../session/records/keyring.js'
import { UsageError } from './usage-error.js'

const FORM = 'LATCHKEY_KEYS must hold the manager\'s encryption.keys as JSON: [{"id": "...", "secret": "..."}].'

/**
 * What decrypts records: the environment's LATCHKEY_KEYS. Never an argument, which every user of the machine can read.
 *
 * @throws UsageError; InvalidOptionError LATCHKEY_INVALID_OPTION. Neither shows a secret.
 */
export function keyringOf(text: string | undefined): Keyring | undefined {
  const encryption = encryptionOf(text)
  return encryption === undefined ? undefined : Keyring.of(encryption)
}

/** The same, as a manager takes it. */
export function encryptionOf(text: string | undefined): EncryptionOptions | undefined {
  if (text === undefined || text === '') return undefined
  const keys = parsed(text)
  if (!Array.isArray(keys) || !keys.every(isKey)) throw new UsageError(FORM)
  // To look at a record plants none.
  return { keys, acceptPlain: true }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's message quotes what it stumbled over.
    throw new UsageError(FORM)
  }
}

function isKey(value: unknown): value is EncryptionKey {
  if (typeof value !== 'object' || value === null || !('id' in value) || !('secret' in value)) return false
  return typeof value.id === 'string' && typeof value.secret === 'string'
}
