/** latchkey, locked: by SessionStore's hooks, one object a cycle, as PHP uses a save handler. */
import { loadLatchkey, type SessionManager } from '../support/latchkey.js'
import { changed, sessionOf } from '../support/record.js'
import { type Contender, idOf, RECORD_BYTES } from './contender.js'

export class LatchkeyHooks implements Contender {
  constructor(
    readonly name: string,
    private readonly manager: SessionManager,
    private readonly record: string,
    private readonly change: (text: string) => string,
  ) {}

  seed(index: number): Promise<void> {
    return this.replace(idOf(index), () => this.record)
  }

  cycle(index: number): Promise<void> {
    return this.replace(idOf(index), this.change)
  }

  close(): Promise<void> {
    return this.manager.close()
  }

  private async replace(id: string, change: (text: string) => string): Promise<void> {
    const store = this.manager.store()
    await store.write(id, change(await store.read(id)))
    await store.close()
  }
}

/** On what the save path names, or by a Redis client, under a prefix of its own. @param end what ends with it */
export async function latchkeyAt(name: string, place: string | { readonly client: object }, end?: () => Promise<void>): Promise<Contender> {
  const { SessionManager } = await loadLatchkey()
  const manager = new SessionManager({ ...(typeof place === 'string' ? { savePath: place } : place), prefix: `${name.replace(/\W/g, '')}:` })
  const hooks = new LatchkeyHooks(name, manager, JSON.stringify(sessionOf(RECORD_BYTES)), changed)
  const close = async (): Promise<void> => {
    await hooks.close()
    await end?.()
  }
  return { name, seed: (index) => hooks.seed(index), cycle: (index) => hooks.cycle(index), close }
}
