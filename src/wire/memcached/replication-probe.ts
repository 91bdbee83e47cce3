/**
 * Finds out, when a connection to a proxy is opened, whether the proxy keeps each key on several servers.
 *
 * Each server counts versions by itself, so a replicated item has another version on each. An `add` then answers with
 * one server's word, a read tells another's version, and a compare-and-set by it changes one copy and is refused by the
 * others: no lock can be held there, and no write fenced. Seen from here: what was just added is not found, or has two
 * versions, or is not replaced by the version that was read, or is read as it was before.
 *
 * Servers whose counts happen to be equal look like one; they part when one of them is restarted. And where one server's
 * word counts for all, in reads as in writes, it is that server that holds the locks, and there is nothing to be seen.
 */
import { isError } from './text-answers.js'

/**
 * Each read may go to another server. Of three of which two count alike, four reads miss the third in one of five
 * connections, and twelve in one of a hundred; the reads after the replacement are as many again.
 */
const READS = 12
const FIRST = 'x'
const SECOND = 'y'

export class ReplicationProbe {
  readonly #key: string
  #step: 'add' | 'read' | 'replace' | 'read again' | 'delete' = 'add'
  /** A server that is away, or full, adds nothing and tells nothing; flights that go there will say so. */
  #isTelling = true
  #versions: string[] = []
  #values: string[] = []
  #readsDue = READS
  #isReplicated = false

  /** @param key one that nobody else uses, and that the proxy routes as it routes sessions. */
  constructor(key: string) {
    this.#key = key
  }

  get question(): string {
    return `add ${this.#key} 0 10 1\r\n${FIRST}\r\n${`gets ${this.#key}\r\n`.repeat(READS)}`
  }

  get isReplicated(): boolean {
    return this.#isReplicated
  }

  /** Takes a line of the answer. Returns what is to be asked next; or whether that was all. */
  take(line: string): string | boolean {
    if (isError(line)) this.#isTelling = false
    switch (this.#step) {
      case 'add':
        this.#isTelling &&= line === 'STORED'
        this.#step = 'read'
        return false
      case 'read':
        return this.#takeRead(line) && this.#replacement()
      case 'replace':
        this.#isReplicated = line === 'EXISTS'
        this.#isTelling &&= !this.#isReplicated
        this.#step = 'read again'
        return false
      case 'read again':
        if (!this.#takeRead(line)) return false
        if (this.#isTelling) this.#isReplicated = this.#areNotAll(SECOND)
        this.#step = 'delete'
        return false
      case 'delete':
        return true
    }
  }

  /** Takes a line of a read; says whether it was the last one of all. */
  #takeRead(line: string): boolean {
    const [, version] = /^VALUE \S+ 0 1(?: (\d+))?$/.exec(line) ?? []
    if (version !== undefined) this.#versions.push(version)
    if (line === FIRST || line === SECOND) this.#values.push(line)
    if (line === 'END' || isError(line)) this.#readsDue--
    return this.#readsDue === 0
  }

  #replacement(): string | true {
    const [version = ''] = this.#versions
    if (!this.#isTelling) return true
    this.#isReplicated = this.#areNotAll(FIRST) || this.#versions.some((one) => one !== version)
    // A server that counts no versions (-C) gives 0 to all, which is told elsewhere.
    if (this.#isReplicated || version === '0') return true
    this.#step = 'replace'
    this.#versions = []
    this.#values = []
    this.#readsDue = READS
    // Plain reads, which some proxies send elsewhere than those that ask for the version.
    const reads = `get ${this.#key}\r\n`.repeat(READS)
    return `cas ${this.#key} 0 10 1 ${version}\r\n${SECOND}\r\n${reads}delete ${this.#key}\r\n`
  }

  #areNotAll(value: string): boolean {
    return this.#values.length < READS || this.#values.some((one) => one !== value)
  }
}
