/** Lists the keys of one memcached, with the dump command of its LRU crawler. */
import { NotSupportedError, ServerRefusedError } from '../../../errors.js'
import { describeServer } from '../save-path.js'
import { shown } from '../../socket/server-errors.js'
import { FlightError } from '../../wire.js'
import { ClosedByServerError, OperatorConnection, type OperatorOptions } from './operator-connection.js'

/**
 * The walk of the hash table is tried first, because it misses no item that is there from beginning to end. The older
 * walk of the LRU lists misses an item that is written at the wrong moment, and so moves to another list.
 */
const WALKS = ['hash', 'all'] as const

/** A server runs one dump at a time: ours is tried this often, with this pause in between. */
const ATTEMPTS = 20
const PAUSE_MS = 100

/**
 * Every key of the server that begins with `prefix`, in no order. On an old server, whose walk may miss keys, some may
 * be missing. Opens one connection, and walks through all keys of the server, whatever their prefix.
 *
 * @throws NotSupportedError LATCHKEY_NOT_SUPPORTED: old, a proxy, SASL, `-X`, `-o no_lru_crawler`.
 * @throws ServerRefusedError LATCHKEY_SERVER_REFUSED: other dumps keep it busy.
 * @throws FlightError: the server was not reached, or the connection was lost.
 */
export async function dumpKeys(options: OperatorOptions, prefix: string): Promise<string[]> {
  using connection = await OperatorConnection.open(options)
  const encodedPrefix = encodedOf(prefix)
  let refusal = ''
  for (const walk of WALKS) {
    const keys: string[] = []
    const closing = await dump(connection, options, walk, (line) => {
      const encoded = line.slice('key='.length, line.indexOf(' '))
      if (!encoded.startsWith(encodedPrefix)) return
      const key = decoded(encoded)
      if (key.startsWith(prefix)) keys.push(key)
    })
    if (closing === 'END') return keys
    refusal = closing
  }
  throw notSupported(options, refusal)
}

async function dump(
  connection: OperatorConnection,
  options: OperatorOptions,
  walk: (typeof WALKS)[number],
  take: (line: string) => void,
): Promise<string> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    if (attempt > 0) await pause(options)
    let seen = 0
    let closing: string
    try {
      closing = await connection.ask(`lru_crawler metadump ${walk}`, (line) => {
        seen += 1
        take(line)
      })
    } catch (lost) {
      // A proxy closes the connection on a command it does not know. A new connection tells that from a server that
      // died.
      const isClosed = lost instanceof FlightError && lost.cause instanceof ClosedByServerError
      if (!isClosed || seen > 0 || !(await answersAnew(options))) throw lost
      throw notSupported(options, 'the connection was closed', lost)
    }
    if (!closing.startsWith('BUSY')) return closing
  }
  throw new ServerRefusedError(`${nameOf(options)} is busy with other key dumps, one at a time. Try again later.`)
}

async function answersAnew(options: OperatorOptions): Promise<boolean> {
  try {
    const connection = await OperatorConnection.open(options)
    connection.close()
    return true
  } catch {
    return false
  }
}

function pause({ clock, signal }: OperatorOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      timer.cancel()
      reject(new FlightError('not-sent', 'it was given up'))
    }
    const timer = clock.setTimer(() => {
      signal?.removeEventListener('abort', giveUp)
      resolve()
    }, PAUSE_MS)
    signal?.addEventListener('abort', giveUp, { once: true })
  })
}

const nameOf = ({ server }: OperatorOptions): string => describeServer(server)

const notSupported = (options: OperatorOptions, refusal: string, cause?: unknown): NotSupportedError =>
  new NotSupportedError(
    `${nameOf(options)} cannot list its keys (${shown(refusal)}). Ask memcached 1.5 or later directly, not ` +
      'through a proxy, started without -X and without -o no_lru_crawler.',
    { cause },
  )

/** Encodes like memcached's uriencode(): letters, digits and -._~ stay as they are. */
const encodedOf = (text: string): string =>
  text.replace(/[^A-Za-z0-9\-._~]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)

/** Decodes byte by byte, because the key of another program need not be UTF-8. */
const decoded = (text: string): string =>
  text.replace(/%([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
