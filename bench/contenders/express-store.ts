/** Any express-session store: get, change, set. Only latchkey's locks. */
import type { SessionData, Store } from 'express-session'
import type { SessionData as Data } from '../support/record.js'
import { type Contender, idOf } from './contender.js'

export class ExpressStore implements Contender {
  constructor(
    readonly name: string,
    private readonly store: Store,
    private readonly record: Data,
    private readonly end: () => void | Promise<void>,
  ) {}

  seed(index: number): Promise<void> {
    return this.set(idOf(index), this.record)
  }

  async cycle(index: number): Promise<void> {
    const id = idOf(index)
    const data = await this.get(id)
    data.n++
    await this.set(id, data)
  }

  async close(): Promise<void> {
    await this.end()
  }

  private get(id: string): Promise<Data> {
    return new Promise((resolve, reject) => {
      this.store.get(id, (error: unknown, data) => {
        if (isData(data)) resolve(data)
        else reject(new Error(`${this.name} lost session ${id}`, { cause: error }))
      })
    })
  }

  private set(id: string, data: Data): Promise<void> {
    return new Promise((resolve, reject) => {
      this.store.set(id, asStored(data), (error?: unknown) => {
        if (error === undefined || error === null) resolve()
        else reject(new Error(`${this.name} did not store session ${id}`, { cause: error }))
      })
    })
  }
}

function isData(data: SessionData | null | undefined): data is SessionData & Data {
  return data !== null && data !== undefined && 'n' in data
}

/** A plain object in place of a Session with a Cookie: what a store reads, and JSON makes of one. */
function asStored(data: Data): SessionData & Data {
  return data
}
