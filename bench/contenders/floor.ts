/**
 * The yardstick: a locked and fenced cycle with nothing else around it. Own socket, text protocol, one write per turn
 * of the event loop, replies cut out of one Latin-1 string per chunk; no checks, no queue, no deadlines, no pool.
 *
 * [add lock, read lock and record], then [cas record, compare-and-delete lock].
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { type Contender, idOf } from './contender.js'

/** How it reads, and where the parts of an answer stand. */
export interface Reading {
  ask(lockKey: string, recordKey: string): string
  /** Where the line of a value says how long it is, and which version. */
  fields(line: string): readonly [bytes: string | undefined, cas: string | undefined]
  /** What follows the last value. */
  readonly endBytes: number
}

/** VALUE <key> <flags> <bytes> <cas> */
export const BY_GETS: Reading = {
  ask: (lockKey, recordKey) => `gets ${lockKey} ${recordKey}\r\n`,
  fields: (line) => {
    const flagsAt = line.indexOf(' ', 6)
    const bytesAt = line.indexOf(' ', flagsAt + 1)
    const casAt = line.indexOf(' ', bytesAt + 1)
    return [line.slice(bytesAt + 1, casAt), line.slice(casAt + 1)]
  },
  endBytes: 'END\r\n'.length,
}

/** VA <bytes> c<cas>: memcached answers what it has read at once, and not at every read. */
export const BY_MG: Reading = {
  ask: (lockKey, recordKey) => `mg ${lockKey} c v\r\nmg ${recordKey} c v\r\n`,
  fields: (line) => {
    const casAt = line.indexOf(' ', 3)
    return [line.slice(3, casAt), line.slice(casAt + 2)]
  },
  endBytes: 0,
}

export interface Load {
  /** The ASCII text that every session begins with. */
  readonly record: string
  readonly change: (text: string) => string
  readonly reading: Reading
}

interface Held {
  readonly text: string
  readonly lockCas: string
  readonly recordCas: string
}

/** What is due from the server: an acquisition, a commit, or a line. */
type Due =
  | { readonly kind: 'acquire'; readonly resolve: (held: Held) => void }
  | { readonly kind: 'commit' | 'line'; readonly resolve: () => void }

export class Floor implements Contender {
  #out = ''
  #scheduled = false
  #due: Due[] = []
  #head = 0
  #rest = ''
  /** How much of `#rest` must be there before it is worth looking at. */
  #wanted = 0
  #tokens = 0
  readonly #prefix: string

  private constructor(
    readonly name: string,
    private readonly socket: Socket,
    private readonly load: Load,
  ) {
    this.#prefix = `${name.replace(/\W/g, '')}:`
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#receive(chunk))
    socket.on('error', fail)
  }

  /** Keys are `<letters of name>:<id>`. */
  static async connect(name: string, port: number, load: Load): Promise<Floor> {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    return new Floor(name, socket, load)
  }

  seed(index: number): Promise<void> {
    return new Promise((resolve) => {
      this.#due.push({ kind: 'line', resolve })
      const { record } = this.load
      this.#write(`set ${this.#key(index)} 0 1440 ${record.length}\r\n${record}\r\n`)
    })
  }

  async cycle(index: number): Promise<void> {
    const key = this.#key(index)
    const held = await this.#acquire(key)
    await this.#commit(key, this.load.change(held.text), held)
  }

  async close(): Promise<void> {
    this.socket.destroy()
  }

  #key(index: number): string {
    return this.#prefix + idOf(index)
  }

  #acquire(key: string): Promise<Held> {
    return new Promise((resolve) => {
      const token = String(this.#tokens++)
      this.#due.push({ kind: 'acquire', resolve })
      this.#write(`add ${key}-lck 0 15 ${token.length}\r\n${token}\r\n${this.load.reading.ask(`${key}-lck`, key)}`)
    })
  }

  #commit(key: string, text: string, { recordCas, lockCas }: Held): Promise<void> {
    return new Promise((resolve) => {
      this.#due.push({ kind: 'commit', resolve })
      this.#write(`cas ${key} 0 1440 ${text.length} ${recordCas}\r\n${text}\r\nmd ${key}-lck C${lockCas}\r\n`)
    })
  }

  #write(text: string): void {
    this.#out += text
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#flush)
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    this.socket.write(this.#out, 'latin1')
    this.#out = ''
  }

  #receive(chunk: Buffer): void {
    const text = this.#rest + chunk.toString('latin1')
    if (text.length < this.#wanted) {
      this.#rest = text
      return
    }
    let at = 0
    while (at < text.length) {
      const end = this.#take(text, at)
      if (end < 0) break
      at = end
    }
    this.#rest = at === 0 ? text : text.slice(at)
    this.#wanted = this.#rest === '' ? 0 : Math.max(this.#wanted - at, this.#rest.length + 1)
  }

  /** Where the answer that begins at `at` ends; -1 when it is not all there. */
  #take(text: string, at: number): number {
    const due = this.#due[this.#head]
    if (due === undefined) throw new Error('The server said something that nothing was asked for')
    let end = text.indexOf('\r\n', at) + 2
    if (end < 2) return -1
    if (due.kind === 'acquire') {
      const lock = this.#value(text, end)
      const record = lock === undefined ? undefined : this.#value(text, lock.end)
      const { endBytes } = this.load.reading
      if (lock === undefined || record === undefined || text.length < record.end + endBytes) return -1
      end = record.end + endBytes
      this.#next()
      due.resolve({ text: text.slice(record.at, record.end - 2), lockCas: lock.cas, recordCas: record.cas })
      return end
    }
    if (text.charCodeAt(at) !== 83) throw new Error(`Not stored: ${text.slice(at, end)}`)
    if (due.kind === 'commit') {
      end = text.indexOf('\r\n', end) + 2
      if (end < 2) return -1
    }
    this.#next()
    due.resolve()
    return end
  }

  /** Its line and its bytes. */
  #value(text: string, from: number): { at: number; end: number; cas: string } | undefined {
    const lineEnd = text.indexOf('\r\n', from)
    if (lineEnd < 0) return undefined
    const [bytes, cas = ''] = this.load.reading.fields(text.slice(from, lineEnd))
    const at = lineEnd + 2
    const end = at + Number(bytes) + 2
    if (end > text.length) {
      this.#wanted = end
      return undefined
    }
    return { at, end, cas }
  }

  #next(): void {
    this.#head++
    if (this.#head < this.#due.length) return
    this.#due = []
    this.#head = 0
  }
}

function fail(error: Error): never {
  throw error
}
