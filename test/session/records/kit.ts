import { LatchkeyError } from '../../../src/errors.js'
import { RecordFormat } from '../../../src/session/record-format.js'
import { Compression, type CompressionOptions } from '../../../src/session/records/compression.js'
import { type EncryptionKey, Keyring } from '../../../src/session/records/keyring.js'

export const OLD: EncryptionKey = { id: '2025', secret: 'the old secret, 32 characters or more' }
export const NEW: EncryptionKey = { id: '2026', secret: Buffer.from('0123456789abcdef0123456789abcdef') }

interface FormatOptions {
  readonly keys?: readonly EncryptionKey[]
  readonly acceptPlain?: boolean
  readonly compression?: CompressionOptions
}

export function formatOf({ keys, acceptPlain = false, compression }: FormatOptions): RecordFormat {
  return new RecordFormat({
    keys: keys === undefined ? undefined : Keyring.of({ keys, acceptPlain }),
    compression: Compression.of(compression),
  })
}

/** The error that `work` throws; fails when it is not one of ours, or none. */
export function failureOf(work: () => unknown): LatchkeyError {
  try {
    work()
  } catch (error) {
    if (error instanceof LatchkeyError) return error
    throw error
  }
  throw new Error('it did not throw')
}

export const codeThrownBy = (work: () => unknown): string => failureOf(work).code
