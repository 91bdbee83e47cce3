/** latchkey, locked: by SessionStore's hooks, one object a cycle, as PHP uses a save handler. */
import type { SessionManager } from '../support/latchkey.js'
import { type Contender, idOf } from './contender.js'

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
