import type { RecordContent } from './record-content.js'

/** Together at most 8 MB. */
const MOST_RECORDS = 1024
const MOST_BYTES_EACH = 4096

interface Entry {
  record: string
  content: RecordContent | undefined
}

/**
 * What the latest encrypted records hold, for whoever brings the same bytes again: a page's requests come in bursts, and
 * a request that changes nothing unpacks its record twice.
 */
export class RecentRecords {
  /** It holds ids and data, which util.inspect() must not show. */
  readonly #entries = new Map<string, Entry>()

  /** Only for the very bytes that were remembered for this id. */
  recall(id: string, record: Buffer): RecordContent | undefined {
    const entry = this.#entries.get(id)
    if (entry?.record.length !== record.length || entry.record !== record.toString('latin1')) return undefined
    return entry.content
  }

  remember(id: string, record: Buffer, content: RecordContent): void {
    const known = this.#entries.get(id)
    if (record.length > MOST_BYTES_EACH || content.text.length > MOST_BYTES_EACH) {
      if (known !== undefined) this.#forget(id, known)
      return
    }
    // As text: a small buffer keeps the whole block alive that it was cut from.
    const text = record.toString('latin1')
    if (known !== undefined) {
      known.record = text
      known.content = content
      return
    }
    if (this.#entries.size >= MOST_RECORDS) this.#forgetOldest()
    this.#entries.set(id, { record: text, content })
  }

  #forgetOldest(): void {
    for (const [id, entry] of this.#entries) {
      this.#forget(id, entry)
      return
    }
  }

  /** Emptied as well: a Map's outgrown tables may live on for long (SessionTable says why). */
  #forget(id: string, entry: Entry): void {
    this.#entries.delete(id)
    entry.record = ''
    entry.content = undefined
  }
}
