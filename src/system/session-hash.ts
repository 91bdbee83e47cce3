import { createHmac, randomBytes } from 'node:crypto'
import { processWide } from './process-wide.js'

/** Per process: hashes of the same id agree within it, and tell nothing outside. */
const KEY = processWide('hash-key', () => randomBytes(16))

/** A short keyed hash of a session id, for messages and logs: an id itself is a secret. */
export const hashOf = (id: string): string => createHmac('sha256', KEY).update(id).digest('hex').slice(0, 12)
