import { createSecretKey, hkdfSync, type KeyObject } from 'node:crypto'
import { InvalidOptionError } from '../../errors.js'
import { checkNames } from '../../system/option-names.js'

/** A key of `encryption.keys`. Records carry its id, so that each is read with the key that wrote it. */
export interface EncryptionKey {
  /** Stands in the clear in every record that the key encrypts: 1 to 32 letters, digits, `.`, `_`, `-`. */
  readonly id: string
  /** At least 32 characters (or bytes) that nobody can guess: `openssl rand -base64 32`. */
  readonly secret: string | Uint8Array
}

/** Encryption at rest: AES-256-GCM; each record is bound to its session id. */
export interface EncryptionOptions {
  /** The first one encrypts, every one decrypts. At least one. */
  readonly keys: readonly EncryptionKey[]
  /**
   * Whether records in clear are read: for the time until those from before encryption have expired. Whoever can write
   * to the server can then plant a session. Default false.
   */
  readonly acceptPlain?: boolean
}

const OPTIONS: ReadonlySet<string> = new Set<keyof EncryptionOptions>(['keys', 'acceptPlain'])
const OF_A_KEY: ReadonlySet<string> = new Set<keyof EncryptionKey>(['id', 'secret'])
const KEY_ID = /^[\w.-]{1,32}$/
const LEAST_SECRET = 32
/** The least number of different characters in a secret. 32 random characters have far more, even hexadecimal ones. */
const LEAST_DIFFERENT = 8
const INFO = 'latchkey record v1 aes-256-gcm'
const KEY_BYTES = 32
/** Salts of other processes whose keys are remembered; deriving one again takes about 15 µs. */
const MOST_DERIVED = 1024

export const isKeyId = (id: string): boolean => KEY_ID.test(id)

/** One secret, and the keys that were derived from it. Nothing of them shows in util.inspect(). */
export class MasterKey {
  readonly #secret: KeyObject
  readonly #derived = new Map<string, KeyObject>()

  constructor(
    readonly id: string,
    secret: string | Uint8Array,
  ) {
    this.#secret = createSecretKey(Buffer.from(secret))
  }

  /** The AES key for a salt: HKDF-SHA256, once for each salt. */
  derived(salt: Buffer): KeyObject {
    const name = salt.toString('latin1')
    const known = this.#derived.get(name)
    if (known !== undefined) return known
    const key = createSecretKey(Buffer.from(hkdfSync('sha256', this.#secret, salt, INFO, KEY_BYTES)))
    if (this.#derived.size >= MOST_DERIVED) this.#forgetOldest()
    this.#derived.set(name, key)
    return key
  }

  #forgetOldest(): void {
    for (const oldest of this.#derived.keys()) {
      this.#derived.delete(oldest)
      return
    }
  }
}

/** The keys of a manager. */
export class Keyring {
  readonly #byId: ReadonlyMap<string, MasterKey>

  private constructor(
    /** Encrypts. */
    readonly first: MasterKey,
    byId: ReadonlyMap<string, MasterKey>,
    readonly acceptPlain: boolean,
  ) {
    this.#byId = byId
  }

  /** @throws InvalidOptionError LATCHKEY_INVALID_OPTION: names the key, never shows a secret. */
  static of(options: EncryptionOptions): Keyring {
    const { keys, acceptPlain = false } = checkedShape(options)
    const byId = new Map<string, MasterKey>()
    for (const [at, key] of keys.entries()) {
      const name = `encryption.keys[${String(at)}]`
      checkNames(key, OF_A_KEY, name)
      const { id, secret } = key
      if (typeof id !== 'string' || !isKeyId(id)) {
        throw new InvalidOptionError(`${name}.id must be 1 to 32 letters, digits, ".", "_" or "-".`)
      }
      if (byId.has(id)) {
        throw new InvalidOptionError(`${name}.id "${id}" is there twice; every key needs an id of its own.`)
      }
      const flaw = flawOf(secret)
      if (flaw !== undefined) {
        throw new InvalidOptionError(`${name}.secret (id "${id}") ${flaw}. Make one with: openssl rand -base64 32`)
      }
      byId.set(id, new MasterKey(id, secret))
    }
    const [first] = byId.values()
    if (first === undefined) {
      throw new InvalidOptionError('encryption.keys is empty; the first key is the one that encrypts.')
    }
    return new Keyring(first, byId, acceptPlain)
  }

  get(id: string): MasterKey | undefined {
    return this.#byId.get(id)
  }
}

function checkedShape(options: EncryptionOptions): EncryptionOptions {
  checkNames(options, OPTIONS, 'encryption')
  if (!Array.isArray(options.keys)) {
    throw new InvalidOptionError('encryption must be { keys: [{ id, secret }], acceptPlain? }.')
  }
  if (!['undefined', 'boolean'].includes(typeof options.acceptPlain)) {
    throw new InvalidOptionError('encryption.acceptPlain must be true or false.')
  }
  return options
}

function flawOf(secret: unknown): string | undefined {
  if (typeof secret !== 'string' && !(secret instanceof Uint8Array)) return 'must be a string or a Buffer'
  if (secret.length < LEAST_SECRET) {
    return `is too short: it must have at least ${String(LEAST_SECRET)} characters or bytes`
  }
  if (new Set<string | number>(secret).size < LEAST_DIFFERENT) return 'repeats itself: it must be random'
  return undefined
}
