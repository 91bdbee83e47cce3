import { createHmac, randomBytes } from 'node:crypto'
import { processWide } from './process-wide.js'

/** The key of the hash, drawn once for the process: within it hashes of one id agree, and outside they say nothing. */
const KEY = processWide('hash-key', () => randomBytes(16))

/**
 * A short keyed hash of a session id, for messages and logs, where the id
 * itself must not appear because it is a secret.
 */
export const hashOf = (id: string): string => createHmac('sha256', KEY).update(id).digest('hex').slice(0, 12)
